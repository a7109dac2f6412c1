import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  actOnWeights,
  composeElements,
  nearestModuloSymmetry,
  SPECS,
  SYMMETRIES,
  symmetricDistance,
  weightCount,
} from '../nca/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import { prepareAudit } from './audit.ts';

await startBackend();

const spec = { ...SPECS.compact, channels: 5, hidden: 8 };
const size = weightCount(spec);
const random = randomStream(1, 'audit');
/** NCAs about one base, as in an aligned zoo. */
const base = random.normals(size, 0, 0.3);
const zoo = (count: number) =>
  Float32Array.from({ length: count * size }, (_, i) => base[i % size] + random.normal(0, 0.1));
const [train, heldOut, fresh] = [zoo(20), zoo(8), zoo(5)];
const row = (all: Float32Array, n: number) => all.subarray(n * size, (n + 1) * size);

const hide = (weights: Float32Array) =>
  actOnWeights(
    spec,
    composeElements(
      SYMMETRIES['hidden-permutation'].sample(spec, random),
      SYMMETRIES['hidden-scaling'].sample(spec, random),
    ),
    weights,
  );

test('a planted copy, permuted and rescaled, is reported; new NCAs are not', async () => {
  const samples = Float32Array.from(fresh);
  samples.set(hide(row(train, 13)), 2 * size);
  const auditor = await prepareAudit({ spec, train, heldOut });
  const audit = await auditor.audit(samples);
  assert.equal(audit.copies, [2]);
  assert.is(audit.weights.samples.index[2], 13);
  assert.ok(audit.weights.samples.distance[2] < 1e-6);
  assert.match(audit.sentence, '1 of 5 samples is a copy of training NCAs (sample 2)');
  const clean = await auditor.audit(fresh);
  assert.equal(clean.copies, []);
  assert.match(
    clean.sentence,
    /^No sample is a copy of a training NCA: samples lie (0\.9|1\.0)\d times as far/,
  );
});

test('renderings are compared too, and nothing is left behind', async () => {
  const before = tf.memory().numTensors;
  const pictures = (count: number) => tf.tensor4d(random.uniforms(count * 24 * 24 * 3), [count, 24, 24, 3]);
  const renderings = { train: pictures(20), heldOut: pictures(8), samples: pictures(5) };
  const planted = tf.tidy(() =>
    tf.concat([tf.slice(renderings.train, 7, 1), tf.slice(renderings.samples, 1)], 0),
  ) as tf.Tensor4D;
  const auditor = await prepareAudit({ spec, train, heldOut, renderings });
  const audit = await auditor.audit(fresh, planted);
  assert.is(audit.renderings!.samples.index[0], 7);
  assert.is(audit.renderings!.samples.distance[0], 0);
  assert.ok(audit.renderings!.samples.distance[1] > audit.renderings!.threshold);
  assert.match(audit.sentence, 'Their pictures lie');
  tf.dispose([renderings.train, renderings.heldOut, renderings.samples, planted]);
  assert.is(tf.memory().numTensors, before);
});

test('the pruned search finds the nearest there is', () => {
  const found = nearestModuloSymmetry(spec, fresh, train);
  found.forEach(({ index, distance }, q) => {
    const all = Array.from({ length: 20 }, (_, n) => symmetricDistance(spec, row(fresh, q), row(train, n)));
    assert.is(distance, Math.min(...all));
    assert.is(index, all.indexOf(distance));
  });
  const others = nearestModuloSymmetry(spec, train, train, (q, n) => q === n);
  assert.ok(others.every(({ index, distance }, q) => index !== q && distance > 0));
});

test('too few held-out NCAs are refused', async () => {
  try {
    await prepareAudit({ spec, train, heldOut: heldOut.slice(0, size) });
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, 'at least 3 held-out NCAs, found 1');
  }
});

test.run();
