/**
 * The parts of a transformer: each function takes its variables from `parameters` and returns the layer as a plain function of
 * tensors. Tokens are [B, T, C]; weights of linear layers are [in, out].
 */
import * as tf from '@tensorflow/tfjs-core';
import type { LinearWeights } from './blocks.ts';
import * as blocks from './blocks.ts';
import * as fused from './fused.ts';
import type { Parameters } from './parameters.ts';

/** A layer on tokens: [B, T, C] -> [B, T, C]. */
export type TokenLayer = (tokens: tf.Tensor3D) => tf.Tensor3D;
/** A function applied number by number; the shape stays. */
export type Activation = (x: tf.Tensor) => tf.Tensor;

/** Gaussian error linear unit, exact: x/2 (1 + erf(x / sqrt 2)). */
export const gelu: Activation = fused.gelu;

/** x sigmoid(1.702 x), CLIP's approximation of GELU. */
export const quickGelu: Activation = x => tf.mul(x, tf.sigmoid(tf.mul(x, 1.702)));

/** Sigmoid linear unit, or swish: x sigmoid(x). */
export const silu: Activation = x => tf.mul(x, tf.sigmoid(x));

/** How a linear layer starts, and whether it has a bias (which starts at zero). */
export interface LinearOptions {
  /** Standard deviation of the initial weights; 0 for a layer that starts as zero. Default 1/sqrt(in). */
  readonly std?: number;
  /** Default true. */
  readonly bias?: boolean;
}

function linearWeights(
  parameters: Parameters,
  name: string,
  inputs: number,
  outputs: number,
  { std = 1 / Math.sqrt(inputs), bias = true }: LinearOptions = {},
): LinearWeights {
  const scope = parameters.scope(name);
  return {
    weight: scope.normal<tf.Rank.R2>('weight', [inputs, outputs], std),
    bias: bias ? scope.zeros<tf.Rank.R1>('bias', [outputs]) : null,
  };
}

/**
 * A linear layer, y = x W + b on the last axis: [..., inputs] -> [..., outputs]. Makes the variables `name/weight` [inputs, outputs] and, unless it is
 * told to have none, `name/bias` [outputs].
 *
 *     const project = linear(parameters, 'project', 24, 64);
 *     const y = project(x); // [B, 24] -> [B, 64]
 *
 * @throws Error when the name is taken
 */
export function linear(
  parameters: Parameters,
  name: string,
  inputs: number,
  outputs: number,
  options: LinearOptions = {},
): <T extends tf.Tensor>(x: T) => T {
  const { weight, bias } = linearWeights(parameters, name, inputs, outputs, options);
  return x => fused.linear(x, weight, bias);
}

/** (x - mean) / sqrt(variance + epsilon), over the last axis. */
export function normalise<T extends tf.Tensor>(x: T, epsilon: number): T {
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const variance = tf.mean(tf.square(centred), -1, true);
  return tf.mul(centred, tf.rsqrt(tf.add(variance, epsilon))) as T;
}

/**
 * Layer normalisation (Ba, Kiros and Hinton 2016) over the last axis with gain and bias: [..., width] -> [..., width]. Makes the variables
 * `name/weight` (the gain, ones) and `name/bias` (zeros), each [width].
 * @throws Error when the name is taken
 */
export function layerNorm(
  parameters: Parameters,
  name: string,
  width: number,
  epsilon = 1e-5,
): <T extends tf.Tensor>(x: T) => T {
  const scope = parameters.scope(name);
  const gain = scope.ones<tf.Rank.R1>('weight', [width]);
  const bias = scope.zeros<tf.Rank.R1>('bias', [width]);
  return x => fused.layerNorm(x, gain, bias, epsilon);
}

/**
 * Two linear layers with an activation between, GELU by default: [..., inputs] -> [..., outputs]; `std` is that of the second. Makes the variables
 * `name/0/weight`, `name/0/bias`, `name/1/weight` and `name/1/bias`.
 *
 *     const update = mlp(parameters, 'block/0/update', [64, 128, 64], { std: 0.02 });
 *
 * @throws Error when the name is taken
 */
export function mlp(
  parameters: Parameters,
  name: string,
  [inputs, hidden, outputs]: readonly [number, number, number],
  options: { readonly activation?: Activation; readonly std?: number } = {},
): <T extends tf.Tensor>(x: T) => T {
  const scope = parameters.scope(name);
  const first = linearWeights(scope, '0', inputs, hidden);
  const second = linearWeights(scope, '1', hidden, outputs, { std: options.std });
  const { activation } = options;
  if (!activation || activation === gelu) return x => blocks.mlp(x, first, second);
  return <T extends tf.Tensor>(x: T): T =>
    fused.linear(activation(fused.linear(x, first.weight, first.bias)) as T, second.weight, second.bias);
}

