/**
 * Samplers of the probability-flow ODE dx/dsigma = (x - D(x; sigma)) / sigma and its SDEs: each one function, all of one signature.
 *
 * `x` is the whole batch in float64, already at noise level sigmas[0]; `sigmas` falls to the last level, usually 0. All step
 * arithmetic is float64; only D runs in the backend's precision.
 */

/** D(x; sigma) for the whole batch. */
export type DenoiseFn = (x: Float64Array, sigma: number) => Promise<Float64Array>;

/** A step of a sampler as it is taken. Levels are sigmas of EDM, whatever the process. */
export interface SamplerStep {
  /** 0 for the first of `steps`. */
  readonly step: number;
  readonly steps: number;
  /** Noise level at the start of the step. */
  readonly sigma: number;
  /** The state before the step; read only, and valid after it: keep it to have the trajectory. */
  readonly x: Float64Array;
  /** D(x; sigma), the clean estimate. */
  readonly denoised: Float64Array;
}

/** What samplers need beside the denoiser and the levels; each takes what concerns it. */
export interface SamplerOptions {
  /** Draws unit normals for the whole batch; needed by samplers that add noise. */
  readonly noise?: () => Float64Array;
  readonly onStep?: (step: SamplerStep) => void;
  /** When raised, the sampler throws the signal's reason before its next step. */
  readonly signal?: AbortSignal;
  /** Heun: how much noise is put back, S_churn; 0 for none. */
  readonly churn?: {
    readonly amount: number;
    readonly min?: number;
    readonly max?: number;
    readonly noise?: number;
  };
  /** Ancestral samplers: 1 keeps the marginals of the SDE, 0 is the ODE. Default 1. */
  readonly eta?: number;
  /** LMS: order of the multistep formula, 1 to 4. Default 4. */
  readonly order?: number;
}

/**
 * A sampler: brings the batch `x` [B * D] at noise level sigmas[0] down to the last level.
 * @returns the sample [B * D]; rejects with the reason of a raised signal, or when noise is needed and none given
 */
export type Sampler = (
  denoise: DenoiseFn,
  x: Float64Array,
  sigmas: Float64Array,
  options?: SamplerOptions,
) => Promise<Float64Array>;

/** Euler's method: one evaluation a step, first order. */
export const euler: Sampler = async (denoise, x, sigmas, options = {}) => {
  for (let i = 0; i < sigmas.length - 1; i++) {
    const denoised = await denoise(x, sigmas[i]);
    await report(options, i, sigmas, x, denoised);
    x = combine(1, x, sigmas[i + 1] - sigmas[i], slope(x, denoised, sigmas[i]));
  }
  return x;
};

/** Heun's second-order method with churn: Karras et al. (2022), algorithm 2. Two evaluations a step, one for the last to 0. */
export const heun: Sampler = async (denoise, x, sigmas, options = {}) => {
  const steps = sigmas.length - 1;
  const { amount = 0, min = 0, max = Number.POSITIVE_INFINITY, noise: inflation = 1 } = options.churn ?? {};
  for (let i = 0; i < steps; i++) {
    const gamma = sigmas[i] >= min && sigmas[i] <= max ? Math.min(amount / steps, Math.SQRT2 - 1) : 0;
    const sigma = sigmas[i] * (1 + gamma);
    if (gamma > 0)
      x = combine(1, x, inflation * Math.sqrt(sigma ** 2 - sigmas[i] ** 2), draw(options, 'churn'));
    const denoised = await denoise(x, sigma);
    await report(options, i, sigmas, x, denoised);
    const next = sigmas[i + 1];
    const d = slope(x, denoised, sigma);
    const guess = combine(1, x, next - sigma, d);
    if (next === 0) x = guess;
    else {
      const correction = slope(guess, await denoise(guess, next), next);
      x = combine(1, x, (next - sigma) / 2, combine(1, d, 1, correction));
    }
  }
  return x;
};

/** Euler steps to a level below the target, then fresh noise up to it (Song et al. 2021). First order. */
export const eulerAncestral: Sampler = async (denoise, x, sigmas, options = {}) => {
  for (let i = 0; i < sigmas.length - 1; i++) {
    const denoised = await denoise(x, sigmas[i]);
    await report(options, i, sigmas, x, denoised);
    const { down, up } = ancestral(sigmas[i], sigmas[i + 1], options.eta);
    x = combine(1, x, down - sigmas[i], slope(x, denoised, sigmas[i]));
    if (up > 0) x = combine(1, x, up, draw(options, 'an ancestral sampler'));
  }
  return x;
};

/** DPM-Solver++(2M): second order by the previous evaluation, in lambda = -ln sigma (Lu et al. 2022, algorithm 2). */
export const dpmpp2m: Sampler = async (denoise, x, sigmas, options = {}) => {
  let previous: Float64Array | null = null;
  for (let i = 0; i < sigmas.length - 1; i++) {
    const denoised = await denoise(x, sigmas[i]);
    await report(options, i, sigmas, x, denoised);
    const next = sigmas[i + 1];
    const h = Math.log(sigmas[i] / next);
    let estimate = denoised;
    if (previous && next > 0) {
      const ratio = Math.log(sigmas[i - 1] / sigmas[i]) / h;
      estimate = combine(1 + 1 / (2 * ratio), denoised, -1 / (2 * ratio), previous);
    }
    x = combine(next / sigmas[i], x, -Math.expm1(-h), estimate);
    previous = denoised;
  }
  return x;
};

