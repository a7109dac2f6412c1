/** A zoo of 10,000 NCAs of 5,856 weights: the list scrolls, the map draws, and the first NCA grows within seconds. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { settle } from '../../src/config/index.ts';
import { sha256OfFile } from '../../src/data/zoo.ts';
import { writePng, writeSafetensors } from '../../src/formats/index.ts';
import { SPECS, weightCount } from '../../src/nca/index.ts';
import { randomStream } from '../../src/tensor/index.ts';
import { openBrowser, openPage, startStudio } from './browser.ts';

const test = suite('a large zoo in a browser');
const COUNT = 10_000;
/** Seconds from the address to a growing NCA: two where nothing else runs. */
const MOST = 2;
const folder = mkdtempSync(join(tmpdir(), 'weightloom-large-'));
const at = (...names: string[]) => join(folder, ...names);

test.before(async () => {
  const spec = SPECS.hypernca;
  const size = weightCount(spec);
  const random = randomStream(1, 'large zoo');
  const [base, u, v] = [random.normals(size, 0, 0.05), random.normals(size), random.normals(size)];
  async function* chunks() {
    for (let i = 0; i < COUNT; i++) {
      const [a, b] = [random.normal(0, 0.01), random.normal(0, 0.005)];
      yield base.map((x, k) => x + a * u[k] + b * v[k]);
    }
  }
  mkdirSync(at('images'));
  const picture = { width: 32, height: 32, data: random.uniforms(32 * 32 * 3) };
  await settle(writePng(at('images', '0.png'), picture));
  await settle(
    writeSafetensors(at('weights.safetensors'), { weights: { shape: [COUNT, size], chunks: chunks() } }),
  );
  const entries = Array.from({ length: COUNT }, (_, i) => ({
    name: `texture-${String(i).padStart(5, '0')}`,
    split: i % 10 === 0 ? 'held-out' : 'train',
    group: `texture-${i}`,
    image: 'images/0.png',
    rendering: null,
    provenance: { family: `family-${i % 40}`, source: 'made for a test', seed: i },
  }));
  const files = {
    'images/0.png': await sha256OfFile(at('images', '0.png')),
    'weights.safetensors': await sha256OfFile(at('weights.safetensors')),
  };
  const manifest = { format: 'weightloom-zoo', version: 2, spec, provenance: {}, files, entries };
  writeFileSync(at('zoo.json'), JSON.stringify(manifest));
});
test.after(() => rmSync(folder, { recursive: true }));

test('10,000 NCAs', async () => {
  const browser = await openBrowser();
  const studio = await startStudio([folder]);
  const { page, faults } = await openPage(browser);
  try {
    const start = performance.now();
    await page.goto(studio.url);
    await page.waitForFunction(
      () => Number(document.querySelector<HTMLElement>('[data-steps]')?.dataset.steps) > 2,
    );
    const seconds = (performance.now() - start) / 1000;
    console.log(`\n  the first NCA grows after ${seconds.toFixed(2)} s`);
    assert.ok(seconds < MOST, `${seconds} s`);
    // Only what is in sight is in the page.
    assert.ok((await page.locator('[role=option]').count()) < 60);
    await page.locator('.scroller').evaluate(scroller => {
      scroller.scrollTop = scroller.scrollHeight;
    });
    await page.locator('[role=option]', { hasText: 'texture-09999' }).click();
    await page.locator('h2', { hasText: 'texture-09999' }).waitFor();
    await page.getByRole('searchbox', { name: 'search NCAs' }).fill('04321');
    assert.is(await page.locator('[role=option]').count(), 1);
    const before = performance.now();
    await page.getByRole('link', { name: 'Map', exact: true }).click();
    await page.locator('.plane canvas[data-drawn="10000 dots"]').waitFor();
    console.log(`  the map is drawn after ${((performance.now() - before) / 1000).toFixed(2)} s`);
    const box = (await page.locator('.plane canvas').boundingBox())!;
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    for (let i = 0; i < 12; i++) await page.mouse.wheel(0, -400);
    await page.locator('.plane canvas[data-drawn$="pictures"]').waitFor();
    assert.equal(faults, []);
  } finally {
    await browser.close();
    await studio.stop();
  }
});

test.run();
