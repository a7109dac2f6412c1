import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { tinyDenoiser } from '../../property-tests/tiny.ts';
import { weightCount } from '../nca/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import { edm } from './edm.ts';
import { normaliserOf } from './normaliser.ts';
import { type SampleWeightsOptions, sampleWeights } from './sample.ts';
import { sampleTrajectory } from './trajectory.ts';

const test = suite('trajectories');
test.before(async () => {
  await startBackend();
});

test('end where sampling ends, whatever is sampled at once, and begin with the most noise', async () => {
  const denoiser = tinyDenoiser({ tokens: 3 });
  const size = weightCount(denoiser.spec);
  const features = tf.tensor3d(randomStream(1, 'features').normals(12), [4, 1, 3]);
  const before = tf.memory().numTensors;
  const options: SampleWeightsOptions = {
    denoiser,
    diffusion: edm({ sampling: { steps: 5, sampler: 'euler' } as never }),
    normaliser: normaliserOf(new Float32Array(size).fill(0.5), new Float32Array(size).fill(2)),
    encoder: { project: (given: tf.Tensor3D) => tf.clone(given) },
    features,
    seed: 5,
  };
  const { sigmas, denoised, weights } = await sampleTrajectory(options);
  assert.equal(weights, await sampleWeights(options));
  assert.is(sigmas.length, 5);
  assert.ok(sigmas.every((sigma, i) => i === 0 || sigma < sigmas[i - 1]));
  assert.is(denoised.length, 5 * 4 * size);
  // Euler's last step to sigma = 0 is the estimate itself; the normaliser's float32 is all that differs.
  denoised.subarray(4 * 4 * size).forEach((x, i) => {
    assert.ok(Math.abs(x - weights[i]) < 1e-5 * (1 + Math.abs(x)));
  });
  const pieces = await sampleTrajectory({ ...options, batch: 3 });
  pieces.denoised.forEach((x, i) => {
    assert.ok(Math.abs(x - denoised[i]) < 1e-5 * (1 + Math.abs(x)));
  });
  assert.is(tf.memory().numTensors, before);
  features.dispose();
  denoiser.dispose();
});

test.run();
