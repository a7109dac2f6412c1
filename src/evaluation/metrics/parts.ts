/** Measures of many pictures, some at a time: memory then does not grow with their number, and the event loop turns in between. */
import { breathe } from '../../compute/index.ts';
import { onProcessor, tf } from '../../tensor/index.ts';
import type { PairMetric } from './pairs.ts';
import { textureFeatures } from './texture-statistics.ts';

/** Pictures that are measured at once. */
const AT_ONCE = 16;

/** Work on rows [from, ...) of tensors with as many rows each, part by part. Throws the signal's reason when it is raised. */
async function eachPart(
  whole: readonly tf.Tensor4D[],
  signal: AbortSignal | undefined,
  work: (parts: tf.Tensor4D[], from: number) => Promise<void>,
): Promise<void> {
  const count = whole[0].shape[0];
  for (let from = 0; from < count; from += AT_ONCE) {
    await breathe(signal);
    const rows = Math.min(AT_ONCE, count - from);
    const parts = whole.map(x => tf.slice4d(x, [from, 0, 0, 0], [rows, -1, -1, -1]));
    try {
      await work(parts, from);
    } finally {
      tf.dispose(parts);
    }
  }
}

/** How measuring is watched and stopped. */
export interface MeasureOptions {
  readonly signal?: AbortSignal;
  /** Told of the share that is done. */
  onProgress?(share: number): void;
}

/**
 * Every metric of M pairs: its name -> [M]. A pair's figure does not depend on the others. Throws the signal's reason when it is raised.
 * @param images [M, H, W, 3]  @param targets [M, H', W', 3]
 */
export async function comparePairs(
  metrics: readonly PairMetric[],
  images: tf.Tensor4D,
  targets: tf.Tensor4D,
  { signal, onProgress }: MeasureOptions = {},
): Promise<Record<string, Float64Array>> {
  const count = images.shape[0];
  const values = Object.fromEntries(metrics.map(({ name }) => [name, new Float64Array(count)]));
  await eachPart([images, targets], signal, async ([some, wanted], from) => {
    for (const { name, compare } of metrics) {
      values[name].set(await compare(some, wanted), from);
      await breathe(signal);
    }
    onProgress?.(Math.min(1, (from + AT_ONCE) / count));
  });
  return values;
}

/** Texture statistics [M * F] of pictures [M, H, W, 3]: `textureFeatures`. Throws the signal's reason when it is raised. */
export async function textureFeaturesOf(pictures: tf.Tensor4D, signal?: AbortSignal): Promise<Float32Array> {
  const rows: Float32Array[] = [];
  await eachPart([pictures], signal, ([some]) =>
    onProcessor([some], async () => {
      const features = tf.tidy(() => textureFeatures(some));
      rows.push((await features.data()) as Float32Array);
      features.dispose();
    }),
  );
  const all = new Float32Array(rows.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const row of rows) {
    all.set(row, at);
    at += row.length;
  }
  return all;
}
