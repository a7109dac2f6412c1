import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deviation, golden, goldenPicture } from '../../../property-tests/golden.ts';
import { visionTensors, withVisionFile } from '../../../property-tests/vision-weights.ts';
import { settle } from '../../config/index.ts';
import { resize, startBackend, tf } from '../../tensor/index.ts';
import { normaliseChannels, pillowResizeAndCrop, resizeAndCrop } from '../preprocess.ts';
import { pickTensors } from './checkpoint.ts';
import {
  CLIP,
  CLIP_VIT_B_32,
  frozenVit,
  readVit,
  TORCHVISION,
  VIT_B_16,
  vitWanted,
} from './vit-checkpoints.ts';

await startBackend();

/** The whole networks take a minute and a gigabyte; without this the tests stop after three blocks, which the goldens cover too. */
const FULL = process.env.WEIGHTLOOM_FULL_VISION === '1';
const depth = FULL ? 12 : 3;

const images = await golden('images');

const picture = (name: string) => goldenPicture(images[name]);

/** Compares the first eight numbers of a token at every stage [stages, 8]. */
function compareStages(stages: tf.Tensor3D[], token: number, expected: ArrayLike<number>, tolerance: number) {
  stages.forEach((stage, i) => {
    const actual = tf.slice(stage, [0, token, 0], [1, 1, 8]).dataSync();
    const row = Array.prototype.slice.call(expected, 8 * i, 8 * i + 8);
    const error = deviation(actual, row);
    assert.ok(error < tolerance, `stage ${i}, token ${token}: ${error}`);
  });
}

// Stored tolerances: 1e-5 of the largest value of an array, 2e-5 when the resize is ours. Rows of eight numbers have smaller largest
// values than whole arrays: 5e-5, still five times under the effect of the smallest wrong variant (a layer norm's epsilon).
const OUTPUT = 2e-5;
const STAGE = 5e-5;

test('torchvision ViT, trained from scratch or not: tokens of a small one', async () => {
  const arrays = await golden('12_vit');
  const before = tf.memory().numTensors;
  const shape = { ...VIT_B_16, image: 32, patch: 8, width: 16, layers: 2, heads: 4, mlp: 32 };
  const tensors = Object.fromEntries(
    Object.entries(arrays)
      .filter(([name]) => name.startsWith('sd.'))
      .map(([name, array]) => [name.slice(3), array]),
  );
  const network = frozenVit(
    pickTensors('golden', tensors, vitWanted(shape, TORCHVISION)),
    shape,
    TORCHVISION,
  );
  tf.tidy(() => {
    const planes = tf.tensor4d(arrays.image.data as Float32Array, [2, 3, 32, 32]);
    const stages: tf.Tensor3D[] = [];
    const out = network.tokens(tf.transpose(planes, [0, 2, 3, 1]), stage => stages.push(stage));
    // float32 sums of a few hundred terms in another order.
    assert.ok(deviation(stages[0].dataSync(), arrays.tokens_in.data) < 1e-5);
    assert.ok(deviation(network.norm(out).dataSync(), arrays.encoder_out.data) < 1e-5);
    const token = tf.slice(network.norm(out), [0, 0, 0], [-1, 1, -1]);
    assert.ok(deviation(token.dataSync(), arrays['eval.out'].data) < 1e-5);
  });
  network.dispose();
  assert.is(tf.memory().numTensors, before);
});

