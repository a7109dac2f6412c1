/**
 * A transformer whose tokens are the NCA's hidden units. Nothing tells one token from another but its numbers, so permuting the hidden
 * units permutes the output: the model is equivariant by construction.
 *
 * On a zoo whose NCAs share an origin, which unit a token is carries information. The equivariant way to have it is an *anchor*: the
 * same unit's weights in the common base, appended to each token. The model is then equivariant to permuting weights and anchor together.
 */
import * as t from 'io-ts';
import { linear, mlp, Parameters, tf } from '../../tensor/index.ts';
import { type Denoiser, type DenoiserContext, registerDenoiser } from '../denoiser.ts';
import { checkSizes, STACK_DEFAULTS, StackConfig, transformerStack } from './stack.ts';
import { hiddenTokens, tokenDenoiser } from './tokens.ts';

/** Parameters of `transformer-hidden`. */
export const TransformerHiddenConfig = t.strict({
  ...StackConfig.type.props,
  /** Append the base's weights of the same unit to each token, when the zoo has a base. */
  anchor: t.boolean,
});
export type TransformerHiddenConfig = t.TypeOf<typeof TransformerHiddenConfig>;

/**
 * Builds `transformer-hidden`: equivariant to hidden permutations (the anchor moved along).
 * @throws UserError when `heads` does not divide `width`; its `apply` throws a RangeError for weights of another spec
 */
export function transformerHidden(config: TransformerHiddenConfig, context: DenoiserContext): Denoiser {
  checkSizes('denoiser transformer-hidden', config);
  const { spec } = context;
  const layout = hiddenTokens(spec);
  const parameters = new Parameters({ seed: context.seed });
  const { width } = config;
  const anchor =
    config.anchor && context.anchor
      ? tf.keep(tf.tidy(() => layout.tokenise(tf.tensor2d(context.anchor!, [1, context.anchor!.length]))))
      : null;
  const inputs = layout.width * (anchor ? 2 : 1);
  const embed = mlp(parameters, 'units', [inputs, 2 * width, width]);
  const output = linear(parameters, 'output', width, layout.width, { std: 0 });
  // The output bias b2 belongs to no unit: its token has layers of its own, which also tell it apart.
  const bias = spec.outputBias
    ? {
        embed: mlp(parameters, 'bias', [inputs, 2 * width, width]),
        output: linear(parameters, 'bias-output', width, layout.width, { std: 0 }),
      }
    : null;
  const stack = transformerStack(parameters, config, context.condition);
  const splitUnits = (tokens: tf.Tensor3D): [tf.Tensor3D, tf.Tensor3D] => [
    tf.slice(tokens, [0, 0, 0], [-1, spec.hidden, -1]),
    tf.slice(tokens, [0, spec.hidden, 0]),
  ];

  return tokenDenoiser({
    ...{ name: 'transformer-hidden', context, layout, parameters },
    symmetries: ['hidden-permutation'],
    held: anchor ? [anchor] : [],
    network: (own, noiseLabel, condition) => {
      const tokens = anchor
        ? (tf.concat([own, tf.tile(anchor, [own.shape[0], 1, 1])], 2) as tf.Tensor3D)
        : own;
      if (!bias) return output(stack(embed(tokens), noiseLabel, condition));
      const [units, rest] = splitUnits(tokens);
      const embedded = tf.concat([embed(units), bias.embed(rest)], 1) as tf.Tensor3D;
      const [unitsOut, restOut] = splitUnits(stack(embedded, noiseLabel, condition));
      return tf.concat([output(unitsOut), bias.output(restOut)], 1) as tf.Tensor3D;
    },
  });
}

export const transformerHiddenKind = registerDenoiser({
  name: 'transformer-hidden',
  summary: 'transformer on hidden-unit tokens without positions: equivariant to hidden permutations',
  config: TransformerHiddenConfig,
  defaults: { ...STACK_DEFAULTS, anchor: true },
  build: transformerHidden,
});
