/** What a trained contender draws when it is asked more than once: the material of every measure of sampling. Plain data. */

import { breathe } from '../compute/index.ts';
import {
  conditionOf,
  type Diffusion,
  disposeGiven,
  type EdmConfig,
  edm,
  type GaussianPrior,
  nothingAdded,
  priorFor,
  sampleWeights,
  type Trajectory,
} from '../diffusion/index.ts';
import type { Method } from '../evaluation/index.ts';
import { weightCount } from '../nca/index.ts';
import { withBar } from '../runs/index.ts';
import { randomStream, tf } from '../tensor/index.ts';
import type { Contender, ContenderSampleOptions } from './contender.ts';
import type { RunContext } from './experiment.ts';
import type { Model } from './model/index.ts';
import type { Study } from './study.ts';

/** K samples for each held-out texture, and what else tells a sampler from a regressor. */
export interface SamplingDraws {
  readonly label: string;
  readonly kind: 'diffusion' | 'regression' | 'null model';
  /** The name of the denoiser, whatever it is called in tables. */
  readonly denoiser: string;
  /** [K] of [M * D], real weights. */
  readonly samples: readonly Float32Array[];
  /** [M * D] one step from pure noise: the posterior mean. Null for regression, which is nothing else. */
  readonly oneStep: Float32Array | null;
  /** [M * D] without condition. */
  readonly unconditional: Float32Array | null;
  /** Mean squared error of the denoised weights on the held-out NCAs by noise level, beside the null model's on the same noise. EDM only. */
  readonly bins:
    | readonly { readonly level: number; readonly loss: number; readonly nullLoss: number }[]
    | null;
  /** How the first few textures' measured samples came into being. Null where nothing is sampled, and for the null model. */
  readonly trajectory: Trajectory | null;
}

/** Textures whose sampling is kept step by step. */
const WATCHED = 6;

/** What is asked of a model to draw from it. */
export type Drawable = Pick<Contender, 'label' | 'denoiser' | 'diffusion' | 'normaliser' | 'sample'> &
  Partial<Pick<Contender, 'trajectory'>>;

/** A trained model, asked for draws. */
export const drawableModel = (
  model: Model,
  {
    steps,
    guidance,
    seed,
    signal,
  }: {
    /** Default: as configured. */
    readonly steps?: number;
    /** Scale; 1 for none. */
    readonly guidance: number;
    readonly seed: number;
    readonly signal?: AbortSignal;
  },
  label: string = model.denoiser.name,
): Drawable => ({
  label,
  denoiser: model.denoiser,
  diffusion: model.diffusion,
  normaliser: model.normaliser,
  sample(set, options = {}) {
    const conditioned = model.encoder !== null && options.conditional !== false;
    return sampleWeights({
      ...model,
      features: conditioned ? set.features : null,
      count: conditioned ? 1 : set.names.length,
      steps: options.sampling?.steps ?? steps,
      guidance: guidance === 1 ? undefined : { scale: guidance },
      seed: options.seed ?? seed,
      signal,
      onProgress: options.onProgress,
    });
  },
});

/** Noise levels at which denoising is measured: the middles of so many bins of equal probability. */
const BINS = 8;

const edmOf = (diffusion: Diffusion): EdmConfig | null =>
  diffusion.name === 'edm' ? (diffusion as Diffusion & { config: EdmConfig }).config : null;

/** The prior of a study in a contender's normalised weights. */
async function priorOfStudy(
  { train, spec }: Study,
  { diffusion, normaliser }: Pick<Contender, 'diffusion' | 'normaliser'>,
  signal?: AbortSignal,
): Promise<GaussianPrior> {
  if (diffusion.prior) return diffusion.prior;
  const features = (await train.features.data()) as Float32Array;
  const { prior } = await priorFor({
    weights: train.weights,
    features,
    normaliser,
    size: weightCount(spec),
    signal,
  });
  return prior;
}

/** The null model of a contender: EDM with its noise and sampler, around the prior of the study, and a denoiser that adds nothing to it. */
async function nullModelOf(
  study: Study,
  contender: Pick<Contender, 'diffusion' | 'normaliser'>,
  signal?: AbortSignal,
) {
  const config = edmOf(contender.diffusion);
  if (!config) return null;
  const prior = await priorOfStudy(study, contender, signal);
  return {
    diffusion: edm({ ...config, parametrisation: 'edm', weighting: 'edm' }, prior),
    denoiser: nothingAdded(study.spec, prior),
    encoder: study.encoder,
    normaliser: contender.normaliser,
  };
}

/** Held-out NCAs that are denoised at once. */
const ROWS = 32;

