import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { tinyDenoiser } from '../../property-tests/tiny.ts';
import { weightCount } from '../nca/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import { edm } from './edm.ts';
import type { Guidance } from './guidance.ts';
import { normaliserOf } from './normaliser.ts';
import { sampleWeights } from './sample.ts';

const test = suite('guidance and sampling of weights');
test.before(async () => {
  await startBackend();
});

const denoiser = () => tinyDenoiser({ tokens: 3 });
const size = weightCount(denoiser().spec);
const identity = normaliserOf(new Float32Array(size), new Float32Array(size).fill(1));

/** Samples for the first `rows` of four conditions. */
async function sample({
  guidance,
  rows = 4,
  unconditional = false,
  batch = 64,
  count = 1,
}: {
  guidance?: Guidance;
  rows?: number;
  unconditional?: boolean;
  batch?: number;
  count?: number;
} = {}) {
  const model = denoiser();
  const tokens = tf.tensor3d(
    randomStream(1, 'tokens')
      .normals(12)
      .slice(0, rows * 3),
    [rows, 1, 3],
  );
  const before = tf.memory().numTensors;
  const found = await sampleWeights({
    denoiser: model,
    diffusion: edm(),
    normaliser: identity,
    encoder: { project: features => tf.clone(features) },
    features: unconditional ? null : tokens,
    count: unconditional ? rows : count,
    seed: 5,
    steps: 8,
    guidance,
    batch,
  });
  assert.is(tf.memory().numTensors, before);
  tokens.dispose();
  model.dispose();
  return found;
}

const near = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  a.length === b.length &&
  Array.from(a).every((x, i) => Math.abs(x - b[i]) < 1e-5 * Math.max(1, Math.abs(x)));

test('scale 1 is no guidance, scale 0 no condition', async () => {
  assert.equal(await sample({ guidance: { scale: 1 } }), await sample());
  assert.ok(near(await sample({ guidance: { scale: 0 } }), await sample({ unconditional: true })));
  assert.not.ok(near(await sample({ guidance: { scale: 3 } }), await sample()));
});

test('an interval without levels guides nothing, one over all levels everything', async () => {
  assert.equal(await sample({ guidance: { scale: 3, interval: [100, 200] } }), await sample());
  assert.equal(
    await sample({ guidance: { scale: 3, interval: [0, 100] } }),
    await sample({ guidance: { scale: 3 } }),
  );
  const some = await sample({ guidance: { scale: 3, interval: [0.1, 2] } });
  assert.not.ok(near(some, await sample()));
  assert.not.ok(near(some, await sample({ guidance: { scale: 3 } })));
});

test('guiding away from the same model changes nothing; from a weaker one it does', async () => {
  const same = denoiser();
  assert.ok(near(await sample({ guidance: { scale: 3, weaker: same } }), await sample()));
  const weaker = tinyDenoiser({ tokens: 3, seed: 2 });
  assert.not.ok(near(await sample({ guidance: { scale: 3, weaker } }), await sample()));
  // It needs no condition.
  assert.not.ok(
    near(
      await sample({ guidance: { scale: 3, weaker }, unconditional: true }),
      await sample({ unconditional: true }),
    ),
  );
  same.dispose();
  weaker.dispose();
});

test('a sample depends on its index alone, not on the batch it is made in', async () => {
  const all = await sample();
  assert.equal(await sample({ batch: 3 }), all);
  assert.equal(await sample({ rows: 2 }), all.slice(0, 2 * size));
  const twice = await sample({ count: 2 });
  assert.is(twice.length, 8 * size);
  assert.not.equal(twice.slice(0, size), twice.slice(size, 2 * size));
});

test.run();
