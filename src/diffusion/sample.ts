/** Sampling real weights: noise -> denoiser under a diffusion process -> inverse normalisation. */
import type { Denoiser } from '../denoisers/index.ts';
import { weightCount } from '../nca/index.ts';
import { type RandomStream, randomStream, tf } from '../tensor/index.ts';
import type { Diffusion } from './diffusion.ts';
import type { Guidance } from './guidance.ts';
import type { Normaliser } from './normaliser.ts';
import type { SamplerStep } from './samplers.ts';

/** A trained denoiser with its process and normaliser, conditions, and how each is sampled. */
export interface SampleWeightsOptions {
  readonly denoiser: Denoiser;
  readonly diffusion: Diffusion;
  readonly normaliser: Normaliser;
  /** Tokens [N, T, C], already through the encoder's `project`; null to sample without condition. */
  readonly condition: tf.Tensor3D | null;
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
 *     const condition = tf.tidy(() => encoder.project(encoder.features(images))); // [N, T, C]
 *     const weights = await sampleWeights({ denoiser, diffusion, normaliser, condition, count: 4, seed: 0 });
 *     const first = weights.subarray(0, weightCount(denoiser.spec));
 *
 * @returns [N * count * D]: sample k of condition i is row i * count + k. Without condition N is 1.
 * @throws the signal's reason when interrupted; UserError for more steps than DDIM was trained with
 */
export async function sampleWeights(options: SampleWeightsOptions): Promise<Float32Array> {
  const { denoiser, diffusion, normaliser, condition, count = 1, batch = 64, seed } = options;
  const size = weightCount(denoiser.spec);
  const total = (condition?.shape[0] ?? 1) * count;
  const sampled = new Float32Array(total * size);
  for (let first = 0; first < total; first += batch) {
    const rows = Math.min(batch, total - first);
    const streams = Array.from({ length: rows }, (_, k) => randomStream(seed, `sample/${first + k}`));
    const tokens =
      condition &&
      tf.tidy(() => {
        const indices = Array.from({ length: rows }, (_, k) => Math.floor((first + k) / count));
        return tf.gather(condition, tf.tensor1d(indices, 'int32'));
      });
    try {
      const normalised = await diffusion.sample({
        denoiser,
        condition: tokens,
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
      tokens?.dispose();
    }
  }
  return sampled;
}

/** Unit normals, each row from its own stream. */
export function rowNormals(streams: readonly RandomStream[], size: number): Float64Array {
  const normals = new Float64Array(streams.length * size);
  streams.forEach((stream, row) => {
    for (let i = 0; i < size; i++) normals[row * size + i] = stream.normal();
  });
  return normals;
}
