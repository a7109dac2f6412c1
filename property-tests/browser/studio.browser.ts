/** Every view of the studio, by clicking, on a run that was made for it and the embedded zoo; pictures are those that the command line writes. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readKeptNcas } from '../../src/experiment/index.ts';
import { readResults } from '../../src/runs/index.ts';
import {
  alike,
  command,
  openBrowser,
  openPage,
  pixelsOf,
  rendered,
  type StartedStudio,
  startStudio,
} from './browser.ts';

const test = suite('studio in a browser');
const folder = mkdtempSync(join(tmpdir(), 'weightloom-browser-'));
const at = (...names: string[]) => join(folder, ...names);
const RUN = 'a-run';
const ZOO = 'configs/zoo/embedded';
/** Page and command line run the same kernels: their pictures are the same, bit for bit. */
const SIMD = { WEIGHTLOOM_BUILD: 'simd', WEIGHTLOOM_THREADS: '2' };

let browser: Browser;
let studio: StartedStudio;
let page: Page;
let faults: string[];

test.before(async () => {
  await command(
    [
      ...['run', 'quickstart', 'zoo=procedural', 'training.steps=4', 'training.batch=8', 'sampling.steps=6'],
      ...['sampling.draws=2', 'limit.train=40', 'limit.heldOut=5', 'evaluation.steps=60'],
      ...['--out', at('runs', RUN)],
    ],
    { env: SIMD },
  );
  cpSync(at('runs', RUN), at('runs', 'the-same'), { recursive: true });
  mkdirSync(at('runs', 'unfinished'));
  writeFileSync(at('runs', 'unfinished', 'config.yaml'), 'seed: 0\n');
  cpSync('configs/zoo/procedural', at('damaged'), { recursive: true });
  writeFileSync(at('damaged', 'zoo.json'), '{"format": "weightloom-zoo"');
  browser = await openBrowser();
  studio = await startStudio([at('runs'), ZOO, at('damaged'), at('nowhere')], { env: SIMD });
  ({ page, faults } = await openPage(browser));
  await page.goto(`${studio.url}#/compare/${RUN}`);
});
test.after(async () => {
  await browser?.close();
  if (studio) assert.is(await studio.stop(), 0);
  rmSync(folder, { recursive: true });
});

/** A test after which nothing has gone wrong on the console, whatever was clicked. */
const seen = (name: string, work: () => Promise<void>) =>
  test(name, async () => {
    await work();
    assert.equal(faults, []);
  });

const view = (name: string) => page.getByRole('navigation').getByRole('link', { name, exact: true }).click();
const until = (steps: number) => page.locator(`[data-steps="${steps}"]`).waitFor({ timeout: 60_000 });
const source = (label: string | RegExp) =>
  page
    .getByLabel('what is shown')
    .locator('option')
    .filter({ hasText: label })
    .getAttribute('value')
    .then(value => page.getByLabel('what is shown').selectOption(value!));
const heading = () => page.locator('main h2').first().textContent();

seen('the first view says which denoiser is best and where it is worst', async () => {
  const { summary, perTexture, metrics, textures } = await readResults(at('runs', RUN));
  const [{ name, better }] = metrics;
  assert.is(better, 'lower');
  const [best] = summary
    .filter(({ kind }) => kind === 'denoiser')
    .sort((a, b) => a.metrics[name].mean - b.metrics[name].mean);
  const values = perTexture.find(({ method }) => method === best.method)![name] as number[];
  const worst = textures[values.indexOf(Math.max(...values))];
  assert.is(await page.locator('[data-card=best] b').textContent(), best.method);
  assert.is(await page.locator('[data-card="its worst texture"] b').textContent(), worst);
  // And there is no more to be clicked: its textures stand there, the worst on top.
  const rows = page.locator('[data-table=textures] tbody tr');
  assert.is(await rows.first().getAttribute('data-pick'), worst);
  assert.is(await rows.count(), textures.length);
});

