/** Every encoder in front of every denoiser, every way to bring the condition in, with and without it. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { smallEncoders } from '../src/conditioning/encoders-for-tests.ts';
import { orThrow } from '../src/config/index.ts';
import { scramble, smallConfigs } from '../src/denoisers/contract.ts';
import { type Condition, type Denoiser, denoiserKind, denoiserNames } from '../src/denoisers/index.ts';
import { type NcaSpec, SPECS, weightCount } from '../src/nca/index.ts';
import { randomStream, startBackend, tf } from '../src/tensor/index.ts';

await startBackend();

const spec: NcaSpec = { ...SPECS.compact, name: 'small', channels: 3, hidden: 5 };
const encoders = smallEncoders(1);
const pictures = tf.tensor4d(randomStream(1, 'pictures').uniforms(2 * 16 * 16 * 3), [2, 16, 16, 3]);
const weights = tf.tensor2d(randomStream(1, 'weights').normals(2 * weightCount(spec)), [
  2,
  weightCount(spec),
]);
const noise = tf.tensor1d([-0.5, 0.5]);

const rowError = (a: tf.Tensor, b: tf.Tensor, row: number) =>
  tf.tidy(() => tf.max(tf.abs(tf.sub(tf.slice(a, row, 1), tf.slice(b, row, 1)))).dataSync()[0]);

for (const name of denoiserNames()) {
  const kind = orThrow(denoiserKind(name));
  for (const { label, config } of smallConfigs(kind)) {
    test(`${label}, behind every encoder`, () => {
      for (const [encoding, encoder] of Object.entries(encoders)) {
        const before = tf.memory().numTensors;
        const { tokens, width } = encoder;
        const denoiser: Denoiser = kind.build(config, { spec, condition: { tokens, width }, seed: 1 });
        scramble(denoiser);
        tf.tidy(() => {
          const features = encoder.features(pictures);
          const condition = (present: number[]): Condition => ({
            tokens: encoder.project(features),
            present: tf.tensor1d(present),
          });
          const [both, first, none] = [condition([1, 1]), condition([1, 0]), null].map(c =>
            denoiser.apply(weights, noise, c),
          );
          assert.equal(both.shape, weights.shape);
          assert.ok(both.dataSync().every(Number.isFinite), `${encoding}: finite`);
          // Row 1 lost its condition, row 0 kept its own: float32 sums of the same numbers.
          assert.ok(rowError(first, none, 1) < 1e-4 && rowError(first, both, 0) < 1e-4, encoding);
          // edge-mpnn may be told to leave its condition out.
          if ((config as { condition?: unknown }).condition === 'none') {
            assert.is(rowError(first, both, 1), 0, `${encoding}: no condition, no effect`);
            return;
          }
          assert.ok(rowError(first, both, 1) > 1e-4, `${encoding}: the condition has an effect`);
          const trained = Object.entries(encoder.variables);
          if (trained.length === 0) return;
          const { grads } = tf.variableGrads(
            () => tf.mean(tf.square(denoiser.apply(weights, noise, condition([1, 0])))) as tf.Scalar,
            trained.map(([, variable]) => variable),
          );
          for (const [variable, { name: key }] of trained) {
            const size = tf.max(tf.abs(grads[key])).dataSync()[0];
            assert.ok(size > 0 && Number.isFinite(size), `${encoding}: gradient of ${variable}: ${size}`);
          }
        });
        denoiser.dispose();
        assert.is(tf.memory().numTensors, before, `${encoding} leaves tensors behind`);
      }
    });
  }
}

test.after(() => {
  tf.dispose([pictures, weights, noise]);
  for (const encoder of Object.values(encoders)) encoder.dispose();
});
test.run();
