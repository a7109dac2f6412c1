/** Noise schedules: `steps` levels falling from the highest to the lowest, then 0. All are Float64Array [steps + 1]. */

/** How many noise levels, from which to which. */
export interface ScheduleOptions {
  /** Levels above 0; a whole number from 1. */
  readonly steps: number;
  readonly sigmaMin: number;
  readonly sigmaMax: number;
  /** Only for `karras`: how much the steps are shortened near sigmaMin. */
  readonly rho?: number;
}

/** All schedules by name. */
export const SCHEDULES = { karras, exponential, vp } as const;
/** A name that configurations take. */
export type ScheduleName = keyof typeof SCHEDULES;

/** sigma_i^(1/rho) evenly spaced (Karras et al. 2022, eq. 5). */
export function karras({ steps, sigmaMin, sigmaMax, rho = 7 }: ScheduleOptions): Float64Array {
  const high = sigmaMax ** (1 / rho);
  const low = sigmaMin ** (1 / rho);
  return levels(steps, ramp => (high + ramp * (low - high)) ** rho);
}

/** ln sigma evenly spaced. */
export function exponential({ steps, sigmaMin, sigmaMax }: ScheduleOptions): Float64Array {
  return levels(steps, ramp => sigmaMax * (sigmaMin / sigmaMax) ** ramp);
}

/**
 * The variance-preserving process of Song et al. (2021) in EDM's terms: sigma(t) = sqrt(exp(b_d t^2 / 2 + b_min t) - 1) at evenly
 * spaced t from 1 to 1e-3, with b_d and b_min chosen so that the ends are sigmaMax and sigmaMin (Karras et al. 2022, table 1).
 */
export function vp({ steps, sigmaMin, sigmaMax }: ScheduleOptions): Float64Array {
  const last = 1e-3;
  const atStart = Math.log1p(sigmaMax ** 2);
  const atEnd = Math.log1p(sigmaMin ** 2);
  const slope = (2 * (atEnd / last - atStart)) / (last - 1);
  const offset = atStart - slope / 2;
  return levels(steps, ramp => {
    const t = 1 + ramp * (last - 1);
    return Math.sqrt(Math.expm1((slope / 2) * t * t + offset * t));
  });
}

function levels(steps: number, at: (ramp: number) => number): Float64Array {
  if (!Number.isInteger(steps) || steps < 1)
    throw new RangeError(`a schedule needs whole steps >= 1, not ${steps}`);
  const sigmas = new Float64Array(steps + 1);
  for (let i = 0; i < steps; i++) sigmas[i] = at(steps === 1 ? 0 : i / (steps - 1));
  return sigmas;
}
