import * as E from 'fp-ts/lib/Either.js';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { golden } from '../../property-tests/golden.ts';
import { describe, settle } from '../config/index.ts';
import { startBackend, tf } from '../tensor/index.ts';
import { checkBuiltEncoder } from './check.ts';
import { smallEncoders } from './encoders-for-tests.ts';
import { gramEncoder } from './gram.ts';
import { createEncoder, encoderNames } from './index.ts';
import { pickTensors } from './pretrained/checkpoint.ts';
import { type VggLayout, vgg, vggWanted } from './pretrained/vgg.ts';

await startBackend();

const difference = (a: tf.Tensor, b: tf.Tensor) =>
  tf.tidy(() => tf.div(tf.max(tf.abs(tf.sub(a, b))), tf.max(tf.abs(b))).dataSync()[0]);

test('the Gram encoder of the reference, one token and five, with gradients', async () => {
  const arrays = await golden('03_gram_encoder');
  const weights = await golden('02_texture_loss');
  const layout: VggLayout = [8, 8, 'pool', 16, 16, 'pool', 24, 24, 24, 'pool', 32, 32, 32, 'pool', 32];
  const tensors = Object.fromEntries(
    Object.entries(weights).map(([name, array]) => [name.replace('vgg.', 'features.'), array]),
  );
  const before = tf.memory().numTensors;
  const stored = (name: string) => tf.tensor(arrays[name].data as Float32Array, [...arrays[name].shape]);
  for (const [kind, expected] of [
    ['single', 'out'],
    ['layers', 'out_num_tokens5'],
  ] as const) {
    const network = vgg(pickTensors('golden', tensors, vggWanted(layout)), layout);
    const encoder = gramEncoder(network, { layout: kind, width: 40, seed: 0 });
    tf.tidy(() => {
      for (let i = 0; i < 5; i++) encoder.variables[`directions/${i}`].assign(stored(`gram_embedding.${i}`));
      const images = tf.transpose(stored('image'), [0, 2, 3, 1]) as tf.Tensor4D;
      const features = encoder.features(images);
      assert.equal(features.shape, [3, encoder.tokens, encoder.featureWidth]);
      const tokens = encoder.project(features);
      assert.equal(tokens.shape, [3, encoder.tokens, encoder.width]);
      // float32 through ten layers, in another order of sums: the reference differs from itself by 1.2e-6 on other kernels.
      assert.ok(difference(tokens, stored(expected)) < 1e-5, kind);
      if (kind === 'layers') return;
      const { grads } = tf.variableGrads(() => tf.sum(tf.square(encoder.project(features))) as tf.Scalar);
      for (let i = 0; i < 5; i++) {
        const gradient = grads[encoder.variables[`directions/${i}`].name];
        assert.ok(difference(gradient, stored(`grad_gram_embedding.${i}`)) < 1e-5, `gradient ${i}`);
      }
    });
    encoder.dispose();
  }
  assert.is(tf.memory().numTensors, before);
});

test('every encoder: shapes, seeds, gradients to what is trained, no leaks', () => {
  const before = tf.memory().numTensors;
  const [all, again] = [1, 1].map(seed => smallEncoders(seed));
  for (const [label, encoder] of Object.entries(all)) {
    checkBuiltEncoder(label, encoder, again[label], 20);
  }
  const keys = Object.values(all).map(({ fingerprint }) => fingerprint);
  assert.is(new Set(keys).size, keys.length, 'fingerprints tell encoders apart');
  for (const encoder of [...Object.values(all), ...Object.values(again)]) encoder.dispose();
  assert.is(tf.memory().numTensors, before);
});

test('encoders by name: parameters are checked, missing weights end in one sentence', async () => {
  assert.equal(encoderNames(), ['clip', 'gram', 'random-gram', 'vit', 'vit-small']);
  const encoder = await settle(createEncoder('random-gram', { scales: 2 }, { seed: 0 }));
  encoder.dispose();
  const sentence = async (name: string, parameters: Record<string, unknown>) => {
    const result = await createEncoder(name, parameters, { seed: 0 })();
    assert.ok(E.isLeft(result), name);
    return describe((result as E.Left<never>).left);
  };
  assert.match(
    await sentence('random-gramm', {}),
    /expected one of .*random-gram.*Did you mean random-gram\?/,
  );
  assert.match(await sentence('random-gram', { scale: 2 }), /unknown key scale/);
  assert.match(await sentence('random-gram', { layout: 'double' }), /layout/);
  const cache = process.env.WEIGHTLOOM_CACHE;
  process.env.WEIGHTLOOM_CACHE = '/nowhere';
  try {
    for (const [name, network] of [
      ['gram', 'vgg16'],
      ['vit', 'vit-b-16'],
      ['clip', 'clip-vit-b-32'],
    ]) {
      const missing = await sentence(name, {});
      assert.match(missing, new RegExp(`/nowhere/encoders/${network}.*weightloom encoders fetch ${network}`));
    }
  } finally {
    if (cache === undefined) delete process.env.WEIGHTLOOM_CACHE;
    else process.env.WEIGHTLOOM_CACHE = cache;
  }
  assert.match(await sentence('gram', { weights: '/nowhere/mine.pth' }), /mine\.pth: .*nothing there\.$/);
});

test.run();
