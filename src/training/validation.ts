/** The denoising loss on held-out weights by noise level: the same noise every time, so that figures compare. */
import { randomStream, tf } from '../tensor/index.ts';
import type { TrainingData } from './batches.ts';
import type { Trainer, TrainerOptions } from './trainer.ts';

/** The denoising loss on held-out NCAs, as a whole and by noise level. */
export interface ValidationLoss {
  /** Mean over bins: every bin is equally likely under the training noise. */
  readonly loss: number;
  /** By noise bin, each at one level. */
  readonly bins: readonly { readonly level: number; readonly loss: number }[];
}

export interface ValidationOptions {
  readonly seed: number;
  readonly bins: number;
  /** Samples at a time. */
  readonly batch: number;
  readonly normalise: (weights: Float32Array) => Float32Array;
}

/** Measures all of `data` (real weights [N * D]) at one level for each bin, with its condition there. */
export async function validationLoss(
  trainer: Trainer,
  { diffusion, denoiser }: Pick<TrainerOptions, 'diffusion' | 'denoiser'>,
  data: TrainingData,
  size: number,
  { seed, bins, batch, normalise }: ValidationOptions,
): Promise<ValidationLoss> {
  const count = data.weights.length / size;
  const clean = normalise(data.weights);
  const levels = diffusion.binLevels(bins);
  const sums = new Float64Array(bins);
  const rows = (values: Float32Array, from: number, to: number) => {
    const width = values.length / count;
    return values.subarray(from * width, to * width);
  };
  for (let bin = 0; bin < bins; bin++) {
    const noise = randomStream(seed, `validation/${bin}`).normals(count * size);
    for (let from = 0; from < count; from += batch) {
      const to = Math.min(count, from + batch);
      const losses = tf.tidy(() => {
        const part = trainer.tensors({
          step: 0,
          indices: new Uint32Array(to - from),
          clean: rows(clean, from, to),
          noise: rows(noise, from, to),
          levels: new Float64Array(to - from).fill(levels[bin]),
          features: data.features && rows(data.features, from, to),
          present: new Float32Array(to - from).fill(1),
          images: null,
          means: data.means ? rows(data.means, from, to) : null,
        });
        return diffusion.objective(denoiser, part.clean, part.noise, part.levels, part.condition).losses;
      });
      for (const loss of await losses.data()) sums[bin] += loss / count;
      losses.dispose();
    }
  }
  const byBin = levels.map((level, bin) => ({ level, loss: sums[bin] }));
  return { loss: sums.reduce((a, b) => a + b, 0) / bins, bins: byBin };
}
