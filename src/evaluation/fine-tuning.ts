/**
 * Fine-tuning from given weights, looked at along the way: what a start is worth is how much training it saves.
 *
 * NCAs train side by side and share every random draw (states, steps, masks, projections), as those of a zoo do; each gets the weights it
 * would get by itself. So two starts on one texture differ in their weights and in nothing else.
 */
import { type NcaSpec, type NcaTrainingOptions, trainNca, weightCount } from '../nca/index.ts';
import { tf } from '../tensor/index.ts';

/** Starts, the textures they are trained on, and the iterations at which they are looked at. */
export interface FineTuneOptions {
  readonly spec: NcaSpec;
  /** [M * D]: where each NCA starts. */
  readonly initial: Float32Array;
  /** [M, H, W, 3] in [0, 1]: the texture each is trained on. */
  readonly targets: tf.Tensor4D;
  /** Iterations at which the weights are kept, rising whole numbers; 0 is the start itself. */
  readonly checkpoints: readonly number[];
  /** What differs from the defaults of `trainNca`; the last checkpoint sets the iterations. */
  readonly training: Omit<Partial<NcaTrainingOptions>, 'iterations' | 'initial'>;
  /** NCAs that train side by side: changes the speed, not the result. Default 8. */
  readonly together?: number;
  /** When raised, the fine-tuning rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Iterations of one NCA each. */
  onProgress?(done: number, total: number): void;
}

/** The weights along the way. */
export interface FineTuned {
  /** [M * D] at each checkpoint. */
  readonly weights: readonly Float32Array[];
  /** Updates of each NCA that were left out because its gradient was not finite, [M]. */
  readonly skipped: Int32Array;
}

/** Throws the signal's reason when interrupted. */
export async function fineTune(options: FineTuneOptions): Promise<FineTuned> {
  const { spec, initial, targets, checkpoints, training, together = 8, signal, onProgress } = options;
  const size = weightCount(spec);
  const [count, height, width] = targets.shape;
  if (initial.length !== count * size) {
    throw new Error(`${initial.length} initial weights for ${count} textures of ${size} weights each`);
  }
  const last = checkpoints.at(-1) ?? 0;
  if (checkpoints.some((c, i) => !Number.isInteger(c) || c < 0 || (i > 0 && c <= checkpoints[i - 1]))) {
    throw new Error(`checkpoints ${checkpoints} are not rising whole numbers`);
  }
  const weights = checkpoints.map(() => initial.slice());
  const skipped = new Int32Array(count);
  for (let start = 0; start < count; start += together) {
    const end = Math.min(start + together, count);
    const part = tf.slice4d(targets, [start, 0, 0, 0], [end - start, height, width, 3]);
    try {
      const { finished } = await trainNca(spec, part, {
        ...training,
        iterations: last,
        initial: initial.slice(start * size, end * size),
        signal,
        async onProgress({ iteration, diverged }, trainer) {
          for (const n of diverged) skipped[start + n]++;
          const at = checkpoints.indexOf(iteration);
          if (at >= 0) weights[at].set(await trainer.currentWeights(), start * size);
          onProgress?.(start * last + iteration * (end - start), count * last);
        },
      });
      if (!finished) throw signal?.reason;
    } finally {
      part.dispose();
    }
  }
  return { weights, skipped };
}