/** Mean squared error by noise level, of the contender and of the null model. `onProgress` is told of the share that is done. */
async function lossesByBin(
  study: Study,
  contender: Drawable,
  { sampling }: EdmConfig,
  { signal, onProgress }: { readonly signal: AbortSignal; onProgress(share: number): void },
) {
  const { diffusion, normaliser } = contender;
  const { heldOut, spec, encoder } = study;
  const count = heldOut.names.length;
  const size = weightCount(spec);
  const models = [{ ...contender, encoder }, (await nullModelOf(study, contender, signal))!];
  const clean = normaliser.normalise(heldOut.weights);
  const bins = [...diffusion.binLevels(BINS).entries()]
    .filter(([, level]) => level >= sampling.sigmaMin && level <= sampling.sigmaMax)
    .map(([, level], bin) => ({
      level,
      noise: randomStream(0, `draws/bin/${bin}`).normals(count * size),
      loss: 0,
      nullLoss: 0,
    }));
  for (let from = 0; from < count; from += ROWS) {
    const rows = Math.min(ROWS, count - from);
    const features = tf.slice(heldOut.features, from, rows);
    const conditions = await Promise.all(models.map(model => conditionOf(model, features)));
    try {
      for (const [k, bin] of bins.entries()) {
        await breathe(signal);
        const errors = tf.tidy(() => {
          const [x, e] = [clean, bin.noise].map(values =>
            tf.tensor2d(values.subarray(from * size, (from + rows) * size), [rows, size]),
          );
          const levels = new Array<number>(rows).fill(bin.level);
          const present = tf.ones<tf.Rank.R1>([rows]);
          return tf.stack(
            models.map(({ diffusion, denoiser }, k) => {
              const condition = { ...conditions[k], present, complete: true };
              return tf.mean(
                tf.squaredDifference(diffusion.objective(denoiser, x, e, levels, condition).denoised, x),
              );
            }),
          );
        });
        const [loss, nullLoss] = await errors.data();
        errors.dispose();
        bin.loss += (loss * rows) / count;
        bin.nullLoss += (nullLoss * rows) / count;
        onProgress((from + (rows * (k + 1)) / bins.length) / count);
      }
    } finally {
      conditions.forEach(disposeGiven);
      features.dispose();
    }
  }
  return bins.map(({ level, loss, nullLoss }) => ({ level, loss, nullLoss }));
}

/** Draws `count` samples for each held-out texture, with seeds of their own, and the rest of `SamplingDraws`. */
export async function drawSamples(
  context: RunContext,
  study: Study,
  contender: Drawable,
  count: number,
): Promise<SamplingDraws> {
  const { label, diffusion } = contender;
  const config = edmOf(diffusion);
  const regression = diffusion.name === 'regression';
  const { heldOut } = study;
  const wanted = regression ? 1 : count;
  // Behind the samples: one step, without condition, noise levels, trajectory.
  const bar = context.progress(`draw ${label}`, wanted + 4);
  /** Samples as `ContenderSampleOptions` say, as part k of the bar. */
  const sample = async (k: number, options: ContenderSampleOptions) => {
    const onProgress = (done: number, total: number) => bar.update(k + done / total);
    const found = await contender.sample(heldOut, { ...options, onProgress });
    bar.update(k + 1);
    return found;
  };
  try {
    const samples: Float32Array[] = [];
    for (let k = 0; k < wanted; k++) samples.push(await sample(k, { seed: DRAWS + k }));
    const found = {
      label,
      kind: regression ? 'regression' : 'diffusion',
      denoiser: contender.denoiser.name,
      samples,
      oneStep: config ? await sample(wanted, { seed: DRAWS, sampling: { steps: 1 } }) : null,
      unconditional: regression ? null : await sample(wanted + 1, { seed: DRAWS, conditional: false }),
      bins: config
        ? await lossesByBin(study, contender, config, {
            signal: context.signal,
            onProgress: share => bar.update(wanted + 2 + share),
          })
        : null,
      trajectory: regression ? null : ((await contender.trajectory?.(heldOut, WATCHED)) ?? null),
    } as const;
    bar.update(wanted + 4);
    return found;
  } finally {
    bar.stop();
  }
}

/** Seeds of draws begin here, apart from those of training. */
const DRAWS = 7000;

/** The process of a denoiser's regression twin: nothing but the question differs. */
export const regressionTwin = ({
  sigmaData,
  prior,
}: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => ({
  process: 'regression',
  ...(sigmaData ? { sigmaData } : {}),
  ...(prior ? { prior } : {}),
});

/** A model's draws, and the null model's under the same process and normaliser. */
export interface ComparedDraws {
  readonly own: SamplingDraws;
  readonly nullModel: SamplingDraws | null;
}

/** A last look for `contend`: draws `count` samples a texture; with `nullModel` those of the null model too. */
export const drawing =
  (context: RunContext, study: Study, count: number, { nullModel }: { readonly nullModel: boolean }) =>
  async (contender: Drawable): Promise<ComparedDraws> => ({
    own: await drawSamples(context, study, contender, count),
    nullModel: nullModel
      ? await withBar(context.progress, 'draw the null model', onProgress =>
          drawNullModel(study, contender, count, context.signal, onProgress),
        )
      : null,
  });

/** What a model's draws bring into a comparison: themselves, and the null model's first samples as a baseline. */
export const drawnMethods = ({
  own,
  nullModel,
}: ComparedDraws): { readonly draws: readonly SamplingDraws[]; readonly baselines: readonly Method[] } => ({
  draws: nullModel ? [own, nullModel] : [own],
  baselines: nullModel ? [{ name: nullModel.label, kind: 'baseline', weights: nullModel.samples[0] }] : [],
});

/** The null model's own draws, under the contender's process and normaliser: ridge regression and its residuals, sampled by the same sampler. */
export async function drawNullModel(
  study: Study,
  contender: Pick<Contender, 'diffusion' | 'normaliser'>,
  count: number,
  signal?: AbortSignal,
  onProgress?: (done: number, total: number) => void,
): Promise<SamplingDraws | null> {
  const model = await nullModelOf(study, contender, signal);
  if (!model) return null;
  const common = { ...model, features: study.heldOut.features, signal };
  const samples: Float32Array[] = [];
  for (let k = 0; k < count; k++) {
    samples.push(
      await sampleWeights({
        ...common,
        seed: DRAWS + k,
        onProgress: (done, total) => onProgress?.(k + done / total, count + 1),
      }),
    );
  }
  return {
    label: model.denoiser.name,
    kind: 'null model',
    denoiser: model.denoiser.name,
    samples,
    oneStep: await sampleWeights({ ...common, seed: DRAWS, steps: 1 }),
    unconditional: null,
    bins: null,
    trajectory: null,
  };
}
