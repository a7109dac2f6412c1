/**
 * The baseline: a pre-norm transformer encoder on mixed weight tokens with one shared projector, learned positions and one output
 * vector per weight token. The noise level is a token, the condition more tokens or the memory of a cross-attention.
 */
import { linear, mlp, Parameters, tf } from '../../tensor/index.ts';
import { type Denoiser, type DenoiserContext, registerDenoiser } from '../denoiser.ts';
import { checkSizes, STACK_DEFAULTS, StackConfig, transformerStack } from './stack.ts';
import { mixedTokens, tokenDenoiser } from './tokens.ts';

/** Learned positions tell the tokens apart, but nothing tells a permuted hidden layer from the original: no symmetry holds. */
export function transformer(config: StackConfig, context: DenoiserContext): Denoiser {
  checkSizes('denoiser transformer', config);
  const layout = mixedTokens(context.spec);
  const parameters = new Parameters({ seed: context.seed });
  const { width } = config;
  const embed = mlp(parameters, 'weights', [layout.width, 2 * width, width]);
  const position = parameters.normal<tf.Rank.R3>('weights/position', [1, layout.kinds.length, width], 0.02);
  const stack = transformerStack(parameters, config, context.condition);
  const output = linear(parameters, 'output', width, layout.width, { std: 0 });

  return tokenDenoiser({
    ...{ name: 'transformer', context, layout, parameters },
    network: (tokens, noiseLabel, condition) =>
      output(stack(tf.add(embed(tokens), position) as tf.Tensor3D, noiseLabel, condition)),
  });
}

export const transformerKind = registerDenoiser({
  name: 'transformer',
  summary:
    'transformer on mixed weight tokens (w1 columns, w2 rows, b1), shared projector, learned positions',
  config: StackConfig,
  defaults: STACK_DEFAULTS,
  build: transformer,
});
