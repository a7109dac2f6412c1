import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { randomStream } from '../tensor/index.ts';
import { crossChosen, type MethodResult, rowsChosen } from './index.ts';

test('the choice for a texture does not depend on that texture, and is the best of the other fold', () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.integer({ min: 2, max: 9 }),
      fc.integer({ min: 1, max: 4 }),
      (seed, count, settings) => {
        const stream = randomStream(seed, 'choice');
        const logs = Array.from({ length: settings }, () => Float64Array.from(stream.normals(count)));
        const choice = crossChosen(logs);
        const row = stream.integer(0, count);
        const changed = logs.map(values => values.map((x, i) => (i % 2 === row % 2 ? -x : x)));
        assert.is(crossChosen(changed)[row], choice[row]);
        const mean = (values: Float64Array) =>
          values.filter((_, i) => i % 2 !== row % 2).reduce((sum, x) => sum + x, 0);
        for (const values of logs) assert.ok(mean(logs[choice[row]]) <= mean(values));
      },
    ),
  );
});

test('simulation: settings that are equal are not made better by choosing among them', () => {
  // Noise of deviation 1 about the same mean: chosen on the same textures the mean would fall, chosen on others it must not.
  const stream = randomStream(1, 'simulation');
  const trials = 2000;
  let sum = 0;
  for (let trial = 0; trial < trials; trial++) {
    const logs = Array.from({ length: 5 }, () => Float64Array.from(stream.normals(10)));
    const choice = crossChosen(logs);
    sum += choice.reduce((total, setting, row) => total + logs[setting][row], 0) / choice.length;
  }
  // The deviation of this mean is about 1 / sqrt(10 * 2000) = 0.007.
  assert.ok(Math.abs(sum / trials) < 0.03, `${sum / trials}`);
});

test('rows come from the results that were chosen for them', () => {
  const result = (tag: number): MethodResult => ({
    name: 'x',
    kind: 'denoiser',
    weights: Float32Array.of(tag, tag, tag + 0.5, tag + 0.5),
    pictures: Float32Array.of(tag, -tag),
    health: ['sound', tag > 1 ? 'non-finite' : 'sound'] as MethodResult['health'],
    values: { d: Float64Array.of(tag, 10 * tag) },
  });
  const chosen = rowsChosen([result(1), result(2)], [1, 0]);
  assert.equal([...chosen.weights], [2, 2, 1.5, 1.5]);
  assert.equal([...chosen.pictures], [2, -1]);
  assert.equal([...chosen.values.d], [2, 10]);
  assert.equal([...chosen.health], ['sound', 'sound']);
});

test.run();
