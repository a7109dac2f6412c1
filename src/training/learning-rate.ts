/** The learning rate's course: a linear warm-up times a cosine fall. */

/** The learning rate's course over a training. */
export interface LearningRate {
  /** What warm-up and fall are factors on. */
  readonly base: number;
  /** Steps of warm-up. */
  readonly warmup: number;
  /** Factor at step 0; it grows linearly to 1. */
  readonly warmupFactor?: number;
  /** `cosine` falls to 0 at the end, `constant` does not fall. */
  readonly decay?: 'cosine' | 'constant';
}

/**
 * base * min(1, f + (1 - f) step / warmup) * (1 + cos(pi progress)) / 2.
 *
 * @param progress share of the training done, in [0, 1]: of its steps, or of its time when time is what ends it
 */
export function learningRateAt(
  { base, warmup, warmupFactor = 0, decay = 'cosine' }: LearningRate,
  step: number,
  progress: number,
): number {
  const ramp = step < warmup ? warmupFactor + ((1 - warmupFactor) * step) / warmup : 1;
  const fall = decay === 'cosine' ? 0.5 * (1 + Math.cos(Math.PI * Math.min(1, Math.max(0, progress)))) : 1;
  return base * ramp * fall;
}
