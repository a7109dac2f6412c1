/** What a trained contender draws when it is asked more than once: the material of every measure of sampling. Plain data. */

import {
  type Diffusion,
  type EdmConfig,
  type Normaliser,
  normaliserOf,
  sampleWeights,
} from '../diffusion/index.ts';
import { type ConditionalGaussian, fitGaussian, gaussianDenoiser } from '../evaluation/index.ts';
import { weightCount } from '../nca/index.ts';
import { randomStream, tf } from '../tensor/index.ts';
import { type Contender, conditionOf } from './contender.ts';
import type { RunContext } from './experiment.ts';
import type { Study } from './study.ts';

/** K samples for each held-out texture, and what else tells a sampler from a regressor. */
export interface SamplingDraws {
  readonly label: string;
  readonly kind: 'diffusion' | 'regression' | 'null model';
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
}

/** Noise levels at which denoising is measured: the middles of so many bins of equal probability. */
const BINS = 8;

const edmOf = (diffusion: Diffusion): EdmConfig | null =>
  diffusion.name === 'edm' ? (diffusion as Diffusion & { config: EdmConfig }).config : null;

/** The null model of a study in a contender's normalised weights; fitted once for contenders that share their normaliser. */
const fitted = new WeakMap<Study, { readonly normaliser: Normaliser; readonly fit: ConditionalGaussian }[]>();
async function nullModelOf(study: Study, normaliser: Normaliser): Promise<ConditionalGaussian> {
  const known = fitted.get(study) ?? [];
  fitted.set(study, known);
  const same = (a: Float32Array, b: Float32Array) => a.every((x, i) => x === b[i]);
  const found = known.find(
    ({ normaliser: { mean, scale } }) => same(mean, normaliser.mean) && same(scale, normaliser.scale),
  );
  if (found) return found.fit;
  const { train, spec } = study;
  const fit = fitGaussian({
    weights: normaliser.normalise(train.weights),
    features: (await train.features.data()) as Float32Array,
    size: weightCount(spec),
  });
  known.push({ normaliser: normaliserOf(normaliser.mean, normaliser.scale), fit });
  return fit;
}

/** The null model's condition for the held-out textures: r(c), [M, 1, D]. */
async function means({ heldOut, spec }: Study, fit: ConditionalGaussian): Promise<tf.Tensor3D> {
  const predicted = fit.mean((await heldOut.features.data()) as Float32Array);
  return tf.tensor3d(predicted, [heldOut.names.length, 1, weightCount(spec)]);
}

/** Mean squared error by noise level, of the contender and of the null model. */
async function lossesByBin(study: Study, contender: Contender, config: EdmConfig) {
  const { diffusion, normaliser, denoiser } = contender;
  const { heldOut, spec, encoder } = study;
  const count = heldOut.names.length;
  const size = weightCount(spec);
  const fit = await nullModelOf(study, normaliser);
  const closed = gaussianDenoiser(spec, fit, config);
  const condition = conditionOf(encoder, heldOut.features);
  const mean = await means(study, fit);
  const clean = normaliser.normalise(heldOut.weights);
  const inside = (level: number) => level >= config.sampling.sigmaMin && level <= config.sampling.sigmaMax;
  const found: { level: number; loss: number; nullLoss: number }[] = [];
  for (const [bin, level] of diffusion.binLevels(BINS).filter(inside).entries()) {
    const noise = randomStream(0, `draws/bin/${bin}`).normals(count * size);
    const errors = tf.tidy(() => {
      const [x, e] = [clean, noise].map(values => tf.tensor2d(values, [count, size]));
      const levels = new Array<number>(count).fill(level);
      const present = tf.ones<tf.Rank.R1>([count]);
      const error = (model: typeof denoiser, tokens: tf.Tensor3D) =>
        tf.mean(
          tf.squaredDifference(diffusion.objective(model, x, e, levels, { tokens, present }).denoised, x),
        );
      return tf.stack([error(denoiser, condition), error(closed, mean)]);
    });
    const [loss, nullLoss] = await errors.data();
    errors.dispose();
    found.push({ level, loss, nullLoss });
  }
  closed.dispose();
  tf.dispose([condition, mean]);
  return found;
}

/** Draws `count` samples for each held-out texture, with seeds of their own, and the rest of `SamplingDraws`. */
export async function drawSamples(
  context: RunContext,
  study: Study,
  contender: Contender,
  count: number,
): Promise<SamplingDraws> {
  const { label, diffusion } = contender;
  const config = edmOf(diffusion);
  const regression = diffusion.name === 'regression';
  const { heldOut } = study;
  const bar = context.progress(`draw ${label}`, count);
  try {
    const samples: Float32Array[] = [];
    for (let k = 0; k < (regression ? 1 : count); k++) {
      samples.push(await contender.sample(heldOut, { seed: DRAWS + k }));
      bar.update(k + 1);
    }
    return {
      label,
      kind: regression ? 'regression' : 'diffusion',
      samples,
      oneStep: config ? await contender.sample(heldOut, { seed: DRAWS, sampling: { steps: 1 } }) : null,
      unconditional: regression ? null : await contender.sample(heldOut, { seed: DRAWS, conditional: false }),
      bins: config ? await lossesByBin(study, contender, config) : null,
    };
  } finally {
    bar.stop();
  }
}

/** Seeds of draws begin here, apart from those of training. */
const DRAWS = 7000;

/** A model's draws, and the null model's under the same process and normaliser. */
export interface ComparedDraws {
  readonly own: SamplingDraws;
  readonly nullModel: SamplingDraws | null;
}

/** A last look for `contend`: draws `count` samples a texture; with `nullModel` those of the null model too. */
export const drawing =
  (context: RunContext, study: Study, count: number, { nullModel }: { readonly nullModel: boolean }) =>
  async (contender: Contender): Promise<ComparedDraws> => ({
    own: await drawSamples(context, study, contender, count),
    nullModel: nullModel ? await drawNullModel(study, contender, count, context.signal) : null,
  });

/** The null model's own draws, under the contender's process and normaliser: ridge regression and its residuals, sampled by the same sampler. */
export async function drawNullModel(
  study: Study,
  { diffusion, normaliser }: Pick<Contender, 'diffusion' | 'normaliser'>,
  count: number,
  signal?: AbortSignal,
): Promise<SamplingDraws | null> {
  const config = edmOf(diffusion);
  if (!config) return null;
  const fit = await nullModelOf(study, normaliser);
  const denoiser = gaussianDenoiser(study.spec, fit, config);
  const condition = await means(study, fit);
  try {
    const samples: Float32Array[] = [];
    for (let k = 0; k < count; k++) {
      samples.push(
        await sampleWeights({ denoiser, diffusion, normaliser, condition, seed: DRAWS + k, signal }),
      );
    }
    const oneStep = await sampleWeights({
      denoiser,
      diffusion,
      normaliser,
      condition,
      seed: DRAWS,
      steps: 1,
      signal,
    });
    return { label: denoiser.name, kind: 'null model', samples, oneStep, unconditional: null, bins: null };
  } finally {
    denoiser.dispose();
    condition.dispose();
  }
}
