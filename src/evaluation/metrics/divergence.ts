/** Rollouts that went wrong are counted, never left out of a mean. */
import { type NcaSpec, toRgb } from '../../nca/index.ts';
import { tf } from '../../tensor/index.ts';

/** What became of a rollout: `divergence` says when it counts as what. */
export type RolloutHealth = 'sound' | 'non-finite' | 'saturated';

/** From where on a rollout counts as saturated. */
export interface DivergenceOptions {
  /** Root-mean-square distance of the picture to [0, 1] from which it counts as saturated; default 0.5. */
  readonly excess?: number;
  /** Share of state entries at the state's clip from which a clipped NCA counts as saturated; default 0.9. */
  readonly clipped?: number;
}

/**
 * The health of each rollout: `non-finite` when any state entry is NaN or infinite, `saturated` when the picture lies far outside
 * [0, 1] or nearly the whole state sits at its clip.
 * @param states [B, H, W, C]
 */
export async function divergence(
  spec: NcaSpec,
  states: tf.Tensor4D,
  { excess = 0.5, clipped = 0.9 }: DivergenceOptions = {},
): Promise<RolloutHealth[]> {
  const figures = tf.tidy(() => {
    const picture = toRgb(spec, states);
    const outside = tf.sub(picture, tf.clipByValue(picture, 0, 1));
    const limit = spec.clip.state;
    return tf.stack([
      tf.min(tf.cast(tf.isFinite(states), 'float32'), [1, 2, 3]),
      tf.sqrt(tf.mean(tf.square(outside), [1, 2, 3])),
      limit === null
        ? tf.zeros([states.shape[0]])
        : tf.mean(tf.cast(tf.greaterEqual(tf.abs(states), limit * (1 - 1e-6)), 'float32'), [1, 2, 3]),
    ]);
  });
  const values = await figures.data();
  figures.dispose();
  const batch = states.shape[0];
  return Array.from({ length: batch }, (_, i) => {
    if (values[i] < 1) return 'non-finite';
    return values[batch + i] > excess || values[2 * batch + i] > clipped ? 'saturated' : 'sound';
  });
}

/** The picture as a screen would show it: clipped to [0, 1], NaN as black. Metrics compare this. */
export const displayable = <T extends tf.Tensor>(pictures: T): T =>
  tf.tidy(() => {
    const zero = tf.zerosLike(pictures);
    return tf.clipByValue(tf.where(tf.isNaN(pictures), zero, pictures), 0, 1) as T;
  });