/** DPM-Solver++(2S), second order by a midpoint in lambda (Lu et al. 2022, algorithm 1), with ancestral noise. */
export const dpmpp2sAncestral: Sampler = async (denoise, x, sigmas, options = {}) => {
  for (let i = 0; i < sigmas.length - 1; i++) {
    const sigma = sigmas[i];
    const denoised = await denoise(x, sigma);
    await report(options, i, sigmas, x, denoised);
    const { down, up } = ancestral(sigma, sigmas[i + 1], options.eta);
    if (down === 0) x = denoised;
    else {
      const h = Math.log(sigma / down);
      const middle = Math.sqrt(sigma * down);
      const guess = combine(middle / sigma, x, -Math.expm1(-h / 2), denoised);
      x = combine(down / sigma, x, -Math.expm1(-h), await denoise(guess, middle));
    }
    if (up > 0) x = combine(1, x, up, draw(options, 'an ancestral sampler'));
  }
  return x;
};

/** Linear multistep (Adams and Bashforth on uneven steps): the polynomial through the last slopes, integrated exactly. */
export const lms: Sampler = async (denoise, x, sigmas, options = {}) => {
  const order = options.order ?? 4;
  const slopes: Float64Array[] = [];
  for (let i = 0; i < sigmas.length - 1; i++) {
    const denoised = await denoise(x, sigmas[i]);
    await report(options, i, sigmas, x, denoised);
    slopes.unshift(slope(x, denoised, sigmas[i]));
    slopes.length = Math.min(slopes.length, order);
    const nodes = Array.from(slopes, (_, j) => sigmas[i - j]);
    slopes.forEach((d, j) => {
      x = combine(1, x, integralOfLagrange(nodes, j, sigmas[i], sigmas[i + 1]), d);
    });
  }
  return x;
};

/** All samplers by name. */
export const SAMPLERS = {
  heun,
  euler,
  'euler-ancestral': eulerAncestral,
  'dpmpp-2m': dpmpp2m,
  'dpmpp-2s-ancestral': dpmpp2sAncestral,
  lms,
} as const satisfies Record<string, Sampler>;
/** A name that configurations and --sampler take. */
export type SamplerName = keyof typeof SAMPLERS;

/** a x + b y, a new array. */
function combine(a: number, x: Float64Array, b: number, y: Float64Array): Float64Array {
  const sum = new Float64Array(x.length);
  for (let i = 0; i < sum.length; i++) sum[i] = a * x[i] + b * y[i];
  return sum;
}

/** dx/dsigma = (x - D) / sigma. */
const slope = (x: Float64Array, denoised: Float64Array, sigma: number) =>
  combine(1 / sigma, x, -1 / sigma, denoised);

/** Splits the step to `next` into a deterministic part down to `down` and noise `up`: down^2 + up^2 = next^2. */
function ancestral(sigma: number, next: number, eta = 1): { down: number; up: number } {
  const up = Math.min(next, eta * Math.sqrt((next ** 2 * (sigma ** 2 - next ** 2)) / sigma ** 2));
  return { down: Math.sqrt(next ** 2 - up ** 2), up };
}

function draw({ noise }: SamplerOptions, who: string): Float64Array {
  if (!noise) throw new Error(`${who} needs a source of noise`);
  return noise();
}

/** Tells of the step and lets the event loop turn, so that Ctrl-C is seen. */
async function report(
  { onStep, signal }: SamplerOptions,
  step: number,
  sigmas: Float64Array,
  x: Float64Array,
  denoised: Float64Array,
): Promise<void> {
  onStep?.({ step, steps: sigmas.length - 1, sigma: sigmas[step], x, denoised });
  await new Promise(resolve => setImmediate(resolve));
  signal?.throwIfAborted();
}

// Gauss and Legendre's four points: exact for polynomials up to degree 7, and ours have at most 3.
const POINTS = [-0.8611363115940526, -0.3399810435848563, 0.3399810435848563, 0.8611363115940526];
const WEIGHTS = [0.3478548451374538, 0.6521451548625461, 0.6521451548625461, 0.3478548451374538];

/** The integral from `a` to `b` of the polynomial that is 1 at nodes[j] and 0 at the others. */
function integralOfLagrange(nodes: readonly number[], j: number, a: number, b: number): number {
  const basis = (s: number) =>
    nodes.reduce((product, node, k) => (k === j ? product : (product * (s - node)) / (nodes[j] - node)), 1);
  return POINTS.reduce(
    (sum, point, k) => sum + (WEIGHTS[k] * (b - a) * basis((a + b) / 2 + (point * (b - a)) / 2)) / 2,
    0,
  );
}
