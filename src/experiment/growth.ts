/** NCAs as they grow, for reports. */
import { encodeGif } from '../formats/index.ts';
import { grow, type NcaSpec, seedState, seedsFor, toRgb } from '../nca/index.ts';
import { tf } from '../tensor/index.ts';

/** Frames of the growth animation, and textures shown in it. */
const FRAMES = 24;
const ANIMATED = 6;

/** How NCAs grow from the seed: one GIF a texture, for the first few. Throws the signal's reason when it is raised. */
export async function growth(
  spec: NcaSpec,
  weights: Float32Array,
  count: number,
  size: number,
  steps: number,
  seed: number,
  signal: AbortSignal,
) {
  const perFrame = Math.max(1, Math.round(steps / FRAMES));
  const flat = tf.tensor2d(weights.subarray(0, (weights.length / count) * Math.min(count, ANIMATED)), [
    Math.min(count, ANIMATED),
    weights.length / count,
  ]);
  const shown = flat.shape[0];
  const seeds = seedsFor(seed, shown);
  const frames: Float32Array[][] = Array.from({ length: shown }, () => []);
  let state = seedState(spec, shown, size, size);
  try {
    for (let frame = 0; frame <= FRAMES; frame++) {
      const rgb = tf.tidy(() => tf.clipByValue(toRgb(spec, state), 0, 1));
      const data = (await rgb.data()) as Float32Array;
      rgb.dispose();
      for (let i = 0; i < shown; i++)
        frames[i].push(data.slice(i * size * size * 3, (i + 1) * size * size * 3));
      const next = await grow(spec, flat, state, {
        steps: perFrame,
        seeds,
        firstStep: frame * perFrame,
        signal,
      });
      state.dispose();
      state = next;
    }
  } finally {
    tf.dispose([state, flat]);
  }
  return Promise.all(
    frames.map(sequence =>
      encodeGif(
        sequence.map(data => ({ width: size, height: size, data })),
        { delay: 80 },
      ),
    ),
  );
}
