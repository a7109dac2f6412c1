/**
 * A loss through the rollout: the denoised weights are run as NCAs and their pictures compared with the target textures. Its
 * gradient flows back through texture loss, rollout, inverse normalisation and preconditioning into the denoiser.
 */
import type { Diffusion, Normaliser } from '../diffusion/index.ts';
import { grownTexture, type NcaSpec, seedsFor, type TextureLoss } from '../nca/index.ts';
import { randomStream, tf } from '../tensor/index.ts';
import type { Batch } from './batches.ts';

/** What the denoised weights' rollouts are compared by, how strongly it counts, and when it acts. */
export interface RolloutLossOptions {
  readonly spec: NcaSpec;
  /** Between rendered pictures and target textures. */
  readonly texture: TextureLoss;
  /** Its inverse makes weights of what the denoiser gives. */
  readonly normaliser: Normaliser;
  /** Says how much signal there is at a noise level. */
  readonly diffusion: Pick<Diffusion, 'signal'>;
  /** Of steps, masks and projections. */
  readonly seed: number;
  /** Side S of the square pictures; the data's images are [S, S, 3]. */
  readonly imageSize: number;
  /** Factor of the term beside the denoising loss. */
  readonly weight: number;
  /** NCA steps, drawn for each training step from [low, high). */
  readonly steps: readonly [low: number, high: number];
  /** First training step at which it acts: 0 for a weighted term, later for a second phase. Default 0. */
  readonly from?: number;
  /** It acts at every so manyth step. Default 1. */
  readonly every?: number;
  /** At most so many samples of a batch. Default: all. */
  readonly rows?: number;
  /** Weight by noise level: the share of signal in the noisy weights (default), or none. */
  readonly noiseWeight?: 'signal' | 'uniform';
  /** Weight of mean |x - clip(x, -1, 1)| over the final states, which keeps them from running away. Default 1. */
  readonly overflow?: number;
  /**
   * Largest norm that the gradient of a sample's own loss with respect to its normalised weights may have: a rollout at the edge of
   * divergence would outweigh the batch otherwise. Default 0.1, several times what trained NCAs show.
   */
  readonly clip?: number;
}

/** A term of the loss that runs the denoised weights as NCAs. Made by `rolloutLoss`. */
export interface RolloutLoss {
  /** Whether rows from..to of the batch are rolled out. */
  actsOn(batch: Batch, from: number, to: number): boolean;
  /**
   * Does what the gradient cannot wait for. NCAs on a GPU beside tensors on the processor are run here.
   * @param denoised gives the denoised weights [to - from, D] of the rows beforehand, where they are wanted; they are disposed of
   */
  prepare(batch: Batch, from: number, to: number, denoised: () => tf.Tensor2D): Promise<RolloutTerm>;
}

/** The term of some rows of one batch. */
export interface RolloutTerm {
  /**
   * @param denoised [B', D] normalised, the rows it was prepared for
   * @returns the term to add to the loss, and each rollout's own texture loss; rollouts that diverge to non-finite numbers
   *   count 0 in the term and give no gradient. Call `release` when the gradient has been taken.
   */
  evaluate(denoised: tf.Tensor2D): { penalty: tf.Scalar; values: tf.Tensor1D };
  release(): void;
}

/**
 * weight / R sum_r s_r (texture loss of the NCA with the denoised weights of row r + overflow * mean |x - clip(x, -1, 1)|) over R rows of a
 * batch;
 * s is the share of signal in the noisy weights, or 1. NCA steps, masks and random filters follow from the seed and the training step. The NCAs run on
 * the GPU where that is the backend.
 * Its `prepare` rejects for a batch without images.
 */
export function rolloutLoss(options: RolloutLossOptions): RolloutLoss {
  const { spec, texture, normaliser, diffusion, imageSize: size, noiseWeight = 'signal' } = options;
  const { from: firstStep = 0, every = 1, overflow = 1, clip = 0.1 } = options;
  const [low, high] = options.steps;
  const rowsOf = (batch: Batch) => Math.min(options.rows ?? batch.indices.length, batch.indices.length);

  return {
    actsOn: (batch, from) => batch.step >= firstStep && batch.step % every === 0 && from < rowsOf(batch),

    async prepare(batch, from, to, denoisedBefore) {
      const total = rowsOf(batch);
      const rows = Math.min(to, total) - from;
      if (!batch.images) throw new Error('a loss through the rollout needs the images of the training data');
      const random = randomStream(options.seed, `rollout-loss/${batch.step}`);
      const steps = random.integer(low, high);
      // Masks are drawn for all rows of the batch, so that its division into parts changes nothing.
      const seeds = seedsFor(random.uint32(), total).slice(from, from + rows);
      const pixels = size * size * 3;
      const targets = batch.images.subarray(from * pixels, (from + rows) * pixels);
      const scale = Float32Array.from(batch.levels.subarray(from, from + rows), level =>
        noiseWeight === 'signal' ? diffusion.signal(level) : 1,
      ).map(share => (share * options.weight) / total);
      const ofRows = (denoised: tf.Tensor2D) => tf.slice(denoised, [0, 0], [rows, -1]);
      const grown = await grownTexture(
        { spec, texture, targets, rows, size, steps, seeds, overflow, random: () => random.fork('texture') },
        () => {
          const denoised = denoisedBefore();
          const weights = tf.tidy(() => normaliser.restoreTensor(ofRows(denoised)));
          denoised.dispose();
          return weights;
        },
      );
      return {
        evaluate(denoised) {
          const guarded = guardGradient(
            ofRows(denoised),
            scale.map(factor => factor * clip),
          );
          const measured = grown.measure(normaliser.restoreTensor(guarded));
          const [each, values] = tf.unstack(measured) as tf.Tensor1D[];
          const counted = tf.where(tf.isFinite(each), each, tf.zerosLike(each));
          const penalty = tf.sum(tf.mul(counted, tf.tensor1d(scale))) as tf.Scalar;
          return { penalty, values };
        },
        release: () => grown.release(),
      };
    },
  };
}

/** The identity, whose gradient is cut to norm `most[row]` in each row, and to 0 in rows where it is not finite. */
export function guardGradient(x: tf.Tensor2D, most: Float32Array): tf.Tensor2D {
  const guard = tf.customGrad((...inputs) => {
    const [value] = inputs as [tf.Tensor2D];
    return {
      value: tf.clone(value),
      gradFunc: (upstream: tf.Tensor) => {
        const norm = tf.sqrt(tf.sum(tf.square(upstream), 1, true));
        const finite = tf.broadcastTo(tf.isFinite(norm), upstream.shape as [number, number]);
        const limit = tf.tensor2d(most, [most.length, 1]);
        const factor = tf.minimum(tf.div(limit, tf.maximum(norm, 1e-30)), 1);
        return tf.where(finite, tf.mul(upstream, factor), tf.zerosLike(upstream));
      },
    };
  });
  return guard(x) as tf.Tensor2D;
}
