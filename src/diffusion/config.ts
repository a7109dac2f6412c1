/** A diffusion process from a configuration. */
import * as E from 'fp-ts/lib/Either.js';
import { pipe } from 'fp-ts/lib/function.js';
import * as t from 'io-ts';
import {
  decode,
  type Failure,
  finite,
  natural,
  notNegative,
  orThrow,
  positive,
  refuse,
  share,
  UserError,
} from '../config/index.ts';
import { ddim } from './ddim.ts';
import type { Diffusion } from './diffusion.ts';
import { EDM_DEFAULTS, edm } from './edm.ts';
import type { GaussianPrior } from './gaussian.ts';
import { MEANS } from './prior-means.ts';
import { regression } from './regression.ts';
import { SAMPLERS } from './samplers.ts';
import { SCHEDULES } from './schedules.ts';
import { largestDeviation, spectrumNoise } from './spectrum.ts';

const keys = <T extends object>(of: T) =>
  t.keyof(Object.fromEntries(Object.keys(of).map(key => [key, null])) as Record<keyof T & string, null>);

const noise = t.union([
  t.strict({ kind: t.literal('log-normal'), mean: finite, std: positive }),
  t.strict({ kind: t.literal('log-uniform'), min: positive, max: positive }),
]);
/** Noise that is fitted to the weights it is to hide: see `spectrumNoise`. */
const SpectrumNoise = t.strict({ kind: t.literal('spectrum'), low: positive, high: positive });

const churn = t.intersection([
  t.strict({ amount: notNegative }),
  t.partial({ min: notNegative, max: positive, noise: positive }),
]);

/** The process is built around ridge regression (`gaussian`) or kernel ridge regression (`kernel`) and its residuals, fitted to the training weights. */
const prior = t.keyof({ none: null, ...MEANS });

const EdmCodec = t.intersection([
  t.strict({ process: t.literal('edm') }),
  t.partial({
    sigmaData: positive,
    prior,
    noise,
    parametrisation: t.keyof({ edm: null, clean: null }),
    weighting: t.keyof({ edm: null, snr: null, 'soft-min-snr': null, uniform: null }),
    sampling: t.partial({
      sampler: keys(SAMPLERS),
      schedule: keys(SCHEDULES),
      steps: natural,
      sigmaMin: positive,
      sigmaMax: positive,
      rho: positive,
      churn,
      eta: share,
      order: t.refinement(t.number, x => [1, 2, 3, 4].includes(x), 'a whole number from 1 to 4'),
    }),
  }),
]);

const DdimCodec = t.intersection([
  t.strict({ process: t.literal('ddim') }),
  t.partial({
    sigmaData: positive,
    trainingSteps: natural,
    steps: natural,
    clip: t.union([positive, t.null]),
    eta: share,
    rescale: share,
    rescaleOver: t.keyof({ sample: null, batch: null }),
    stride: t.keyof({ next: null, fixed: null }),
  }),
]);

/** `process: edm`, `process: ddim` or `process: regression`, and any of its parameters. */
export type DiffusionConfig =
  | t.TypeOf<typeof EdmCodec>
  | t.TypeOf<typeof DdimCodec>
  | t.TypeOf<typeof RegressionCodec>;

const RegressionCodec = t.intersection([
  t.strict({ process: t.literal('regression') }),
  t.partial({ sigmaData: positive, prior, weightLoss: notNegative }),
]);

const CODECS: Readonly<Record<'edm' | 'ddim' | 'regression', t.Mixed>> = {
  edm: EdmCodec,
  ddim: DdimCodec,
  regression: RegressionCodec,
};
const ProcessCodec = t.strict({ process: t.keyof({ edm: null, ddim: null, regression: null }) });

/** A process's builder; what it refuses (a UserError) as a value. */
const built = <A>(build: () => A): E.Either<Failure, A> => {
  try {
    return E.right(build());
  } catch (error) {
    if (error instanceof UserError && error.failure) return E.left(error.failure);
    throw error;
  }
};

/**
 * A configuration whose noise fits normalised weights [N * D]: `noise: { kind: spectrum, low: 0.1, high: 1.5 }` becomes the log-normal of
 * `spectrumNoise`; any other stays as it is.
 */
export function fitDiffusion(
  config: Readonly<Record<string, unknown>>,
  normalised: Float32Array,
  size: number,
  where = 'diffusion',
): Readonly<Record<string, unknown>> {
  if ((config.noise as { kind?: unknown } | undefined)?.kind !== 'spectrum') return config;
  const range = orThrow(decode(SpectrumNoise, config.noise, `${where}: noise`));
  const sigmaData = typeof config.sigmaData === 'number' ? config.sigmaData : EDM_DEFAULTS.sigmaData;
  return { ...config, noise: spectrumNoise(range, sigmaData, largestDeviation(normalised, size)) };
}

/** What is wrong with a process's configuration, before there are weights to fit its noise or its prior to. */
export const checkDiffusion = (
  config: Readonly<Record<string, unknown>>,
  where = 'diffusion',
): E.Either<Failure, unknown> => {
  const { noise, ...rest } = config;
  const fitted = (noise as { kind?: unknown } | undefined)?.kind === 'spectrum';
  return pipe(
    fitted ? decode(SpectrumNoise, noise, `${where}.noise`) : E.right<Failure, unknown>(null),
    E.chain(() => decode(ProcessCodec, config, where, { unknownKeys: 'allow' })),
    E.chain(
      ({ process }): E.Either<Failure, unknown> =>
        decode<unknown>(CODECS[process], fitted ? rest : config, where),
    ),
  );
};

/** The mean of the prior that a configuration asks to build its process around; null where it asks for none. */
export const priorMean = (config: Readonly<Record<string, unknown>>): keyof typeof MEANS | null =>
  Object.keys(MEANS).includes(config.prior as string) ? (config.prior as keyof typeof MEANS) : null;

/**
 * Builds the process that a configuration describes; parameters left out take their defaults.
 * @param prior what `prior: gaussian` stands for: fitted by `prepareDiffusion`, or read from a model
 */
export const createDiffusion = (
  config: unknown,
  where = 'diffusion',
  prior: GaussianPrior | null = null,
): E.Either<Failure, Diffusion> =>
  pipe(
    decode(ProcessCodec, config, where, { unknownKeys: 'allow' }),
    // Decoded again by the codec of its process, so that a misspelt parameter is looked for among its own.
    E.chain(({ process }): E.Either<Failure, Diffusion> => {
      switch (process) {
        case 'ddim':
          return pipe(
            decode(DdimCodec, config, where),
            E.chain(options => built(() => ddim(options))),
          );
        case 'regression':
          return pipe(
            decode(RegressionCodec, config, where),
            E.chain(options => built(() => regression(options, chosen(options, prior, where)))),
          );
        case 'edm':
          return pipe(
            decode(EdmCodec, config, where),
            E.chain(options => built(() => edm(options, chosen(options, prior, where)))),
          );
      }
    }),
  );

/** The prior where the configuration asks for one. */
function chosen(
  config: Readonly<Record<string, unknown>>,
  prior: GaussianPrior | null,
  where: string,
): GaussianPrior | null {
  if (!priorMean(config)) return null;
  return prior ?? refuse(where, 'a prior fitted to weights', 'none', { field: 'prior' });
}
