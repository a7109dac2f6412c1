/**
 * The transformer with a projector and an output layer for each weight token instead of a shared one, and embeddings of what a token
 * is: which block of weights it holds (w1, w2, b1, b2), or noise level, or condition.
 */
import { gelu, linear, Parameters, tf } from '../../tensor/index.ts';
import { type Denoiser, type DenoiserContext, registerDenoiser } from '../denoiser.ts';
import { checkSizes, STACK_DEFAULTS, StackConfig, transformerStack } from './stack.ts';
import { mixedTokens, type TokenKind, tokenDenoiser } from './tokens.ts';

const KINDS: readonly TokenKind[] = ['w1', 'w2', 'b1', 'b2'];

/** y_t = x_t W_t + b_t: a linear layer of its own for each of T tokens. */
function linearPerToken(
  parameters: Parameters,
  name: string,
  count: number,
  inputs: number,
  outputs: number,
  std = 1 / Math.sqrt(inputs),
) {
  const scope = parameters.scope(name);
  const weight = scope.normal<tf.Rank.R3>('weight', [count, inputs, outputs], std);
  const bias = scope.zeros<tf.Rank.R3>('bias', [count, 1, outputs]);
  return (tokens: tf.Tensor3D): tf.Tensor3D => {
    const byToken = tf.transpose(tokens, [1, 0, 2]);
    return tf.transpose(tf.add(tf.matMul(byToken, weight), bias), [1, 0, 2]) as tf.Tensor3D;
  };
}

/**
 * Builds `transformer-typed`: a projector and an output layer for each token of the mixed layout. It keeps no symmetry.
 * @throws UserError when `heads` does not divide `width`; its `apply` throws a RangeError for weights of another spec
 */
export function transformerTyped(config: StackConfig, context: DenoiserContext): Denoiser {
  checkSizes('denoiser transformer-typed', config);
  const layout = mixedTokens(context.spec);
  const parameters = new Parameters({ seed: context.seed });
  const { width } = config;
  const count = layout.kinds.length;
  const first = linearPerToken(parameters, 'weights/0', count, layout.width, width);
  const second = linear(parameters, 'weights/1', width, width);
  const kinds = parameters.normal<tf.Rank.R2>('weights/kind', [KINDS.length, width], 0.02);
  const membership = layout.kinds.flatMap(kind => KINDS.map(k => (k === kind ? 1 : 0)));
  const stack = transformerStack(parameters, config, context.condition);
  const output = linearPerToken(parameters, 'output', count, width, layout.width, 0);

  return tokenDenoiser({
    ...{ name: 'transformer-typed', context, layout, parameters },
    network: (tokens, noiseLabel, condition) => {
      const kind = tf.matMul(tf.tensor2d(membership, [count, KINDS.length]), kinds);
      const embedded = tf.add(second(gelu(first(tokens))), tf.expandDims(kind, 0)) as tf.Tensor3D;
      return output(stack(embedded, noiseLabel, condition));
    },
  });
}

export const transformerTypedKind = registerDenoiser({
  name: 'transformer-typed',
  summary: 'transformer on mixed weight tokens with a projector per token and embeddings of the weight kind',
  config: StackConfig,
  defaults: STACK_DEFAULTS,
  build: transformerTyped,
});
