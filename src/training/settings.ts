/** How a denoiser is trained. */

/** Everything about a training but its data and models; `TRAINING_DEFAULTS` has the values of a small one. */
export interface TrainingSettings {
  /** Of order, noise, dropped conditions and augmentation. */
  readonly seed: number;
  /** Updates, unless time runs out before. */
  readonly steps: number;
  /**
   * Training stops after so many seconds, validation and callbacks not counted; null for no limit. The learning rate then
   * follows the time spent, so that two runs are alike only as far as the machine is.
   */
  readonly seconds: number | null;
  /** Samples a step. */
  readonly batch: number;
  /** Samples that go through the denoiser at once; null for the whole batch. */
  readonly microBatch: number | null;
  /** After the warm-up, before the fall. */
  readonly learningRate: number;
  /** Steps of linear warm-up. */
  readonly warmup: number;
  /** `cosine` falls to 0 at the end of the training, `constant` does not fall. */
  readonly decay: 'cosine' | 'constant';
  /** Of Adam. */
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Decoupled weight decay; 0 is Adam, else AdamW. */
  readonly weightDecay: number;
  /** Largest global norm of the gradient; null for no clipping. */
  readonly clip: number | null;
  /** Share of samples whose condition is dropped. */
  readonly conditionDropout: number;
  /** Widths (sigma_rel) of the moving averages kept. */
  readonly averages: readonly number[];
  /** The average the denoiser holds when training is over; null for the last weights. */
  readonly finalAverage: number | null;
  /** Steps between validations; null for one at the end. */
  readonly validateEvery: number | null;
  /** Noise levels at which the validation loss is measured. */
  readonly validationBins: number;
}

/** A thousand steps of 64 samples: Adam at 2e-4 with warm-up and cosine fall, conditions dropped for a tenth of the samples. */
export const TRAINING_DEFAULTS: TrainingSettings = {
  seed: 1,
  steps: 1000,
  seconds: null,
  batch: 64,
  microBatch: null,
  learningRate: 2e-4,
  warmup: 50,
  decay: 'cosine',
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0,
  clip: 1,
  conditionDropout: 0.1,
  averages: [0.05, 0.1],
  finalAverage: 0.1,
  validateEvery: null,
  validationBins: 25,
};
