import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { MethodResult } from '../evaluation/index.ts';
import { JUDGED, type Judged, timesGoal, verdictsOf } from './verdicts.ts';

const quality = { timesOwn: 1.5, least: 0.004, worst: 0.95 };
const OWN = 0.02;

/** One picture, at so many times the goal of 0.03. */
const at = (times: number, name = 'sample 1'): MethodResult => ({
  name,
  kind: 'denoiser',
  weights: new Float32Array(),
  pictures: new Float32Array(),
  health: ['sound'],
  values: Object.fromEntries(JUDGED.map(metric => [metric, Float64Array.of(times * 1.5 * OWN)])),
});
const bound = at(1 / 1.5, 'own');
const curve = (start: string, ...times: number[]) => ({
  start,
  results: times.map(x => at(x, start)),
  skipped: new Int32Array(1),
  seconds: 8,
});
const judged = (curves: readonly ReturnType<typeof curve>[], fault: string | null = null): Judged => ({
  tuning: { checkpoints: [0, 10, 40], curves, bound },
  ofModel: ['sample 1', 'one step'],
  samples: [curves[0].results[0]],
  quality,
  faults: [fault],
});

test('the goal is that of the worse distance, and never below the least', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 1e-5, max: 1, noNaN: true }), { minLength: 4, maxLength: 4 }),
      d => {
        const values = (patch: number, structure: number) => ({
          values: { [JUDGED[0]]: Float64Array.of(patch), [JUDGED[1]]: Float64Array.of(structure) },
        });
        const [times] = timesGoal(values(d[0], d[1]), values(d[2], d[3]), quality);
        const good = [0, 1].every(m => d[m] <= Math.max(quality.least, quality.timesOwn * d[m + 2]));
        assert.is(times <= 1, good);
      },
    ),
  );
});

test('a verdict follows the best start of the model, whatever the others do', () => {
  const times = fc.double({ min: 0.2, max: 9, noNaN: true });
  fc.assert(
    fc.property(
      fc.array(fc.array(times, { minLength: 3, maxLength: 3 }), { minLength: 3, maxLength: 3 }),
      all => {
        const names = ['sample 1', 'one step', 'nearest'];
        const [found] = verdictsOf(judged(all.map((one, i) => curve(names[i], ...one))));
        const mine = all.slice(0, 2);
        const expected = mine.some(([first]) => first <= 1)
          ? 'works'
          : mine.some(one => one[2] <= 1)
            ? 'needs fine-tuning'
            : 'does not work';
        assert.is(found.verdict, expected);
        assert.ok(names.slice(0, 2).includes(found.best.start));
        // 8 s for 40 iterations of one picture.
        for (const { iterations, seconds } of found.costs) assert.is(seconds.low, iterations.low * 0.2);
        if (expected === 'needs fine-tuning') {
          const least = Math.min(...found.costs.slice(0, 2).map(cost => cost.iterations.high));
          assert.match(found.sentence, `needs about ${Math.ceil(least)} iterations`);
        }
      },
    ),
  );
});

test('a picture that its own NCA does not show does not suit, however near the model comes', () => {
  const [found] = verdictsOf(judged([curve('sample 1', 0.5, 0.5, 0.5)], 'loss 0.3 after 200 steps'));
  assert.is(found.verdict, 'does not work');
  assert.match(found.sentence, 'loss 0.3 after 200 steps');
});

test('what needs no model is said', () => {
  const curves = [curve('sample 1', 4, 2, 0.9), curve('nearest', 3, 0.5, 0.4)];
  const [found] = verdictsOf(judged(curves));
  assert.match(found.sentence, /Best start without the model: nearest of the zoo, \d iterations: fewer\.$/);
});

test.run();
