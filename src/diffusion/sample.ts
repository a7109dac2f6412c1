/** Sampling real weights: noise -> denoiser under a diffusion process -> inverse normalisation. */
import type { Encoder } from '../conditioning/index.ts';
import type { Denoiser, Given } from '../denoisers/index.ts';
import { weightCount } from '../nca/index.ts';
import { type RandomStream, randomStream, tf } from '../tensor/index.ts';
import type { Diffusion } from './diffusion.ts';
import type { Guidance } from './guidance.ts';
import type { Normaliser } from './normaliser.ts';
import type { SamplerStep } from './samplers.ts';

/** A trained denoiser with its encoder, process and normaliser, conditions, and how each is sampled. */
export interface SampleWeightsOptions {
  readonly denoiser: Denoiser;
  readonly diffusion: Diffusion;
  readonly normaliser: Normaliser;
  /** Its `project` makes the condition; null where the denoiser has none. */
  readonly encoder: Pick<Encoder, 'project'> | null;
  /** [N, T, F] the encoder's features of the pictures to sample for; null to sample without condition. */
  readonly features: tf.Tensor3D | null;
  /** Samples for each condition (without condition: in all). Default 1. */
  readonly count?: number;
  /** Default: the process's own. */
  readonly steps?: number;
  /** Default: none. */
  readonly guidance?: Guidance;
  /** A sample depends on the seed and its own index alone, not on what else is sampled. */
  readonly seed: number;
  /** Samples at a time. Default 64. */
  readonly batch?: number;
  /** Told after every step, over all batches. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Told of every step of a batch, with the index of its first sample. */
  readonly onStep?: (step: SamplerStep, firstSample: number) => void;
  /** When raised, sampling ends with its reason. */
  readonly signal?: AbortSignal;
}

/**
 * Samples real weights, as NCAs have them.
 *
 *     const features = encoder.features(images); // [N, T, F]
 *     const weights = await sampleWeights({ denoiser, encoder, diffusion, normaliser, features, count: 4, seed: 0 });
 *     const first = weights.subarray(0, weightCount(denoiser.spec));
 *
 * @returns [N * count * D]: sample k of condition i is row i * count + k. Without condition N is 1.
 * @throws the signal's reason when interrupted; UserError for more steps than DDIM was trained with
 */
export async function sampleWeights(options: SampleWeightsOptions): Promise<Float32Array> {
  const { denoiser, diffusion, normaliser, features, count = 1, batch = 64, seed } = options;
  const size = weightCount(denoiser.spec);
  const total = (features?.shape[0] ?? 1) * count;
  const sampled = new Float32Array(total * size);
  const given = features && (await conditionOf(options, features));
  try {
    for (let first = 0; first < total; first += batch) {
      const rows = Math.min(batch, total - first);
      const streams = Array.from({ length: rows }, (_, k) => randomStream(seed, `sample/${first + k}`));
      const indices = Int32Array.from({ length: rows }, (_, k) => Math.floor((first + k) / count));
      const part = given && rowsOf(given, indices);
      try {
        const normalised = await diffusion.sample({
          denoiser,
          condition: part,
          shape: [rows, size],
          noise: () => rowNormals(streams, size),
          steps: options.steps,
          guidance: options.guidance,
          onStep: step => {
            options.onStep?.(step, first);
            options.onProgress?.(first + (rows * (step.step + 1)) / step.steps, total);
          },
          signal: options.signal,
        });
        sampled.set(normaliser.restore(normalised), first * size);
      } finally {
        disposeGiven(part);
      }
    }
  } finally {
    disposeGiven(given);
  }
  return sampled;
}

/**
 * The condition of pictures: their features projected to tokens [N, T, C], and the means [N, D] of the process's prior where it has one.
 * The caller disposes of both.
 */
export async function conditionOf(
  { encoder, diffusion }: Pick<SampleWeightsOptions, 'encoder' | 'diffusion'>,
  features: tf.Tensor3D,
): Promise<Given> {
  if (!encoder) throw new Error('features need the encoder they are of');
  const { prior } = diffusion;
  const means = prior?.means((await features.data()) as Float32Array);
  return {
    tokens: tf.tidy(() => encoder.project(features)),
    ...(means && { means: tf.tensor2d(means, [features.shape[0], prior!.size]) }),
  };
}

const rowsOf = ({ tokens, means }: Given, indices: Int32Array): Given => {
  const gathered = <T extends tf.Tensor>(values: T): T =>
    tf.tidy(() => tf.gather(values, tf.tensor1d(indices, 'int32')));
  return { tokens: gathered(tokens), ...(means && { means: gathered(means) }) };
};

/** Frees a condition's tensors. */
export const disposeGiven = (given: Given | null): void => {
  if (given) tf.dispose([given.tokens, ...(given.means ? [given.means] : [])]);
};

/** Unit normals, each row from its own stream. */
export function rowNormals(streams: readonly RandomStream[], size: number): Float64Array {
  const normals = new Float64Array(streams.length * size);
  streams.forEach((stream, row) => {
    for (let i = 0; i < size; i++) normals[row * size + i] = stream.normal();
  });
  return normals;
}
