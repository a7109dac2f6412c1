/** Pictures of NCAs: grown from the seed state, as the files and galleries show them. */
import type { Picture } from '../formats/index.ts';
import {
  grow,
  maskSeed,
  type NcaSpec,
  type NcaWeights,
  seedState,
  toRgb,
  weightCount,
} from '../nca/index.ts';
import { tf } from '../tensor/index.ts';

/** How long NCAs grow, and on what grid. */
export interface RenderOptions {
  /** NCA steps from the seed state. */
  readonly steps: number;
  /** Side of the square picture. */
  readonly size: number;
  /** Of the update masks; every NCA gets the same. */
  readonly seed: number;
  /** Clips the pictures to [0, 1]; default true. */
  readonly clip?: boolean;
}

/** One picture for each state of [B, H, W, C]. */
async function picturesOf(spec: NcaSpec, state: tf.Tensor4D, clip = true): Promise<Picture[]> {
  const [batch, height, width] = state.shape;
  const rgb = tf.tidy(() => (clip ? tf.clipByValue(toRgb(spec, state), 0, 1) : toRgb(spec, state)));
  const data = (await rgb.data()) as Float32Array;
  rgb.dispose();
  const each = height * width * 3;
  return Array.from({ length: batch }, (_, i) => ({
    width,
    height,
    data: data.slice(i * each, (i + 1) * each),
  }));
}

/**
 * What each NCA shows after `steps` steps from the seed state. A picture does not depend on the batch it is in.
 *
 *     const [picture] = await renderNcas(spec, flat, { steps: 64, size: 32, seed: 0 });
 *
 * @param weights [B * D], real ones; D is `weightCount(spec)`
 * @returns B pictures [size, size, 3], clipped to [0, 1]
 * @throws Error when `weights` are no whole rows of D or none, or when steps or size do not fit
 */
export async function renderNcas(
  spec: NcaSpec,
  weights: Float32Array,
  { steps, size, seed, clip }: RenderOptions,
): Promise<Picture[]> {
  const batch = weights.length / weightCount(spec);
  const flat = tf.tensor2d(weights, [batch, weightCount(spec)]);
  const first = seedState(spec, batch, size, size);
  try {
    const seeds = Array.from({ length: batch }, () => maskSeed(seed));
    const state = await grow(spec, flat, first, { steps, seeds });
    const pictures = await picturesOf(spec, state, clip);
    state.dispose();
    return pictures;
  } finally {
    tf.dispose([flat, first]);
  }
}

/** One NCA as it grows: `frames` pictures at equal distances, the last after `steps` steps. */
export async function* renderFrames(
  { spec, flat }: NcaWeights,
  { steps, size, seed, frames }: RenderOptions & { frames: number },
): AsyncGenerator<Picture> {
  const weights = tf.tensor2d(flat, [1, flat.length]);
  let state = seedState(spec, 1, size, size);
  let done = 0;
  try {
    for (let frame = 1; frame <= frames; frame++) {
      const next = Math.round((steps * frame) / frames);
      const before = state;
      state = await grow(spec, weights, before, {
        steps: next - done,
        seeds: [maskSeed(seed)],
        firstStep: done,
      });
      if (state !== before) before.dispose();
      done = next;
      yield (await picturesOf(spec, state))[0];
    }
  } finally {
    tf.dispose([state, weights]);
  }
}
