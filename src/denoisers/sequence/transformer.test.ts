import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { golden } from '../../../property-tests/golden.ts';
import {
  encoderLayer,
  mlp,
  normalise,
  type ParameterOptions,
  Parameters,
  sinusoidalEmbedding,
  startBackend,
  tf,
} from '../../tensor/index.ts';
import { conditionInSequence } from './context-tokens.ts';
import { STACK_DEFAULTS, type StackConfig, transformerStack } from './stack.ts';

await startBackend();

const arrays = await golden('10_transformer');
const tensor = (name: string) => tf.tensor(arrays[name].data as Float32Array, [...arrays[name].shape]);

/** Largest difference over the largest value: the measure the stored numbers' own repeatability (1e-6) was stated in. */
const difference = (actual: tf.Tensor, expected: tf.Tensor) =>
  tf.tidy(() => {
    assert.equal(actual.shape, expected.shape);
    return tf.div(tf.max(tf.abs(tf.sub(actual, expected))), tf.max(tf.abs(expected))).dataSync()[0];
  });
// float32 with sums in another order through two layers.
const TOLERANCE = 1e-5;

/** PyTorch keeps linear weights [out, in], and one matrix for queries, keys and values. */
function torchValues(prefix: string, pairs: readonly (readonly [RegExp, string])[], zero = /^$/) {
  return (name: string, shape: readonly number[]): Float32Array => {
    if (zero.test(name)) return new Float32Array(shape.reduce((a, b) => a * b, 1));
    const [pattern, replacement] = pairs.find(([p]) => p.test(name)) ?? [];
    if (!pattern) throw new Error(`no rule for ${name}`);
    const [key, rows] = name.replace(pattern, replacement!).split('@');
    const found = arrays[`${prefix}${key}`];
    if (!found) throw new Error(`no array ${prefix}${key} for ${name}`);
    return tf.tidy(() => {
      let value = tf.tensor(found.data as Float32Array, [...found.shape]);
      if (rows) {
        const third = value.shape[0] / 3;
        value = tf.slice(value, third * ['q', 'k', 'v'].indexOf(rows), third);
      }
      if (value.rank === 2 && !/pos_emb/.test(key)) value = tf.transpose(value);
      return value.dataSync() as Float32Array;
    });
  };
}

const LAYER = [
  [/^(.*)norm1\/(.*)$/, '$1ln1.$2'],
  [/^(.*)norm2\/(.*)$/, '$1ln2.$2'],
  [/^(.*)norm-cross\/(.*)$/, '$1ln_cross.$2'],
  [/^(.*)norm-memory\/(.*)$/, '$1kv_norm.$2'],
  [/^(.*)attention\/([qkv])\/(.*)$/, '$1attn.in_proj_$3@$2'],
  [/^(.*)attention\/out\/(.*)$/, '$1attn.out_proj.$2'],
  [/^(.*)cross\/([qkv])\/(.*)$/, '$1cross_attn.in_proj_$3@$2'],
  [/^(.*)cross\/out\/(.*)$/, '$1cross_attn.out_proj.$2'],
  [/^(.*)mlp\/0\/(.*)$/, '$1mlp.0.$2'],
  [/^(.*)mlp\/1\/(.*)$/, '$1mlp.2.$2'],
] as const;

test('sinusoidal embedding', () => {
  tf.tidy(() => {
    for (const width of [6, 7, 8, 256]) {
      const actual = sinusoidalEmbedding(tensor('temb.t') as tf.Tensor1D, width);
      // Arguments go up to 1000: half a unit in the last place of the angle alone is 3e-5.
      assert.ok(difference(actual, tensor(`temb.dim${width}`)) < 1e-4, `width ${width}`);
    }
  });
});

