/** Training settings from a configuration. */
import * as t from 'io-ts';
import { natural, notNegative, optional, positive, share, whole } from '../config/index.ts';

/** Of a moving average, as a share of the training: there is no power profile of 0.28 or more. */
const width = t.refinement(t.number, x => x > 0 && x < 0.28, 'a width above 0 and below 0.28');

/** TrainingSettings without the seed, which a run has one of. */
export const TrainingSettingsCodec = t.strict({
  steps: natural,
  seconds: optional(positive),
  batch: natural,
  microBatch: optional(natural),
  learningRate: positive,
  warmup: whole,
  decay: t.keyof({ cosine: null, constant: null }),
  beta1: share,
  beta2: share,
  epsilon: positive,
  weightDecay: notNegative,
  clip: optional(positive),
  conditionDropout: share,
  averages: t.array(width),
  finalAverage: optional(width),
  validateEvery: optional(natural),
  validationBins: natural,
});

/** The loss through the rollout: see RolloutLossOptions. `from` is the share of the training after which it begins. */
export const RolloutSettingsCodec = t.strict({
  weight: positive,
  from: share,
  every: natural,
  rows: optional(natural),
  steps: t.tuple([natural, natural]),
  noiseWeight: t.keyof({ signal: null, uniform: null }),
  overflow: notNegative,
  clip: optional(positive),
});
/** The loss through the rollout as configurations have it. */
export type RolloutSettings = t.TypeOf<typeof RolloutSettingsCodec>;

/** On every sample at every step, weighted by the share of signal; 24 to 55 NCA steps. */
export const ROLLOUT_DEFAULTS: RolloutSettings = {
  weight: 1,
  from: 0,
  every: 1,
  rows: null,
  steps: [24, 56],
  noiseWeight: 'signal',
  overflow: 1,
  clip: 0.1,
};