seen(
  'compare: tables sort and filter, a chosen texture shows everywhere, its NCAs are those of the run',
  async () => {
    const { textures, summary } = await readResults(at('runs', RUN));
    const methods = page.locator('[data-table=methods] tbody tr');
    assert.is(await methods.count(), summary.length);
    await page.locator('[data-table=methods] [data-sort=name]').click();
    const names = await methods.evaluateAll(rows => rows.map(row => (row as HTMLElement).dataset.pick!));
    assert.equal(
      names,
      [...names].sort((a, b) => a.localeCompare(b)),
    );
    await page.locator('[data-kind=baseline]').click();
    assert.is(await methods.count(), summary.filter(({ kind }) => kind !== 'baseline').length);
    await page.locator('[data-do=methods]').fill('own NCA');
    assert.is(await methods.count(), 1);
    await page.locator('[data-do=methods]').fill('');
    await page.locator('[data-kind=baseline]').click();
    await page.locator('[data-do=metric]').selectOption('patch-sw');
    await page.locator(`[data-table=textures] [data-pick="${textures[1]}"]`).click();
    await page.locator(`h2:has-text("${textures[1]}")`).waitFor();
    await page.locator('[data-do=to]').click();
    const path = at('runs', RUN, 'weights.safetensors');
    const { kept } = await readKeptNcas(path);
    await until(kept.steps);
    for (const column of [0, 1, kept.columns.length - 1]) {
      const row = column * textures.length + 1;
      const expected = await rendered(
        at('tile.png'),
        `${path}#${row}`,
        { ...kept, seed: kept.seeds[1] },
        SIMD,
      );
      const tile = page.locator(`[data-tile="${kept.columns[column].name}"] canvas`);
      const found = await pixelsOf(tile);
      assert.equal(found, expected, kept.columns[column].name);
    }
  },
);

seen('compare: another run of the same textures is added, and taken away again', async () => {
  const methods = page.locator('[data-table=methods] tbody tr');
  const count = await methods.count();
  await page.locator('[data-with]').click();
  await page.locator('[data-tile$="the-same"] canvas').first().waitFor();
  assert.is(await methods.count(), 2 * count);
  await page.locator('[data-do=to]').click();
  await until(60);
  // The same methods twice: every two tiles are alike.
  const name = (await methods.first().getAttribute('data-pick'))!.split(' · ')[0];
  const tiles = await Promise.all(
    [RUN, 'the-same'].map(run => pixelsOf(page.locator(`[data-tile="${name} · ${run}"] canvas`))),
  );
  assert.equal(tiles[0], tiles[1]);
  await page.locator('[data-with]').click();
  await page.waitForFunction(
    wanted => document.querySelectorAll('[data-table=methods] tbody tr').length === wanted,
    count,
  );
});

seen('the report of a run opens beside it, and lives there too', async () => {
  const [report] = await Promise.all([
    page.context().waitForEvent('page'),
    page.getByRole('link', { name: 'its report' }).click(),
  ]);
  await report.locator('.live[data-row="1"][data-method="0"]').click();
  await report.locator('.live[data-row="1"][data-method="0"][data-steps="60"]').waitFor();
  const path = at('runs', RUN, 'weights.safetensors');
  const { kept } = await readKeptNcas(path);
  const expected = await rendered(at('tile.png'), `${path}#1`, { ...kept, seed: kept.seeds[1] }, SIMD);
  assert.equal(await pixelsOf(report.locator('.live[data-row="1"][data-method="0"] canvas')), expected);
  await report.close();
});

seen('sampling: every noise level is an NCA of its own, the last one the sample', async () => {
  await view('Sampling');
  const path = at('runs', RUN, 'trajectory.safetensors');
  const { kept } = await readKeptNcas(path);
  await page.locator('[data-do=texture]').selectOption('2');
  await page.locator('[data-do=to]').click();
  await until(kept.steps);
  assert.is(await page.locator('[data-film]').count(), kept.columns.length);
  const slider = page.locator('[data-do=level]');
  for (const level of [0, 3, kept.columns.length - 1]) {
    await slider.fill(String(level));
    await page.locator(`[data-level="${level}"]`).waitFor();
    const row = level * kept.textures.length + 2;
    const options = { steps: kept.steps, size: 64, seed: kept.seeds[2] };
    alike(
      await pixelsOf(page.locator('.big canvas')),
      await rendered(at('level.png'), `${path}#${row}`, options, SIMD),
      0,
      `level ${level}`,
    );
  }
  assert.match((await page.locator('[data-level]').textContent())!, 'the sample itself');
});

