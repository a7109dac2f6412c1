/**
 * The studio's page beside `nca render`: milliseconds of one step of an NCA while the kernels are busy, on the same threads and, by default, each on the best
 * kernel build it has. The page also paints every frame; that is its own time, not the kernels'.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBrowser, openPage, startStudio } from '../property-tests/browser/browser.ts';
import { kernelBuild, setThreadCount } from '../src/compute/index.ts';
import { settle } from '../src/config/index.ts';
import { renderNcas, writeWeights } from '../src/data/index.ts';
import { type NcaSpec, SPECS, weightCount } from '../src/nca/index.ts';
import { randomStream, startBackend } from '../src/tensor/index.ts';
import { Comparison, type Contestant, interleave } from './harness.ts';

const THREADS = Number(process.env.WEIGHTLOOM_BENCH_THREADS ?? 2);
const STEPS = 100;
const folder = mkdtempSync(join(tmpdir(), 'weightloom-bench-'));
const spec: NcaSpec = SPECS.hypernca;
const flat = randomStream(1, 'weights').normals(weightCount(spec), 0, 0.05);
await settle(writeWeights(join(folder, 'weights.safetensors'), { spec, flat }));
await startBackend();
setThreadCount(THREADS);
const studio = await startStudio([join(folder, 'weights.safetensors')]);
const browser = await openBrowser();
const { page, faults } = await openPage(browser);
await page.goto(`${studio.url}?threads=${THREADS}#/grow`);
await page.locator('[data-speed=full]').click();
await page.locator('[data-do=play]').click();

const render = (size: number): Contestant => ({
  name: 'nca render',
  async time(count) {
    const start = performance.now();
    for (let i = 0; i < count; i++) await renderNcas(spec, flat, { steps: STEPS, size, seed: 1 });
    return (performance.now() - start) / count / STEPS;
  },
});

/** Steps done and milliseconds of the kernels so far, as the page counts them. */
const busy = () =>
  page
    .locator('.steps')
    .evaluate(({ dataset }) => [Number(dataset.busySteps), Number(dataset.busyMilliseconds)]);

const live: Contestant = {
  name: 'the page',
  async time(count) {
    const [steps, milliseconds] = await busy();
    await page.locator('[data-do=play]').click();
    await page.waitForFunction(
      wanted => Number(document.querySelector<HTMLElement>('.steps')?.dataset.busySteps) >= wanted,
      steps + count * STEPS,
    );
    await page.locator('[data-do=play]').click();
    await page.waitForTimeout(100);
    const [after, spent] = await busy();
    return (spent - milliseconds) / (after - steps);
  },
};

const table = new Comparison(`one step, ${THREADS} threads, build ${kernelBuild()} in Node`, [
  'nca render',
  'the page',
]);
for (const size of [128, 256]) {
  await page.locator('[data-do=size]').selectOption(String(size));
  await page.locator(`.main canvas[width="${size}"]`).waitFor();
  await page.waitForTimeout(500);
  await page.locator('[data-do=play]', { hasText: 'pause' }).click();
  table.add(
    `${spec.name}, ${size}x${size}`,
    await interleave([render(size), live], { rounds: 9, milliseconds: 6 }),
  );
}
table.print();
console.log((await page.locator('details p.dim').textContent())?.trim(), 'on the page');
for (const fault of faults) console.error(fault);
await browser.close();
await studio.stop();
rmSync(folder, { recursive: true });
process.exit(0);
