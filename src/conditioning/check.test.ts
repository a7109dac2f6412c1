import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { orThrow } from '../config/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import type { Encoder } from './encoder.ts';
import { checkEncoder, type EncoderKind, encoderKind } from './index.ts';

await startBackend();

/** The mean colour times a trained gain, except for what is put instead. */
const kind = (more: (seed: number) => Partial<Encoder> = () => ({})): EncoderKind<object> => ({
  name: 'mean',
  summary: 'a test',
  config: {} as EncoderKind<object>['config'],
  defaults: {},
  build(_, { seed }): Encoder {
    const gain = tf.tidy(() => tf.variable(tf.tensor1d(randomStream(seed, 'gain').normals(3, 1, 0.1))));
    return {
      name: 'mean',
      tokens: 1,
      featureWidth: 3,
      width: 3,
      fingerprint: 'mean',
      variables: { gain },
      features: images => tf.tidy(() => tf.reshape(tf.mean(images, [1, 2]), [-1, 1, 3]) as tf.Tensor3D),
      project: features => tf.tidy(() => tf.mul(features, gain) as tf.Tensor3D),
      dispose: () => gain.dispose(),
      ...more(seed),
    };
  },
});

test('an encoder that keeps its promises passes, in whichever form it is built', async () => {
  const before = tf.memory().numTensors;
  const good = kind();
  await checkEncoder(good);
  await checkEncoder({ ...good, build: async (config, context) => good.build(config, context) as Encoder });
  await checkEncoder(orThrow(encoderKind('random-gram')), {
    config: { ...orThrow(encoderKind('random-gram')).defaults, filters: 4, correlations: 3 },
  });
  assert.is(tf.memory().numTensors, before);
});

test('each broken promise is named', async () => {
  const plain = (images: tf.Tensor4D) => tf.reshape(tf.mean(images, [1, 2]), [-1, 1, 3]) as tf.Tensor3D;
  let made = 0;
  const cases: [(seed: number) => Partial<Encoder>, RegExp][] = [
    [
      () => ({ width: 5 }),
      /^mean: gives the shapes it announces: projected tokens \[3,1,3\] are not .* \[3,1,5\]$/,
    ],
    [() => ({ features: images => tf.tidy(() => tf.div(plain(images), 0)) }), /not finite/],
    [
      () => ({
        features: images =>
          tf.tidy(() => tf.sub(plain(images), tf.mean(plain(images), 0, true)) as tf.Tensor3D),
      }),
      /treats every picture apart: picture 0 depends on its batch/,
    ],
    [() => ({ features: images => tf.ones([images.shape[0], 1, 3]) }), /other pictures give the same tokens/],
    [() => ({ project: features => tf.clone(features) }), /^mean: trains every variable: /],
    [() => ({ features: plain }), /keeps no tensor: 1 are left behind/],
    [() => ({ fingerprint: `mean ${made++}` }), /is seeded: the fingerprint changes/],
    [() => ({ dispose() {} }), /disposes of what it made: 2 tensors are left behind/],
  ];
  for (const [more, expected] of cases) {
    let message = 'nothing was refused';
    await checkEncoder(kind(more)).catch((error: Error) => {
      message = error.message;
    });
    assert.match(message, expected);
  }
});

test.run();
