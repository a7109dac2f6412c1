/** What pretrained networks do to a picture before they look at it. */
import { type ResizeOptions, resize, resizeRows, tf } from '../tensor/index.ts';

/** Per-channel mean and standard deviation of the pictures a network was trained on. */
const STATISTICS = {
  imagenet: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  clip: { mean: [0.48145466, 0.4578275, 0.40821073], std: [0.26862954, 0.26130258, 0.27577711] },
} as const;

/** (x - mean) / std for each of the three channels of [B, H, W, 3]. */
export const normaliseChannels = (images: tf.Tensor4D, of: keyof typeof STATISTICS): tf.Tensor4D =>
  tf.tidy(() => {
    const { mean, std } = STATISTICS[of];
    return tf.div(tf.sub(images, tf.tensor1d([...mean])), tf.tensor1d([...std])) as tf.Tensor4D;
  });

/** The inner `side` x `side` pixels; `offset` says how half a pixel is rounded (torchvision and Pillow differ). */
function centreCrop(images: tf.Tensor4D, side: number, half: (n: number) => number): tf.Tensor4D {
  const [, height, width] = images.shape;
  return tf.slice(images, [0, half(height - side), half(width - side), 0], [-1, side, side, -1]);
}

/** Sizes with the short side `side` and the same proportions, the long one rounded down. */
const shortSide = (height: number, width: number, side: number): [number, number] =>
  height <= width ? [side, Math.trunc((side * width) / height)] : [Math.trunc((side * height) / width), side];

/** torchvision's way on float pictures: short side to `side`, then the centre. Values may leave [0, 1]. */
export function resizeAndCrop(images: tf.Tensor4D, side: number, options: ResizeOptions): tf.Tensor4D {
  return tf.tidy(() => {
    const [, height, width] = images.shape;
    const resized = resize(images, shortSide(height, width, side), options);
    // torchvision rounds half to even.
    const half = (n: number) => (n % 4 === 3 ? (n + 1) / 2 : Math.floor(n / 2));
    return centreCrop(resized, side, half);
  });
}

/** Pillow keeps coefficients as integers of this many binary places. */
const PILLOW_BITS = 22;

/** Pillow's resize of one axis of bytes: integer sums, rounded and clamped to 0 .. 255. Data [outer, size, inner]. */
function pillowAxis(
  data: Uint8Array,
  [outer, size, inner]: readonly [number, number, number],
  target: number,
) {
  const rows = resizeRows(size, target, { filter: 'bicubic', antialias: true }).map(({ start, weights }) => ({
    start,
    // Half away from zero, as the library's C code rounds.
    weights: weights.map(w => Math.sign(w) * Math.floor(Math.abs(w) * 2 ** PILLOW_BITS + 0.5)),
  }));
  const out = new Uint8ClampedArray(outer * target * inner);
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < target; i++) {
      const { start, weights } = rows[i];
      for (let k = 0; k < inner; k++) {
        let sum = 2 ** (PILLOW_BITS - 1);
        for (let j = 0; j < weights.length; j++) {
          sum += weights[j] * data[(o * size + start + j) * inner + k];
        }
        out[(o * target + i) * inner + k] = Math.floor(sum / 2 ** PILLOW_BITS);
      }
    }
  return new Uint8Array(out.buffer);
}

/**
 * Pillow's way, that of the published CLIP processors: bytes, bicubic, short side to `side`, the centre, back to [0, 1].
 * @param images [B, H, W, 3] in [0, 1]; rounded to bytes first. No gradient.
 */
export function pillowResizeAndCrop(images: tf.Tensor4D, side: number): tf.Tensor4D {
  const [batch, height, width, channels] = images.shape;
  const [toHeight, toWidth] = shortSide(height, width, side);
  let bytes = Uint8Array.from(images.dataSync(), x => Math.min(255, Math.max(0, Math.round(x * 255))));
  if (toWidth !== width) bytes = pillowAxis(bytes, [batch * height, width, channels], toWidth);
  if (toHeight !== height) bytes = pillowAxis(bytes, [batch, height, toWidth * channels], toHeight);
  return tf.tidy(() => {
    const resized = tf.tensor4d(Float32Array.from(bytes), [batch, toHeight, toWidth, channels]);
    return tf.div(
      centreCrop(resized, side, n => Math.floor(n / 2)),
      255,
    ) as tf.Tensor4D;
  });
}