for (const [name, cross] of [
  ['enc_self', false],
  ['enc_cross', true],
] as const) {
  test(`encoder layer ${name}: output and gradients`, () => {
    const before = tf.memory().numTensors;
    const layer = LAYER.map(([p, r]) => [p, r.replace('$1', '')] as const);
    const parameters = new Parameters({
      seed: 0,
      values: (n, shape) => torchValues(`${name}.sd.`, layer)(n.replace('layer/', ''), shape),
    });
    const apply = encoderLayer(parameters, 'layer', { width: 16, heads: 4, hidden: 64, cross });
    tf.tidy(() => {
      const x = tensor('enc.x') as tf.Tensor3D;
      const memory = cross ? (tensor('enc.cond') as tf.Tensor3D) : undefined;
      assert.ok(difference(apply(x, memory), tensor(`${name}.out`)) < TOLERANCE);
      if (cross) assert.ok(difference(apply(x), tensor(`${name}.out_cond_none`)) < TOLERANCE);
      const loss = (y: tf.Tensor) => tf.sum(tf.square(apply(y as tf.Tensor3D, memory))) as tf.Scalar;
      assert.ok(difference(tf.grad(loss)(x), tensor(`${name}.grad_x`)) < TOLERANCE);
      const { grads } = tf.variableGrads(() => loss(x), Object.values(parameters.variables));
      for (const [key, variable] of Object.entries(parameters.variables)) {
        const expected = torchValues(`${name}.grad.`, layer)(key.replace('layer/', ''), variable.shape);
        const gradient = grads[variable.name];
        assert.ok(difference(gradient, tf.tensor(expected, variable.shape)) < TOLERANCE, key);
      }
    });
    parameters.dispose();
    assert.is(tf.memory().numTensors, before);
  });
}

for (const [name, conditioning] of [
  ['base', 'tokens'],
  ['base_cross', 'cross-attention'],
] as const) {
  test(`encoder stack ${name}, with and without condition`, () => {
    const before = tf.memory().numTensors;
    const width = 16;
    const config = {
      ...STACK_DEFAULTS,
      width,
      layers: 2,
      heads: 4,
      noiseWidth: 8,
      noiseScale: 1,
      conditioning,
    } as StackConfig;
    const rules = [
      [/^weights\/0\/(.*)$/, 'weight_projector.0.$1'],
      [/^weights\/1\/(.*)$/, 'weight_projector.2.$1'],
      [/^noise\/0\/(.*)$/, 'time_projector.0.$1'],
      [/^noise\/1\/(.*)$/, 'time_projector.2.$1'],
      [/^condition\/0\/(.*)$/, 'cond_projector.0.$1'],
      [/^condition\/1\/(.*)$/, 'cond_projector.2.$1'],
      [/^norm-in\/(.*)$/, 'ln_in.$1'],
      [/^norm-out\/(.*)$/, 'ln_out.$1'],
      ...LAYER.map(([p, r]) => [p, r.replace('$1', 'blocks.$1')] as const),
    ] as const;
    const read = torchValues(`${name}.sd.`, rules, /absent|position/);
    const options: ParameterOptions = {
      seed: 0,
      values: (n, shape) => {
        const position = ['weights/position', 'noise/position', 'condition/position'].indexOf(n);
        const all = arrays[`${name}.sd.pos_emb.weight`];
        if (position === 0) return (all.data as Float32Array).slice(0, 7 * width);
        if (position === 1) return (all.data as Float32Array).slice(7 * width, 8 * width);
        if (position === 2 && conditioning === 'tokens') return (all.data as Float32Array).slice(8 * width);
        return read(n.replace(/^block\/(\d+)\//, '$1.'), shape);
      },
    };
    const parameters = new Parameters(options);
    // The reference's names say projector.0 and projector.2: the activation stands between.
    const embed = mlp(parameters, 'weights', [6, 32, width]);
    const position = parameters.zeros<tf.Rank.R3>('weights/position', [1, 7, width]);
    // The reference attends to the condition alone, without a second key.
    const stack = transformerStack(parameters, config, { tokens: 1, width: 5 }, conditionInSequence);
    tf.tidy(() => {
      const tokens = tf.add(embed(tensor('wdt.x_w')), position) as tf.Tensor3D;
      const t = tensor('wdt.t') as tf.Tensor1D;
      const condition = { tokens: tensor('wdt.cond') as tf.Tensor3D, present: tf.ones([3]) as tf.Tensor1D };
      const weightsOf = (all: tf.Tensor) => tf.slice(all, [0, 0, 0], [-1, 7, -1]);
      const withCondition = tf.add(
        tf.mul(normalise(tensor(`${name}.stack`), 1e-5), tensor(`${name}.sd.ln_out.weight`)),
        tensor(`${name}.sd.ln_out.bias`),
      );
      assert.ok(difference(stack(tokens, t, condition), weightsOf(withCondition)) < TOLERANCE);
      // Without a condition the reference puts a zero token into the sequence (ours is learned, and zero here) and leaves
      // cross-attention out, as a model that was built without one does.
      const bare = new Parameters(options);
      const without = conditioning === 'tokens' ? stack : transformerStack(bare, config, null);
      assert.ok(
        difference(without(tokens, t, null), weightsOf(tensor(`${name}.ln_out_of_stack`))) < TOLERANCE,
      );
      bare.dispose();
    });
    parameters.dispose();
    assert.is(tf.memory().numTensors, before);
  });
}

test.run();