test('ViT-B/16 through a safetensors file, old and new names', async () => {
  const arrays = await golden('vit_b_16');
  const before = tf.memory().numTensors;
  const shape = { ...VIT_B_16, layers: depth };
  const wanted = vitWanted(shape, TORCHVISION).shapes;
  const network = await withVisionFile(wanted, path => settle(readVit(path, shape, TORCHVISION)));
  tf.tidy(() => {
    const resized = resize(picture('a'), [224, 224], { filter: 'bilinear', antialias: false });
    const stages: tf.Tensor3D[] = [];
    const out = network.tokens(normaliseChannels(resized, 'imagenet'), stage => stages.push(stage));
    compareStages(stages, 0, arrays.a_noaa_stage_class_first8_f64.data, STAGE);
    compareStages(stages, 1, arrays.a_noaa_stage_patch0_first8_f64.data, STAGE);
    if (!FULL) return;
    const final = network.norm(out);
    const first = tf.slice(final, [0, 0, 0], [1, 1, -1]).dataSync();
    assert.ok(deviation(first, arrays.a_noaa_class_e2e64.data) < OUTPUT);
    const mean = tf.mean(tf.slice(final, [0, 1, 0]), 1).dataSync();
    assert.ok(deviation(mean, arrays.a_noaa_patch_mean_e2e64.data) < OUTPUT);
  });
  network.dispose();
  assert.is(tf.memory().numTensors, before);

  const small = { ...VIT_B_16, image: 16, patch: 8, width: 8, layers: 1, heads: 2, mlp: 12 };
  const tensors = visionTensors(vitWanted(small, TORCHVISION).shapes);
  const old = Object.fromEntries(
    Object.entries(tensors).map(([name, array]) => [
      name.replace('.mlp.0.', '.mlp.linear_1.').replace('.mlp.3.', '.mlp.linear_2.'),
      array,
    ]),
  );
  const timm = Object.fromEntries(
    Object.entries(tensors).map(([name, array]) => [vitWanted(small, TORCHVISION).aliases!(name)[1], array]),
  );
  assert.ok('blocks.0.attn.qkv.weight' in timm && 'blocks.0.mlp.fc2.bias' in timm && 'norm.weight' in timm);
  assert.ok('patch_embed.proj.bias' in timm && 'pos_embed' in timm && 'blocks.0.norm2.bias' in timm);
  const [ours, ...others] = [tensors, old, timm].map(x =>
    pickTensors('memory', x, vitWanted(small, TORCHVISION)),
  );
  for (const other of others) assert.equal(other, ours);
});

test("CLIP ViT-B/32's vision tower through a safetensors file, both ways to resize", async () => {
  const arrays = await golden('clip_vit_b_32');
  const before = tf.memory().numTensors;
  const shape = { ...CLIP_VIT_B_32, layers: depth };
  const wanted = vitWanted(shape, CLIP).shapes;
  const network = await withVisionFile(wanted, path => settle(readVit(path, shape, CLIP)));
  const ways = {
    float: (x: tf.Tensor4D) => resizeAndCrop(x, 224, { filter: 'bicubic', antialias: true }),
    pil: (x: tf.Tensor4D) => pillowResizeAndCrop(x, 224),
  };
  for (const name of FULL ? ['a', 'b', 'c'] : ['c'])
    for (const [way, prepare] of Object.entries(ways)) {
      tf.tidy(() => {
        const pixels = prepare(picture(name));
        const key = `${name}_${way}`;
        const planes = tf.transpose(pixels, [0, 3, 1, 2]).dataSync();
        // Pillow's bytes come out exactly: what is left is the division by 255.
        const tolerance = way === 'pil' ? 1e-6 : 2e-5;
        const firsts = arrays[`${key}_resized_val`].data;
        const found = Array.from(arrays[`${key}_resized_idx`].data, i => planes[i]);
        assert.ok(deviation(found, firsts) < tolerance, `${key} pixels: ${deviation(found, firsts)}`);
        const stages: tf.Tensor3D[] = [];
        const out = network.tokens(normaliseChannels(pixels, 'clip'), stage => stages.push(stage));
        stages.shift(); // Here the stages begin behind the positions.
        compareStages(stages, 0, arrays[`${key}_stage_class_first8_f64`].data, STAGE);
        compareStages(stages, 1, arrays[`${key}_stage_token1_first8_f64`].data, STAGE);
        if (!FULL) return;
        const pooled = network.norm(tf.slice(out, [0, 0, 0], [1, 1, -1]));
        assert.ok(deviation(pooled.dataSync(), arrays[`${key}_pooled_f64`].data) < OUTPUT);
        const embedding = network.project(pooled).dataSync();
        assert.ok(deviation(embedding, arrays[`${key}_image_embeds_f64`].data) < OUTPUT);
        const token = tf.slice(out, [0, 1, 0], [1, 1, 64]).dataSync();
        assert.ok(deviation(token, arrays[`${key}_token1_first64_f64`].data) < OUTPUT);
      });
    }
  network.dispose();
  assert.is(tf.memory().numTensors, before);
});

test.run();
