/**
 * Diffusion transformer (Peebles and Xie 2023) on mixed weight tokens: noise level and pooled condition steer every block through
 * adaptive layer norm, x += gate * f(norm(x) * (1 + scale) + shift), whose six vectors per block start at zero ("adaLN-Zero").
 */
import * as t from 'io-ts';
import {
  crossAttention,
  layerNorm,
  linear,
  mlp,
  normalise,
  Parameters,
  selfAttention,
  silu,
  tf,
} from '../../tensor/index.ts';
import { type Denoiser, type DenoiserContext, registerDenoiser } from '../denoiser.ts';
import {
  conditionEmbedding,
  conditionInSequence,
  conditionMemory,
  noiseEmbedding,
} from './context-tokens.ts';
import { checkSizes, STACK_DEFAULTS, StackConfig } from './stack.ts';
import { mixedTokens, tokenDenoiser } from './tokens.ts';

/** Parameters of `dit`. */
export const DitConfig = t.strict({
  ...StackConfig.type.props,
  /** The mean of the condition tokens always steers the norms; they may also enter as tokens or by cross-attention. */
  conditioning: t.union([t.literal('pooled'), t.literal('tokens'), t.literal('cross-attention')]),
});
export type DitConfig = t.TypeOf<typeof DitConfig>;

const EPSILON = 1e-6;

/** `count` vectors [B, 1, width] from the steering vector [B, width]; zero at the start. */
function modulation(parameters: Parameters, name: string, width: number, count: number) {
  const project = linear(parameters, name, width, count * width, { std: 0 });
  return (steering: tf.Tensor2D): tf.Tensor3D[] =>
    tf.split(tf.expandDims(project(silu(steering)), 1), count, 2) as tf.Tensor3D[];
}

const adapt = (x: tf.Tensor3D, shift: tf.Tensor3D, scale: tf.Tensor3D): tf.Tensor3D =>
  tf.add(tf.mul(normalise(x, EPSILON), tf.add(scale, 1)), shift);

function ditBlock(parameters: Parameters, name: string, config: DitConfig, cross: boolean) {
  const scope = parameters.scope(name);
  const { width, heads } = config;
  const modulate = modulation(scope, 'modulation', width, 6);
  const attention = selfAttention(scope, 'attention', width, heads);
  const perceptron = mlp(scope, 'mlp', [width, Math.round(config.mlpRatio * width), width]);
  const crossing = cross
    ? {
        norm: layerNorm(scope, 'norm-cross', width, EPSILON),
        memoryNorm: layerNorm(scope, 'norm-memory', width, EPSILON),
        attention: crossAttention(scope, 'cross', width, heads, 0),
      }
    : null;
  return (x: tf.Tensor3D, steering: tf.Tensor2D, memory?: tf.Tensor3D): tf.Tensor3D => {
    const [shift1, scale1, gate1, shift2, scale2, gate2] = modulate(steering);
    let y = tf.add(x, tf.mul(gate1, attention(adapt(x, shift1, scale1)))) as tf.Tensor3D;
    if (crossing && memory) {
      y = tf.add(y, crossing.attention(crossing.norm(y), crossing.memoryNorm(memory)));
    }
    return tf.add(y, tf.mul(gate2, perceptron(adapt(y, shift2, scale2))));
  };
}

/**
 * Builds `dit`, a diffusion transformer on mixed weight tokens (Peebles and Xie 2023). It has learned positions and keeps no symmetry.
 * @throws UserError when `heads` does not divide `width`; its `apply` throws a RangeError for weights of another spec
 */
export function dit(config: DitConfig, context: DenoiserContext): Denoiser {
  checkSizes('denoiser dit', config);
  const layout = mixedTokens(context.spec);
  const parameters = new Parameters({ seed: context.seed });
  const { width, layers, conditioning } = config;
  const count = layout.kinds.length;
  const embed = mlp(parameters, 'weights', [layout.width, 2 * width, width]);
  const position = parameters.normal<tf.Rank.R3>('weights/position', [1, count, width], 0.02);
  const embedNoise = noiseEmbedding(parameters, width, config);
  const { condition: shape } = context;
  const embedCondition = shape ? conditionEmbedding(parameters, width, shape) : null;
  const cross = conditioning === 'cross-attention' && shape !== null;
  const placeCondition =
    shape && conditioning !== 'pooled'
      ? (cross ? conditionMemory : conditionInSequence)(parameters, width, shape.tokens)
      : null;
  const blocks = Array.from({ length: layers }, (_, i) => ditBlock(parameters, `block/${i}`, config, cross));
  const modulateOut = modulation(parameters, 'modulation-out', width, 2);
  const output = linear(parameters, 'output', width, layout.width, { std: 0 });

  return tokenDenoiser({
    ...{ name: 'dit', context, layout, parameters },
    network: (tokens, noiseLabel, condition) => {
      let x = tf.add(embed(tokens), position) as tf.Tensor3D;
      const given = embedCondition?.(condition, x.shape[0]);
      const noise = embedNoise(noiseLabel);
      const steering = given ? (tf.add(noise, tf.mean(given, 1)) as tf.Tensor2D) : noise;
      const memory = given && placeCondition ? placeCondition(given) : undefined;
      if (memory && !cross) x = tf.concat([x, memory], 1);
      for (const block of blocks) x = block(x, steering, cross ? memory : undefined);
      const [shift, scale] = modulateOut(steering);
      return output(adapt(tf.slice(x, [0, 0, 0], [-1, count, -1]), shift, scale));
    },
  });
}

export const ditKind = registerDenoiser({
  name: 'dit',
  summary: 'diffusion transformer: adaptive layer norm by noise level and pooled condition',
  config: DitConfig,
  defaults: { ...STACK_DEFAULTS, conditioning: 'pooled' as const },
  build: dit,
});
