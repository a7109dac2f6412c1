/** How nearly equivariant a trained denoiser is, on the weights and noise levels it meets. */
import type { Condition, Denoiser } from '../../denoisers/index.ts';
import type { Diffusion } from '../../diffusion/index.ts';
import { actOnWeights, SYMMETRIES, type SymmetryName, weightCount } from '../../nca/index.ts';
import { randomStream, tf } from '../../tensor/index.ts';

/** A trained denoiser, the symmetry in question, and the weights and conditions it is tried on. */
export interface TrainedErrorOptions {
  readonly denoiser: Denoiser;
  readonly diffusion: Diffusion;
  /** An orthogonal one. */
  readonly symmetry: SymmetryName;
  /** [n * D] normalised, by statistics that the symmetry shares. */
  readonly weights: Float32Array;
  /** Condition tokens [n, T, C]; null for none. */
  readonly tokens: tf.Tensor3D | null;
  /** Of noise and group elements. */
  readonly seed: number;
  /** Noise levels, one for each of as many bins of equal probability under the training distribution; default 5. */
  readonly levels?: number;
}

/**
 * |D(g x) - g D(x)| / |D(x)|, both norms over all NCAs and noise levels: D the denoised weights, x the weights with noise, g a random element
 * for each NCA and level. An anchor stays where it is: a denoiser that uses one is not meant to reach 0. An exactly equivariant
 * network is at float32 rounding, about 1e-6.
 */
export async function trainedEquivarianceError(options: TrainedErrorOptions): Promise<number> {
  const { denoiser, diffusion, symmetry, weights, tokens, seed, levels = 5 } = options;
  const { spec } = denoiser;
  const size = weightCount(spec);
  const count = weights.length / size;
  let [error, total] = [0, 0];
  for (const [bin, level] of diffusion.binLevels(levels).entries()) {
    const random = randomStream(seed, `trained-equivariance/${bin}`);
    const elements = Array.from({ length: count }, () => SYMMETRIES[symmetry].sample(spec, random));
    const move = (flat: Float32Array) =>
      Float32Array.from(
        elements.flatMap((g, n) => [...actOnWeights(spec, g, flat.slice(n * size, (n + 1) * size))]),
      );
    const noise = Float32Array.from(random.normals(weights.length));
    const denoised = async (clean: Float32Array, unit: Float32Array): Promise<Float32Array> => {
      const out = tf.tidy(() => {
        const condition: Condition | null = tokens && { tokens, present: tf.ones([count]) };
        const [x, e] = [clean, unit].map(flat => tf.tensor2d(flat, [count, size]));
        const at = new Array<number>(count).fill(level);
        return diffusion.objective(denoiser, x, e, at, condition).denoised;
      });
      const numbers = (await out.data()) as Float32Array;
      out.dispose();
      return numbers;
    };
    const expected = move(await denoised(weights, noise));
    const found = await denoised(move(weights), move(noise));
    for (let i = 0; i < found.length; i++) {
      error += (found[i] - expected[i]) ** 2;
      total += expected[i] ** 2;
    }
  }
  return Math.sqrt(error / total);
}
