/**
 * The rival without weight generation: one NCA that grows every texture, told which by a signal in its cells (Catrina et al. 2024, arXiv 2407.05991, call
 * it a genome). E further state channels hold the signal, the same in every cell and at every step; the condition is projected into them.
 *
 * A signal that neither place nor time changes has no gradient and no Laplacian: all that reaches the hidden layer of it is W s, [hidden, E] times [E].
 * So the NCA with signal channels is, number for number, an NCA of the plain spec whose first bias is b1 + W s, and it stands behind the interface of a
 * denoiser: the weights it answers with differ between textures in b1 alone. It is trained through the rollout, by `process: regression` with
 * `weightLoss: 0`.
 */
import * as t from 'io-ts';
import { natural } from '../config/index.ts';
import { weightBlocks, weightCount } from '../nca/index.ts';
import { linear, Parameters, tf } from '../tensor/index.ts';
import { type Condition, type Denoiser, type DenoiserContext, registerDenoiser } from './denoiser.ts';
import { checkWeights, conditionEmbedding } from './sequence/index.ts';

/** Parameters of `condition-nca`. */
export const ConditionNcaConfig = t.strict({
  /** E, state channels that hold the signal. */
  signals: natural,
  /** Of the layer between condition and signal. */
  width: natural,
});
export type ConditionNcaConfig = t.TypeOf<typeof ConditionNcaConfig>;

/** Builds `condition-nca`. It begins as the anchor (near the mean of the training weights where there is none) for every condition. */
export function conditionNca({ signals, width }: ConditionNcaConfig, context: DenoiserContext): Denoiser {
  const { spec, condition: shape, anchor } = context;
  const parameters = new Parameters({ seed: context.seed });
  const size = weightCount(spec);
  const shared = parameters.normal<tf.Rank.R2>('shared', [1, size], 0.02);
  if (anchor) tf.tidy(() => shared.assign(tf.tensor2d(anchor, [1, size])));
  const { offset } = weightBlocks(spec).find(({ name }) => name === 'b1')!;
  const steer = shape ? steering(parameters, { signals, width, hidden: spec.hidden }, shape) : null;
  return {
    name: 'condition-nca',
    spec,
    variables: parameters.variables,
    symmetries: [],
    conditionOnly: true,
    apply: (weights, _noiseLabel, condition) =>
      tf.tidy(() => {
        checkWeights(spec, weights);
        const rows = weights.shape[0];
        if (!steer) return tf.tile(shared, [rows, 1]);
        const shift = tf.pad(steer(condition, rows), [
          [0, 0],
          [offset, size - offset - spec.hidden],
        ]);
        return tf.add(shared, shift) as tf.Tensor2D;
      }),
    dispose: () => parameters.dispose(),
  };
}

/** Condition tokens -> signal [B, E] -> W s [B, hidden], the shift of b1. W begins as zero, so that every texture begins with the same NCA. */
function steering(
  parameters: Parameters,
  { signals, width, hidden }: ConditionNcaConfig & { readonly hidden: number },
  shape: NonNullable<DenoiserContext['condition']>,
) {
  const embed = conditionEmbedding(parameters, width, shape);
  const toSignal = linear(parameters, 'signal', width, signals);
  const toHidden = linear(parameters, 'hidden', signals, hidden, { bias: false, std: 0 });
  return (condition: Condition | null, rows: number): tf.Tensor2D =>
    toHidden(toSignal(tf.mean(embed(condition, rows), 1) as tf.Tensor2D));
}

export const conditionNcaKind = registerDenoiser({
  name: 'condition-nca',
  summary:
    'no weight generation: one NCA steered by a signal in its cells, to be trained through the rollout',
  conditionOnly: true,
  config: ConditionNcaConfig,
  defaults: { signals: 16, width: 128 },
  build: conditionNca,
});
