/** The metrics that compare two pictures, under one signature and by name. */
import { onProcessor, tf } from '../../tensor/index.ts';
import type { Lpips } from '../pretrained/index.ts';
import { displayable } from './divergence.ts';
import { psnr, ssim } from './pixels.ts';
import { randomMaps } from './random-maps.ts';
import { gramDistance, patchDistance, structureOnly, type TextureDistance } from './texture.ts';
import { statisticsDistance } from './texture-statistics.ts';

/** A measure of two pictures, the same signature for all. */
export interface PairMetric {
  /** Says what was measured with, such as `gram@random-gram`. */
  readonly name: string;
  /** Which way is nearer to the target. */
  readonly better: 'lower' | 'higher';
  /** What has seen it before: NCAs are trained with the patch distance, and the usual condition is made of the Gram distance's filters. */
  readonly seenBy?: 'training' | 'condition';
  /**
   * @param images [B, H, W, 3]; clipped to [0, 1] first, as a screen would
   * @param targets [B, H', W', 3]; the same size for psnr and ssim, any for texture distances
   * @returns one float64 per pair
   */
  compare(images: tf.Tensor4D, targets: tf.Tensor4D): Promise<Float64Array>;
}

function textureMetric(name: string, distance: TextureDistance, seenBy?: PairMetric['seenBy']): PairMetric {
  return {
    name,
    better: 'lower',
    seenBy,
    // The patch distance reads its pictures number by number.
    compare: (images, targets) =>
      onProcessor([images, targets], async () => {
        const result = tf.tidy(() => distance(displayable(images), displayable(targets)));
        const values = await result.data();
        result.dispose();
        return Float64Array.from(values);
      }),
  };
}

type PixelMeasure = (
  a: Float32Array,
  b: Float32Array,
  shape: { height: number; width: number; channels: number },
) => number;

function pixelMetric(name: string, measure: PixelMeasure): PairMetric {
  return {
    name,
    better: 'higher',
    async compare(images, targets) {
      if (images.shape.join() !== targets.shape.join()) {
        throw new Error(`${name} compares pictures of one size, found ${images.shape} and ${targets.shape}`);
      }
      const [batch, height, width, channels] = images.shape;
      const shown = [displayable(images), displayable(targets)];
      const [a, b] = (await Promise.all(shown.map(x => x.data()))) as Float32Array[];
      tf.dispose(shown);
      const size = height * width * channels;
      return Float64Array.from({ length: batch }, (_, i) =>
        measure(a.subarray(i * size, (i + 1) * size), b.subarray(i * size, (i + 1) * size), {
          height,
          width,
          channels,
        }),
      );
    },
  };
}

/**
 * Every pair metric that needs no download: texture statistics, patch sliced-Wasserstein and Gram distance, each also as structure only, PSNR, SSIM. The
 * first leads tables and ranks: nothing has seen it. SSIM is left out for pictures under 11 pixels, which have none.
 * PSNR and SSIM compare pixel by pixel, which says little about textures grown in another place; they are there for tables of old.
 */
export function pairMetrics(seed = 0, side = Number.POSITIVE_INFINITY): PairMetric[] {
  const patch = patchDistance(seed);
  const gram = gramDistance(randomMaps(seed));
  return [
    textureMetric('texture-statistics', statisticsDistance),
    textureMetric('patch-sw', patch, 'training'),
    textureMetric('patch-sw-structure', structureOnly(patch), 'training'),
    textureMetric('texture-statistics-structure', structureOnly(statisticsDistance)),
    textureMetric('gram@random-gram', gram, 'condition'),
    textureMetric('gram-structure@random-gram', structureOnly(gram), 'condition'),
    pixelMetric('psnr', psnr),
    ...(side > 10 ? [pixelMetric('ssim', ssim)] : []),
  ];
}

/** LPIPS as a pair metric, `lpips-alex` or `lpips-vgg`: a few pairs at a time. */
export const lpipsMetric = (network: Lpips): PairMetric => ({
  name: `lpips-${network.network}`,
  better: 'lower',
  async compare(images, targets) {
    const count = images.shape[0];
    const values = new Float64Array(count);
    const part = (x: tf.Tensor4D, from: number) =>
      displayable(tf.slice4d(x, [from, 0, 0, 0], [Math.min(CHUNK, count - from), -1, -1, -1]));
    for (let from = 0; from < count; from += CHUNK) {
      const result = tf.tidy(() => tf.sum(network.perLayer(part(images, from), part(targets, from)), 0));
      values.set(await result.data(), from);
      result.dispose();
    }
    return values;
  },
});

const CHUNK = 8;
