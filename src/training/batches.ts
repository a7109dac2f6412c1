/**
 * Training batches as a pure function of the seed and the step: nothing but the step has to be saved for a resumed run to draw
 * exactly what an uninterrupted one would have drawn.
 */
import type { Diffusion, Normaliser } from '../diffusion/index.ts';
import { type RandomStream, randomStream } from '../tensor/index.ts';

/** Aligned arrays, sample by sample. */
export interface TrainingData {
  /** [N * D], real weights. */
  readonly weights: Float32Array;
  /** [N * T * F], frozen features of the encoder; null to train without condition. */
  readonly features: Float32Array | null;
  /** [N * S * S * 3] target textures, for the rollout loss only. */
  readonly images?: Float32Array | null;
  /** [N * D] what the process's prior foretells, normalised; only where it has one. */
  readonly means?: Float32Array | null;
}

/** One sample on its way into a batch; an augmentation overwrites what it changes. */
export interface Sample {
  /** Its place in the data. */
  readonly index: number;
  /** [D], real weights. */
  readonly weights: Float32Array;
  /** [T * F] */
  readonly features: Float32Array | null;
  /** [S * S * 3] */
  readonly image: Float32Array | null;
}

/** A change of samples that keeps what they are. The random stream is a function of seed, step and row. */
export interface Augmentation {
  readonly name: string;
  /** Overwrites what it changes of the sample. */
  vary(sample: Sample, random: RandomStream): void;
}

/** All that batches depend on: data, order, noise, dropped conditions, augmentation. */
export interface BatchPlan {
  readonly seed: number;
  /** B, samples a batch. */
  readonly batch: number;
  /** D, numbers a sample. */
  readonly size: number;
  readonly data: TrainingData;
  readonly diffusion: Pick<Diffusion, 'drawLevels'>;
  readonly normaliser: Pick<Normaliser, 'normalise'>;
  /** Share of samples whose condition is dropped. */
  readonly conditionDropout: number;
  readonly augmentation?: Augmentation;
}

/** A training batch of B samples, as plain numbers. */
export interface Batch {
  readonly step: number;
  /** [B] places in the data. */
  readonly indices: Uint32Array;
  /** [B * D], normalised. */
  readonly clean: Float32Array;
  /** [B * D], unit normals. */
  readonly noise: Float32Array;
  /** [B] */
  readonly levels: Float64Array;
  /** [B * T * F] */
  readonly features: Float32Array | null;
  /** [B], 1 where the condition stays. */
  readonly present: Float32Array;
  /** [B * S * S * 3] */
  readonly images: Float32Array | null;
  /** [B * D] of `TrainingData`. */
  readonly means?: Float32Array | null;
}

/** Batches of a plan by step: every epoch is a fresh permutation of the data, and batches run on across epochs. */
export function batches(plan: BatchPlan): (step: number) => Batch {
  const { seed, batch, size, data, augmentation } = plan;
  const count = data.weights.length / size;
  const width = (values: Float32Array) => values.length / count;
  const orders = new Map<number, Uint32Array>();
  const orderOf = (epoch: number) => {
    let order = orders.get(epoch);
    if (!order) {
      order = randomStream(seed, `training/order/${epoch}`).permutation(count);
      if (orders.size > 2) orders.clear();
      orders.set(epoch, order);
    }
    return order;
  };

  return step => {
    const indices = Uint32Array.from({ length: batch }, (_, row) => {
      const position = step * batch + row;
      return orderOf(Math.floor(position / count))[position % count];
    });
    const rows = (values: Float32Array) => {
      const taken = new Float32Array(batch * width(values));
      indices.forEach((index, row) => {
        taken.set(rowOf(values, index, width(values)), row * width(values));
      });
      return taken;
    };
    const weights = rows(data.weights);
    const features = data.features && rows(data.features);
    const images = data.images ? rows(data.images) : null;
    if (augmentation) {
      const random = randomStream(seed, `training/augmentation/${step}`);
      indices.forEach((index, row) => {
        augmentation.vary(
          {
            index,
            weights: rowOf(weights, row, size),
            features: features && rowOf(features, row, features.length / batch),
            image: images && rowOf(images, row, images.length / batch),
          },
          random.fork(row),
        );
      });
    }
    const dropout = randomStream(seed, `training/dropout/${step}`);
    return {
      step,
      indices,
      clean: plan.normaliser.normalise(weights),
      noise: randomStream(seed, `training/noise/${step}`).normals(batch * size),
      levels: plan.diffusion.drawLevels(randomStream(seed, `training/levels/${step}`), batch),
      features,
      present: Float32Array.from({ length: batch }, () => (dropout.bernoulli(plan.conditionDropout) ? 0 : 1)),
      images,
      means: data.means ? rows(data.means) : null,
    };
  };
}

/** A view of row `index`. */
const rowOf = (values: Float32Array, index: number, width: number) =>
  values.subarray(index * width, (index + 1) * width);