seen('a click on a tile opens the NCA that grows there', async () => {
  await view('Compare');
  await page.locator('.tile a').first().click();
  await page.locator('.main canvas').waitFor();
  assert.match(page.url(), /#\/grow\//);
  // An NCA of a set that another view does not show is not taken along to it.
  await view('Sampling');
  await page.locator('[data-film]').first().waitFor();
  assert.match(page.url(), /#\/sampling\/[^/]+\/[^/]+trajectory/);
  await page.goto(page.url().replace(/#.*$/, '#/%E0%A4%A'));
  await page.reload();
  await page.locator('[data-card=best]').waitFor();
  assert.match(page.url(), /#\/compare\//);
  await page.locator('.tile a').first().click();
  await page.locator('.main canvas').waitFor();
});

seen('grow: the picture is the one that nca render writes, bit for bit, at every size', async () => {
  await source('embedded');
  await page.getByPlaceholder('search 472 NCAs').waitFor();
  await page.locator('[role=option]').nth(3).click();
  const name = (await page.locator('[role=option] .name').nth(3).textContent())!;
  await page.locator(`h2:has-text("${name}")`).waitFor();
  for (const [size, seed] of [
    [128, 1],
    [64, 7],
    [256, 1],
  ]) {
    const [sized, seeded] = [page.locator('[data-do=size]'), page.locator('[data-do=seed]')];
    if ((await sized.inputValue()) !== String(size)) await sized.selectOption(String(size));
    if ((await seeded.inputValue()) !== String(seed)) {
      await seeded.fill(String(seed));
      await seeded.blur();
    }
    await page.locator(`.main canvas[width="${size}"][data-seed="${seed}"]`).waitFor();
    await page.locator('[data-do=to]').click();
    await until(200);
    const expected = await rendered(at('grown.png'), `${ZOO}#${name}`, { steps: 200, size, seed }, SIMD);
    alike(await pixelsOf(page.locator('.main canvas')), expected, 0, `${size} x ${size}`);
  }
});

seen('grow: play, pause, one step, reset, speed, brush, channels', async () => {
  const steps = () => page.locator('[data-steps]').getAttribute('data-steps').then(Number);
  const canvas = page.locator('.main canvas');
  await page.locator('[data-do=size]').selectOption('64');
  await page.locator('.main canvas[width="64"]').waitFor();
  await page.locator('[data-speed=full]').click();
  await page.waitForFunction(() => /a second/.test(document.querySelector('.steps')?.textContent ?? ''));
  await page.locator('[data-do=play]').click();
  await page.waitForTimeout(300);
  const paused = await steps();
  assert.ok(paused > 0);
  await page.locator('[data-do=step]').click();
  await until(paused + 1);
  const whole = await pixelsOf(canvas);
  const box = (await canvas.boundingBox())!;
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2 + 20, box.y + box.height / 2, { steps: 4 });
  await page.mouse.up();
  await page.waitForTimeout(300);
  const erased = await pixelsOf(canvas);
  // Where it passed there is the grey of the seed; in the corner nothing has changed.
  const pixel = (bytes: Uint8Array, x: number, y: number) => [
    ...bytes.subarray(3 * (64 * y + x), 3 * (64 * y + x) + 3),
  ];
  assert.equal(pixel(erased, 32, 32), [128, 128, 128]);
  assert.equal(pixel(erased, 1, 1), pixel(whole, 1, 1));
  await page.locator('[data-channel="0"]').selectOption('5');
  await page.waitForTimeout(300);
  const latent = await pixelsOf(canvas);
  assert.not.equal(pixel(latent, 1, 1)[0], undefined);
  assert.ok(latent.some((x, i) => i % 3 === 0 && x !== erased[i]));
  assert.ok(latent.every((x, i) => i % 3 === 0 || x === erased[i]));
  await page.locator('[data-channel="0"]').selectOption('0');
  await page.locator('[data-do=reset]').click();
  await until(0);
});

seen('symmetries: what keeps the picture keeps it, what moves it moves it as the group says', async () => {
  await view('Symmetries');
  const canvases = page.locator('.pair canvas');
  await canvases.nth(1).waitFor();
  for (const move of [
    'shuffle hidden units',
    'rescale hidden units',
    'new latent basis',
    'turn',
    'mirror',
    'recolour',
    'turn the hues',
  ]) {
    await page
      .locator('[data-move=undo]:not([disabled])')
      .click({ timeout: 2000 })
      .catch(() => {});
    await page.locator(`[data-move="${move}"]`).click();
    await page.locator('[data-verdict] b').first().waitFor();
    await page.waitForTimeout(300);
    await page.locator('[data-do=to]').click();
    await until(200);
    await page.waitForTimeout(500);
    const difference = Number(await page.locator('[data-difference]').getAttribute('data-difference'));
    // Sums in another order, over 200 steps: less than half a step of 255 in every number.
    assert.ok(difference < 0.5 / 255, `${move}: ${difference}`);
    const [left, right] = [await pixelsOf(canvases.nth(0)), await pixelsOf(canvases.nth(1))];
    const stays = ['shuffle hidden units', 'rescale hidden units', 'new latent basis'].includes(move);
    if (stays) alike(right, left, 1, move);
    else
      assert.ok(
        right.some((x, i) => Math.abs(x - left[i]) > 8),
        `${move} moved nothing`,
      );
    const said = (await page.locator('[data-verdict]').textContent())!;
    assert.match(said, stays ? 'The picture stays the same' : 'The picture moves exactly as the group says');
  }
  await page.locator('[data-move="shuffle hidden units"]').click();
  await page.waitForTimeout(300);
  assert.match((await page.locator('[data-verdict]').textContent())!, /of 32 now stand elsewhere/);
});

seen(
  'graph: a node is found, its weights are those of the file; the difference of two is matched first',
  async () => {
    await view('Graph');
    await page.locator('.graph canvas').first().waitFor();
    await page.locator('[data-do=seek]').fill('hidden unit 5');
    await page.locator('[data-side] h2').waitFor();
    assert.is(await page.locator('[data-side] h2').textContent(), 'hidden unit 5');
    const [, id, row] = page.url().split('#/graph/')[1].split('/');
    const body = await (await page.request.get(`${studio.url}api/sets/${id}/rows/${row}/1`)).body();
    const first = Float32Array.from({ length: body.length / 4 }, (_, i) => body.readFloatLE(4 * i));
    const incoming = [...first.subarray(5 * 32, 6 * 32), first[32 * 32 + 5]];
    const strongest = incoming.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a));
    const shown = await page.locator('[data-side] td.number').first().textContent();
    assert.ok(Math.abs(Number(shown) - strongest) <= 0.005 * Math.abs(strongest), `${shown} ${strongest}`);
    // By the pointer: somewhere on the column of outputs stands a node.
    await page.locator('[data-do=seek]').fill('');
    const box = (await page.locator('.graph').boundingBox())!;
    let found = '';
    for (let x = 60; x > 30 && !/update of channel/.test(found); x -= 5) {
      for (let y = 0.05; y < 1 && !/update of channel/.test(found); y += 0.012) {
        await page.mouse.move(box.x + box.width - x, box.y + y * box.height);
        found = (await page.locator('[data-side]').textContent())!;
      }
    }
    assert.match(found, 'update of channel');
    await page.locator('[data-do=share]').fill('80');
    const other = (await page.locator('[role=option] .name').nth(7).textContent())!;
    await page.locator('[data-do=less]').fill(other);
    await page.locator('[data-do=less]').blur();
    await page.locator('[data-verdict]').waitFor();
    assert.match((await heading())!, `less ${other}`);
  },
);

seen('map: all NCAs are drawn, a click opens one', async () => {
  await view('Map');
  await page.locator('.plane canvas[data-drawn]').waitFor();
  const canvas = page.locator('.plane canvas');
  assert.match((await canvas.getAttribute('data-drawn'))!, /^472 pictures$/);
  const box = (await canvas.boundingBox())!;
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.wheel(0, 600);
  await page.mouse.wheel(0, -600);
  for (let x = 0.1; x < 0.9 && /#\/map/.test(page.url()); x += 0.05) {
    await page.mouse.click(box.x + x * box.width, box.y + box.height * (0.3 + 0.4 * x));
    await page.waitForTimeout(50);
  }
  assert.match(page.url(), /#\/grow\/embedded\/embedded\/\d+/);
  await page.locator('.main canvas').waitFor();
});

seen('what cannot be read is a sentence on the page and in the terminal, and the rest is there', async () => {
  for (const [label, sentence] of [
    ['damaged', /zoo\.json: expected .*JSON/],
    ['unfinished', /expected a finished run, with results\.json in it/],
    ['nowhere', /found nothing there/],
  ] as const) {
    await source(label);
    await page.locator('header .problem').waitFor();
    assert.match((await page.locator('header .problem').textContent())!, sentence);
    assert.match(studio.said(), sentence);
  }
  await source('embedded');
  await page.locator('.main canvas').waitFor();
  assert.is(await page.locator('header .problem').count(), 0);
});

seen('a list that was scrolled is there when its view comes back', async () => {
  await page.goto(`${studio.url}#/grow/embedded/embedded/400`);
  await page.locator('[role=option][data-row="400"][aria-selected=true]').waitFor();
  await view('Map');
  await view('Grow');
  await page.locator('[role=option]').first().waitFor();
  await page.locator('.scroller').evaluate(scroller => {
    scroller.scrollTop = 0;
  });
  await page.locator('[role=option][data-row="2"]').click();
  await page.locator('[role=option][data-row="2"][aria-selected=true]').waitFor();
});

seen('back and forward, and an address that was kept', async () => {
  await view('Graph');
  await page.goBack();
  await page.locator('.main canvas').waitFor();
  await page.goto(`${studio.url}#/grow/embedded/embedded/9`);
  await page.locator('[role=option][aria-selected=true]').waitFor();
  assert.is(await page.locator('[role=option][aria-selected=true]').getAttribute('data-row'), '9');
});

seen('on one thread, on telephones and in the dark it is the same picture', async () => {
  const expected = await rendered(
    at('one.png'),
    `${ZOO}#${JSON.parse(readFileSync(`${ZOO}/zoo.json`, 'utf8')).entries[2].name}`,
    { steps: 200, size: 128, seed: 1 },
    SIMD,
  );
  const other = await openPage(browser, {
    viewport: { width: 390, height: 844 },
    colorScheme: 'dark',
    hasTouch: true,
  });
  await other.page.goto(`${studio.url}?threads=1#/grow/embedded/embedded/2`);
  await other.page.locator('[data-do=to]').click();
  await other.page.locator('[data-steps="200"]').waitFor();
  alike(await pixelsOf(other.page.locator('.main canvas')), expected, 0, 'one thread');
  // Nothing is wider than the telephone.
  assert.ok(await other.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  assert.equal(other.faults, []);
  await other.page.close();
});

seen('where the builds differ, pictures differ by no more than one step of 255', async () => {
  if (process.env.WEIGHTLOOM_BUILD) return;
  const free = await startStudio([ZOO]);
  const { page: other, faults: wrong } = await openPage(browser);
  await other.goto(`${free.url}#/grow/embedded/embedded/4`);
  await other.locator('[data-do=to]').click();
  await other.locator('[data-steps="200"]').waitFor();
  const { entries } = JSON.parse(readFileSync(`${ZOO}/zoo.json`, 'utf8'));
  const expected = await rendered(
    at('free.png'),
    `${ZOO}#${entries[4].name}`,
    { steps: 200, size: 128, seed: 1 },
    { WEIGHTLOOM_BUILD: 'simd' },
  );
  alike(await pixelsOf(other.locator('.main canvas')), expected, 1, 'fma and simd');
  assert.equal(wrong, []);
  await other.close();
  await free.stop();
  assert.ok(existsSync(at('free.png')));
});

test('grow: WebGPU grows the picture of WebAssembly, and a lost device leaves it growing', async () => {
  const gpu = await openBrowser([
    '--enable-unsafe-webgpu',
    '--use-webgpu-adapter=swiftshader',
    '--enable-features=Vulkan',
  ]);
  try {
    const { page: other, faults: wrong } = await openPage(gpu);
    // One on which the kernels' own builds are within one step of 255 after 200 steps; number 5 makes two of it, for them as for WebGPU.
    await other.goto(`${studio.url}#/grow/embedded/embedded/2`);
    const canvas = (on: string) => other.locator(`.main canvas[width="64"][data-on=${on}]`);
    const until = (steps: number) => other.locator(`[data-steps="${steps}"]`).waitFor({ timeout: 60_000 });
    await other.locator('.main canvas').waitFor();
    await other.locator('[data-do=size]').selectOption('64');
    await canvas('wasm').waitFor();
    const [worker] = other.workers();
    if (!(await worker.evaluate(async () => Boolean(await navigator.gpu?.requestAdapter())))) {
      console.log('skipped: this browser gives no WebGPU adapter');
      assert.is(await other.locator('[data-do=computer]').count(), 0);
      return;
    }
    await other.locator('[data-do=to]').click();
    await until(200);
    const expected = await pixelsOf(canvas('wasm'));
    // Devices and what they compute are noted as they pass.
    await worker.evaluate(() => {
      const noted = { devices: [] as GPUDevice[], submitted: 0 };
      Object.assign(globalThis, { noted });
      const { requestDevice } = GPUAdapter.prototype;
      GPUAdapter.prototype.requestDevice = async function (...given) {
        const device = await requestDevice.apply(this, given);
        noted.devices.push(device);
        return device;
      };
      const { submit } = GPUQueue.prototype;
      GPUQueue.prototype.submit = function (...given) {
        noted.submitted++;
        return submit.apply(this, given);
      };
    });
    await other.locator('[data-do=computer]').selectOption('webgpu');
    await canvas('webgpu').waitFor();
    await other.locator('[data-do=to]').click();
    await until(200);
    alike(await pixelsOf(canvas('webgpu')), expected, 1, 'WebGPU and WebAssembly');
    assert.is(await other.locator('[data-fallback]').count(), 0);
    const { devices, submitted } = await worker.evaluate(() => {
      const { noted } = globalThis as unknown as { noted: { devices: GPUDevice[]; submitted: number } };
      return { devices: noted.devices.length, submitted: noted.submitted };
    });
    assert.is(devices, 1);
    assert.ok(submitted > 0);
    assert.equal(wrong, []);
    await worker.evaluate(() => {
      const { noted } = globalThis as unknown as { noted: { devices: GPUDevice[] } };
      noted.devices[0].destroy();
    });
    await other.locator('[data-do=step]').click();
    await until(201);
    assert.match(
      (await other.locator('[data-fallback]').textContent())!,
      /^WebGPU failed \(.+\): WebAssembly goes on\.$/,
    );
    assert.is(await other.locator('[data-do=computer]').inputValue(), 'wasm');
    await other.locator('[data-do=reset]').click();
    await until(0);
    await other.locator('[data-do=to]').click();
    await until(200);
    alike(await pixelsOf(canvas('webgpu')), expected, 0, 'WebAssembly, after the device was lost');
  } finally {
    await gpu.close();
  }
});

test.run();
