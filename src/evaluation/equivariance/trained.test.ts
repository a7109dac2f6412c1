import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { orThrow } from '../../config/index.ts';
import { smallConfig } from '../../denoisers/contract.ts';
import { type Denoiser, denoiserKind } from '../../denoisers/index.ts';
import { edm } from '../../diffusion/index.ts';
import { SPECS, weightCount } from '../../nca/index.ts';
import { randomStream, startBackend, tf } from '../../tensor/index.ts';
import { trainedEquivarianceError } from './trained.ts';
import { randomise } from './verify.ts';

await startBackend();

const spec = { ...SPECS.compact, name: 'tiny', channels: 4, hidden: 6 };
const size = weightCount(spec);
const condition = { tokens: 2, width: 5 };

/** The error of a denoiser of random weights on three NCAs; nothing is left behind. */
async function errorOf(name: string, use?: (denoiser: Denoiser) => Denoiser): Promise<number> {
  const before = tf.memory().numTensors;
  const kind = orThrow(denoiserKind(name));
  const denoiser = kind.build(smallConfig(kind), { spec, condition, seed: 1 });
  randomise(denoiser, 1);
  const tokens = tf.tensor3d(randomStream(1, 'tokens').normals(30), [3, 2, 5]);
  const weights = Float32Array.from(randomStream(1, 'weights').normals(3 * size));
  const error = await trainedEquivarianceError({
    denoiser: use?.(denoiser) ?? denoiser,
    diffusion: edm({ parametrisation: 'clean' }),
    symmetry: 'hidden-permutation',
    weights,
    tokens,
    seed: 2,
    levels: 3,
  });
  tokens.dispose();
  denoiser.dispose();
  assert.is(tf.memory().numTensors, before);
  return error;
}

test('an equivariant denoiser is at rounding error, another one is not', async () => {
  // float32 sums of the same numbers in another order, through a few layers.
  for (const name of ['edge-mpnn', 'transformer-hidden']) assert.ok((await errorOf(name)) < 1e-4, name);
  assert.ok((await errorOf('transformer-typed')) > 0.1);
});

test('the error is the size of what breaks the symmetry', async () => {
  // 1 on every weight of the first hidden unit's bias: moved by all elements but those that leave the unit in place.
  const mark = tf.tensor2d(
    Float32Array.from({ length: size }, (_, i) => (i === 16 * spec.hidden ? 1 : 0)),
    [1, size],
  );
  const marked = (amount: number) =>
    errorOf('edge-mpnn', denoiser => ({
      ...denoiser,
      apply: (...given) => tf.tidy(() => tf.add(denoiser.apply(...given), tf.mul(mark, amount))),
    }));
  const [small, double] = [await marked(1e-2), await marked(2e-2)];
  mark.dispose();
  // The norm of the output hardly feels so small a mark: 1%.
  assert.ok(Math.abs(double / small - 2) < 0.02, `${small}, ${double}`);
});

test.run();
