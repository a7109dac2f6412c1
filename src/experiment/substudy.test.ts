import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { writeTinyZoo } from '../../property-tests/tiny-zoo.ts';
import { renderWeights } from '../evaluation/index.ts';
import { actOnWeights, align, SPECS, weightCount } from '../nca/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import { buildEncoder } from './model/model.ts';
import { openStudy } from './study.ts';
import {
  disorderWeights,
  matchedWeights,
  nestedOrder,
  recoveredUnits,
  substudy,
  type TrainingChange,
} from './substudy.ts';

const test = suite('studies with another training set');
const root = mkdtempSync(join(tmpdir(), 'weightloom-substudy-'));
const folder = join(root, 'zoo');
test.before(async () => {
  await startBackend();
  await writeTinyZoo(folder);
});
test.after(() => rmSync(root, { recursive: true, force: true }));

test('nested orders are permutations of which every beginning has its share of each kind', () => {
  const names = ['a', 'b', 'c', 'd'].flatMap(kind =>
    Array.from({ length: kind === 'd' ? 10 : 20 }, (_, i) => `${kind}-${i}`),
  );
  for (let seed = 0; seed < 20; seed++) {
    const order = nestedOrder(names, seed);
    assert.equal(
      [...order].sort((a, b) => a - b),
      names.map((_, i) => i),
    );
    assert.equal(order, nestedOrder(names, seed));
    for (const size of [7, 14, 35, 50]) {
      const kinds = order.slice(0, size).map(row => names[row][0]);
      for (const kind of 'abcd') {
        const share = (kind === 'd' ? 1 : 2) / 7;
        const count = kinds.filter(k => k === kind).length;
        assert.ok(Math.abs(count - share * size) <= 2, `${count} of ${kind} in ${size}`);
      }
    }
  }
  assert.not.equal(nestedOrder(names, 0), nestedOrder(names, 1));
});

test('matched weights are the same NCAs, whatever order they came in, and mild ones of one origin come back to it', () => {
  const spec = SPECS.compact;
  const size = weightCount(spec);
  const base = randomStream(1, 'base').normals(size, 0, 0.3);
  const zoo = Float32Array.from({ length: 5 * size }, (_, i) => base[i % size]);
  const noise = randomStream(2, 'noise').normals(zoo.length, 0, 0.05);
  zoo.forEach((x, i) => {
    zoo[i] = x + noise[i];
  });
  const shuffled = disorderWeights(spec, zoo, ['hidden-permutation'], 7);
  const matched = matchedWeights(spec, shuffled, base);
  // The same matching of the same units, scaled by factors that are summed up in another order: float32 rounding.
  const direct = matchedWeights(spec, zoo, base);
  matched.forEach((x, i) => {
    assert.ok(Math.abs(x - direct[i]) < 1e-5, `weight ${i}: ${x} and ${direct[i]}`);
  });
  // Noise of a sixth of the units' own spread does not confuse 32 of them: each is back at its place, at most rescaled.
  matched.forEach((x, i) => {
    assert.ok(Math.abs(x - zoo[i]) < 0.25 * Math.abs(zoo[i]) + 1e-6, `weight ${i}: ${x} and ${zoo[i]}`);
  });
});

test('a substudy has the rows asked for, its own standardisation, and leaves the study as it was', async () => {
  const encoder = await buildEncoder({ kind: 'random-gram' }, 0);
  const study = await openStudy({ zoo: folder, encoder });
  const before = tf.memory().numTensors;
  const size = weightCount(study.spec);
  const { train } = study;
  const rows = [train.names.length - 1, 0, 1];
  const sub = await substudy(study, { rows });
  assert.equal(
    sub.train.names,
    rows.map(row => train.names[row]),
  );
  assert.equal(sub.train.weights.slice(size, 2 * size), train.weights.slice(0, size));
  assert.equal(
    (await sub.train.features.data()).slice(0, 4),
    (await tf.tidy(() => tf.slice(train.features, [rows[0], 0, 0], [1, -1, -1])).data()).slice(0, 4),
  );
  assert.is(sub.heldOut, study.heldOut);
  // Standardised features of the set itself have mean 0: float32 sums of values clipped to five deviations.
  const own = tf.tidy(() => tf.max(tf.abs(tf.mean(sub.encoder.project(sub.train.features), 0))));
  const whole = tf.tidy(() => tf.max(tf.abs(tf.mean(study.encoder.project(sub.train.features), 0))));
  assert.ok(own.dataSync()[0] < 1e-3, `${own.dataSync()[0]}`);
  assert.ok(whole.dataSync()[0] > 1e-2, `${whole.dataSync()[0]}`);
  tf.dispose([own, whole]);
  sub.dispose();
  assert.not.ok(train.pictures.isDisposed);
  const refused = (change: TrainingChange) => substudy(study, change).catch(error => error.message);
  assert.match(await refused({ rows: [0] }), /at least 2/);
  assert.match(await refused({ weights: new Float32Array(3) }), /3 weights/);
  study.dispose();
  encoder.dispose();
  assert.ok(tf.memory().numTensors < before);
});

test('disordered NCAs grow the same pictures, and aligning finds the way back', async () => {
  const encoder = await buildEncoder({ kind: 'random-gram' }, 0);
  const { spec, train, dispose } = await openStudy({ zoo: folder, encoder });
  const size = weightCount(spec);
  const moved = disorderWeights(spec, train.weights, ['hidden-permutation', 'hidden-scaling'], 3);
  assert.equal(moved, disorderWeights(spec, train.weights, ['hidden-permutation', 'hidden-scaling'], 3));
  const run = { steps: 8, size: 8, seed: 0 };
  const [a, b] = await Promise.all([
    renderWeights(spec, train.weights, run),
    renderWeights(spec, moved, run),
  ]);
  // The same sums in another order and scaling, over eight steps.
  a.pictures.forEach((x, i) => {
    assert.ok(Math.abs(x - b.pictures[i]) < 1e-4);
  });
  for (let n = 0; n < 3; n++) {
    const [before, after] = [train.weights, moved].map(all => all.slice(n * size, (n + 1) * size));
    assert.not.equal(after, before);
    const back = actOnWeights(spec, align(spec, after, before), after);
    back.forEach((x, i) => {
      assert.ok(Math.abs(x - before[i]) < 1e-5);
    });
  }
  // Near one base everything is recovered; among unrelated NCAs about one unit in as many as there are.
  assert.is(recoveredUnits(spec, train.weights, moved), 1);
  const unrelated = Float32Array.from(randomStream(4, 'unrelated').normals(12 * size));
  const shuffled = disorderWeights(spec, unrelated, ['hidden-permutation'], 5);
  assert.ok(recoveredUnits(spec, unrelated, shuffled) < 0.15);
  dispose();
  encoder.dispose();
});

test.run();
