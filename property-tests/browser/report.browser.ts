/** A report opened from the disk: its tiles grow, its tables sort, its figures have their numbers, and nothing leaves the page. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readKeptNcas } from '../../src/experiment/index.ts';
import { alike, command, openBrowser, openPage, pixelsOf, rendered } from './browser.ts';

const test = suite('a report in a browser');
const folder = mkdtempSync(join(tmpdir(), 'weightloom-report-'));
const at = (...names: string[]) => join(folder, ...names);
const SIMD = { WEIGHTLOOM_BUILD: 'simd', WEIGHTLOOM_THREADS: '2' };
const HELD_OUT = 7;

let browser: Browser;
let page: Page;
let faults: string[];

test.before(async () => {
  await command(
    [
      ...['run', 'quickstart', 'zoo=procedural', 'training.steps=4', 'training.batch=8', 'sampling.steps=6'],
      ...['sampling.draws=2', 'limit.train=40', `limit.heldOut=${HELD_OUT}`, 'evaluation.steps=60'],
      ...['--out', at('run')],
    ],
    { env: SIMD },
  );
  browser = await openBrowser();
  ({ page, faults } = await openPage(browser));
  await page.goto(pathToFileURL(at('run', 'report.html')).href);
});
test.after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true });
});

/** A test after which nothing has gone wrong on the console. */
const seen = (name: string, work: () => Promise<void>) =>
  test(name, async () => {
    await work();
    assert.equal(faults, []);
  });

seen('a click on a tile grows that NCA to the picture of the command line', async () => {
  const path = at('run', 'weights.safetensors');
  const { kept } = await readKeptNcas(path);
  const rows = await page
    .locator('.live')
    .evaluateAll(tiles => new Set(tiles.map(tile => (tile as HTMLElement).dataset.row)).size);
  assert.ok(rows >= 6, `${rows} textures are alive`);
  for (const [row, method] of [
    [0, 0],
    [2, 1],
    [5, kept.columns.length - 1],
  ]) {
    const tile = page.locator(`.live[data-row="${row}"][data-method="${method}"]`);
    await tile.click();
    await page
      .locator(`.live[data-row="${row}"][data-method="${method}"][data-steps="${kept.steps}"]`)
      .waitFor();
    const expected = await rendered(
      at('tile.png'),
      `${path}#${method * kept.textures.length + row}`,
      { ...kept, seed: kept.seeds[row] },
      SIMD,
    );
    alike(await pixelsOf(tile.locator('canvas')), expected, 0, `${row}, ${method}`);
    // It lies where the gallery shows the same picture.
    const [box, image] = [await tile.boundingBox(), await page.locator('.under img').first().boundingBox()];
    assert.ok(box!.x > image!.x && box!.y > image!.y && box!.x + box!.width <= image!.x + image!.width);
    assert.ok(Math.abs(box!.width - box!.height) < 1);
  }
});

seen('tables sort by a click on their head, and back', async () => {
  const table = page.locator('table', { hasText: 'texture statistics' }).first();
  const head = table.locator('thead th').nth(1);
  const column = () =>
    table
      .locator('tbody tr td:nth-child(2)')
      .evaluateAll(cells => cells.map(cell => parseFloat(cell.textContent!)));
  await head.click();
  const rising = await column();
  assert.equal(
    rising,
    [...rising].sort((a, b) => a - b),
  );
  assert.is(await head.getAttribute('aria-sort'), 'ascending');
  await head.press('Enter');
  assert.equal(
    await column(),
    [...rising].sort((a, b) => b - a),
  );
});

seen('every figure has its numbers behind a link', async () => {
  const without = await page
    .locator('figure')
    .evaluateAll(figures =>
      figures
        .filter(figure => !figure.querySelector('a.csv') && !figure.closest('.strip'))
        .map(figure => figure.textContent),
    );
  assert.equal(without, []);
  assert.ok((await page.locator('.strip ~ p a.csv').count()) > 0);
  const links = page.locator('a.csv');
  const [download] = await Promise.all([page.waitForEvent('download'), links.first().click()]);
  assert.is(download.suggestedFilename(), 'numbers.csv');
  for (const href of await links.evaluateAll(all => all.map(link => (link as HTMLAnchorElement).href))) {
    const csv = Buffer.from(href.split(',')[1], 'base64').toString();
    const [names, ...rows] = csv.trim().split('\n');
    assert.match(names, ',');
    assert.ok(rows.length > 0);
  }
  const gallery = page.locator('figure:has(.under) a.csv').first();
  assert.is(
    Buffer.from((await gallery.getAttribute('href'))!.split(',')[1], 'base64').toString(),
    readFileSync(at('run', 'results.csv'), 'utf8'),
  );
});

seen('the page follows the dark, and fits a telephone', async () => {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.emulateMedia({ colorScheme: 'dark' });
  assert.is.not(await ground(), light);
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 390, height: 844 });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await page.setViewportSize({ width: 1280, height: 900 });
});

seen('no script but its own runs, and nothing is fetched', async () => {
  const blocked = await page.evaluate(async () => {
    const script = document.createElement('script');
    script.textContent = 'globalThis.broken = true';
    document.body.append(script);
    const fetched = await fetch('data:text/plain,x').then(
      () => true,
      () => false,
    );
    return { broken: 'broken' in globalThis, fetched };
  });
  // What was refused just now was said on the console.
  faults.length = 0;
  assert.equal(blocked, { broken: false, fetched: false });
});

test.run();