/** Multi-head attention from tokens [B, T, C] to a memory [B, S, C]: layers `q`, `k`, `v` and `out`, each C x C. */
export function crossAttention(
  parameters: Parameters,
  name: string,
  width: number,
  heads: number,
  std?: number,
): (tokens: tf.Tensor3D, memory: tf.Tensor3D) => tf.Tensor3D {
  const scope = parameters.scope(name);
  const weights = {
    q: linearWeights(scope, 'q', width, width),
    // A bias of the keys would add the same number to every score of a query: the softmax takes it out again.
    k: linearWeights(scope, 'k', width, width, { bias: false }),
    v: linearWeights(scope, 'v', width, width),
    out: linearWeights(scope, 'out', width, width, { std }),
  };
  return (tokens, memory) => blocks.attentionBlock(tokens, memory, weights, heads);
}

/** Attention of tokens to themselves, with the layers of `crossAttention`. */
export function selfAttention(
  parameters: Parameters,
  name: string,
  width: number,
  heads: number,
  std?: number,
): TokenLayer {
  const attention = crossAttention(parameters, name, width, heads, std);
  return tokens => attention(tokens, tokens);
}

/** Sizes of a transformer block, and what it has. */
export interface EncoderLayerOptions {
  /** C, the width of the tokens. */
  readonly width: number;
  /** Must divide `width`. */
  readonly heads: number;
  /** Width of the MLP between its two layers. */
  readonly hidden: number;
  /** Of the MLP. Default the exact GELU. */
  readonly activation?: Activation;
  /** Of the norms. Default 1e-5. */
  readonly epsilon?: number;
  /** Adds a cross-attention to a memory between self-attention and MLP. */
  readonly cross?: boolean;
  /** Factor on the initial weights of what is added to the residual stream, such as 1/sqrt(2 layers). Default 1. */
  readonly residualScale?: number;
}

/** A pre-norm transformer block: x += attention(norm x); (x += cross(norm x, norm memory);) x += mlp(norm x). */
export function encoderLayer(
  parameters: Parameters,
  name: string,
  { width, heads, hidden, activation, epsilon, cross, residualScale = 1 }: EncoderLayerOptions,
): (tokens: tf.Tensor3D, memory?: tf.Tensor3D) => tf.Tensor3D {
  const scope = parameters.scope(name);
  const std = residualScale / Math.sqrt(width);
  const norm1 = layerNorm(scope, 'norm1', width, epsilon);
  const attention = selfAttention(scope, 'attention', width, heads, std);
  const crossing = cross
    ? {
        norm: layerNorm(scope, 'norm-cross', width, epsilon),
        memoryNorm: layerNorm(scope, 'norm-memory', width, epsilon),
        attention: crossAttention(scope, 'cross', width, heads, std),
      }
    : null;
  const norm2 = layerNorm(scope, 'norm2', width, epsilon);
  const perceptron = mlp(scope, 'mlp', [width, hidden, width], {
    activation,
    std: residualScale / Math.sqrt(hidden),
  });
  return (tokens, memory) => {
    let x = tf.add(tokens, attention(norm1(tokens))) as tf.Tensor3D;
    if (crossing && memory) {
      x = tf.add(x, crossing.attention(crossing.norm(x), crossing.memoryNorm(memory)));
    }
    return tf.add(x, perceptron(norm2(x)));
  };
}

/**
 * Sinusoidal embedding [cos | sin] of numbers, with frequencies exp(-ln(10000) i / half); an odd width is padded with a zero.
 * @param x [B]  @returns [B, width]
 */
export function sinusoidalEmbedding(x: tf.Tensor1D, width: number): tf.Tensor2D {
  const half = Math.floor(width / 2);
  const frequencies = Float32Array.from({ length: half }, (_, i) => Math.exp((-Math.log(10000) * i) / half));
  return tf.tidy(() => {
    const angles = tf.outerProduct(x, tf.tensor1d(frequencies));
    const parts = [tf.cos(angles), tf.sin(angles)];
    if (width % 2 === 1) parts.push(tf.zeros([x.shape[0], 1]));
    return tf.concat(parts, 1) as tf.Tensor2D;
  });
}
