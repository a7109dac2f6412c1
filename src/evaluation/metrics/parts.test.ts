import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { randomStream, startBackend, tf } from '../../tensor/index.ts';
import { comparePairs, pairMetrics, textureFeatures, textureFeaturesOf } from './index.ts';

await startBackend();

const COUNT = 21;
const SIDE = 16;
const pictures = (seed: number): tf.Tensor4D =>
  tf.tensor4d(randomStream(seed, 'parts').uniforms(COUNT * SIDE * SIDE * 3), [COUNT, SIDE, SIDE, 3]);

test('measured in parts, every pair has the figures it has among all', async () => {
  const before = tf.memory().numTensors;
  const [a, b] = [pictures(1), pictures(2)];
  const metrics = pairMetrics(0, SIDE);
  const shares: number[] = [];
  const found = await comparePairs(metrics, a, b, { onProgress: share => shares.push(share) });
  for (const { name, compare } of metrics) {
    const whole = await compare(a, b);
    // Float32 sums, whose order may go with the size of a batch.
    assert.ok(
      found[name].every((x, i) => Math.abs(x - whole[i]) < 1e-5 * (1 + Math.abs(whole[i]))),
      name,
    );
  }
  assert.equal(shares, [16 / COUNT, 1]);
  const features = tf.tidy(() => textureFeatures(a).dataSync());
  const parts = await textureFeaturesOf(a);
  assert.is(parts.length, features.length);
  assert.ok(parts.every((x, i) => Math.abs(x - features[i]) < 1e-5));
  const stopped = comparePairs(metrics, a, b, { signal: AbortSignal.abort(new Error('stopped')) });
  assert.is((await stopped.catch(error => error)).message, 'stopped');
  tf.dispose([a, b]);
  assert.is(tf.memory().numTensors, before);
});

test.run();
