import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { settle } from '../config/index.ts';
import { readZoo } from '../data/index.ts';
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
import { functionReference } from './function-space.ts';

await startBackend();

const spec = { ...SPECS.compact, channels: 5, hidden: 8 };
const size = weightCount(spec);
const random = randomStream(1, 'audit');
/** NCAs about one base, as in an aligned zoo. */
const base = random.normals(size, 0, 0.08);
const about = (count: number) =>
  Float32Array.from({ length: count * size }, (_, i) => base[i % size] + random.normal(0, 0.02));
const [train, heldOut, fresh] = [about(20), about(8), about(5)];
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
    /^No sample is a copy of a training NCA: what samples grow lies .* their weights (0\.9|1\.0)\d times\.$/,
  );
});

/** The embedded zoo: real NCAs, trained from one base. */
const zoo = await settle(readZoo(fileURLToPath(new URL('../../configs/zoo/embedded', import.meta.url))));
const ofSplit = (split: string, most: number) => {
  const rows = zoo.entries.flatMap((entry, n) => (entry.split === split ? [n] : [])).slice(0, most);
  const width = weightCount(zoo.spec);
  const weights = new Float32Array(rows.length * width);
  rows.forEach((n, i) => {
    weights.set(zoo.weights.subarray(n * width, (n + 1) * width), i * width);
  });
  return weights;
};

test('copies planted under every symmetry, or with noise on their weights, are found; held-out NCAs are not', async () => {
  const before = tf.memory().numTensors;
  const width = weightCount(zoo.spec);
  const [known, unknown] = [ofSplit('train', 96), ofSplit('held-out', 48)];
  const [measured, fresh] = [unknown.subarray(0, 24 * width), unknown.subarray(24 * width)];
  const auditor = await prepareAudit({ spec: zoo.spec, train: known, heldOut: measured });
  const PLANTED = 12;
  const rows = Array.from({ length: PLANTED }, (_, i) => 8 * i);
  const planted = async (name: string, change: (weights: Float32Array, i: number) => Float32Array) => {
    const samples = new Float32Array(PLANTED * width);
    rows.forEach((n, i) => {
      samples.set(change(known.slice(n * width, (n + 1) * width), i), i * width);
    });
    const { copies, functions } = await auditor.audit(samples);
    assert.is(copies.length, PLANTED, name);
    assert.equal([...functions.samples.index], rows, name);
  };
  for (const name of Object.keys(SYMMETRIES)) {
    assert.is(SYMMETRIES[name].obstacle(zoo.spec), null);
    await planted(name, (weights, i) =>
      actOnWeights(zoo.spec, SYMMETRIES[name].sample(zoo.spec, randomStream(i, name)), weights),
    );
  }
  const count = known.length / width;
  const deviation = Float64Array.from({ length: width }, (_, d) => {
    const column = Float64Array.from({ length: count }, (_, n) => known[n * width + d]);
    const mean = column.reduce((sum, x) => sum + x, 0) / count;
    return Math.sqrt(column.reduce((sum, x) => sum + (x - mean) ** 2, 0) / count);
  });
  for (const noise of [0.05, 0.1]) {
    await planted(`noise of ${noise}`, (weights, i) => {
      const stream = randomStream(i, `noise/${noise}`);
      return weights.map((x, d) => x + noise * deviation[d] * stream.normal());
    });
  }
  const { copies, sentence } = await auditor.audit(fresh);
  assert.equal(copies, []);
  assert.match(sentence, /^No sample is a copy of a training NCA/);
  assert.is(tf.memory().numTensors, before);
});

test('NCAs that grow nothing, or numbers that are not finite, are no copies by what they grow', async () => {
  const dead = new Float32Array(2 * size);
  dead.fill(Number.NaN, size);
  const reference = await functionReference(spec, train);
  const { distance } = await reference.nearest(dead, 3);
  assert.equal(distance, new Float64Array(6).fill(1));
});

test('a search that is interrupted ends with the reason', async () => {
  const reason = new Error('stop');
  try {
    await prepareAudit({ spec, train, heldOut }, { signal: AbortSignal.abort(reason) });
    assert.unreachable();
  } catch (error) {
    assert.is(error, reason);
  }
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
