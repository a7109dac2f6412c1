/** A diffusion process from a configuration. */
import * as E from 'fp-ts/lib/Either.js';
import { pipe } from 'fp-ts/lib/function.js';
import * as t from 'io-ts';
import { decode, type Failure, finite, natural, notNegative, positive, share } from '../config/index.ts';
import { ddim } from './ddim.ts';
import type { Diffusion } from './diffusion.ts';
import { edm } from './edm.ts';
import { SAMPLERS } from './samplers.ts';
import { SCHEDULES } from './schedules.ts';

const keys = <T extends object>(of: T) =>
  t.keyof(Object.fromEntries(Object.keys(of).map(key => [key, null])) as Record<keyof T & string, null>);

const noise = t.union([
  t.strict({ kind: t.literal('log-normal'), mean: finite, std: positive }),
  t.strict({ kind: t.literal('log-uniform'), min: positive, max: positive }),
]);

const churn = t.intersection([
  t.strict({ amount: notNegative }),
  t.partial({ min: notNegative, max: positive, noise: positive }),
]);

const EdmCodec = t.intersection([
  t.strict({ process: t.literal('edm') }),
  t.partial({
    sigmaData: positive,
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

/** `process: edm` or `process: ddim`, and any of its parameters. */
export type DiffusionConfig = t.TypeOf<typeof EdmCodec> | t.TypeOf<typeof DdimCodec>;

const ProcessCodec = t.strict({ process: t.keyof({ edm: null, ddim: null }) });

/** Builds the process that a configuration describes; parameters left out take their defaults. */
export const createDiffusion = (config: unknown, where = 'diffusion'): E.Either<Failure, Diffusion> =>
  pipe(
    decode(ProcessCodec, config, where, { unknownKeys: 'allow' }),
    // Decoded again by the codec of its process, so that a misspelt parameter is looked for among its own.
    E.chain(
      ({ process }): E.Either<Failure, Diffusion> =>
        process === 'ddim'
          ? pipe(
              decode(DdimCodec, config, where),
              E.map(options => ddim(options)),
            )
          : pipe(decode(EdmCodec, config, where), E.map(edm)),
    ),
  );
