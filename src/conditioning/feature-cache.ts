/**
 * Frozen features, computed once per picture and encoder: a file for each picture, named by its content, in a folder named by the encoder's
 * fingerprint. Files appear whole or not at all, so an interrupted run goes on where it stopped.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as E from 'fp-ts/lib/Either.js';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, type Failure, settle } from '../config/index.ts';
import { bytesOf, readSafetensors, writeSafetensors } from '../formats/index.ts';
import { tf } from '../tensor/index.ts';
import type { Encoder } from './encoder.ts';
import { cacheFolder } from './pretrained/locate.ts';

/** Where features are kept, and how their computing is watched and stopped. */
export interface FeatureCacheOptions {
  /** Default: `features` in the cache folder. */
  readonly folder?: string;
  /** Pictures given to the encoder at once. Default 4. */
  readonly batch?: number;
  /** Called after each picture. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Stops between batches; what is computed by then is kept. */
  readonly signal?: AbortSignal;
}

const digest = (...parts: (string | Uint8Array)[]) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex').slice(0, 32);
};

/** A file's features, or undefined when it is not there, damaged or of another shape: then they are computed again. */
async function readFeatures(path: string, size: number): Promise<Float32Array | undefined> {
  if (!existsSync(path)) return undefined;
  const file = await readSafetensors(path)();
  const found = E.isRight(file) ? file.right.tensors.features?.data : undefined;
  return found instanceof Float32Array && found.length === size ? found : undefined;
}

/**
 * The encoder's frozen features of pictures [N, H, W, 3], from the cache where it has them: [N, T, featureWidth]. Rejects with the
 * signal's reason when stopped.
 * @returns a TaskEither: run it with settle()
 */
export const cachedFeatures = (
  encoder: Encoder,
  pictures: tf.Tensor4D,
  options: FeatureCacheOptions = {},
): TE.TaskEither<Failure, tf.Tensor3D> => {
  const folder = join(options.folder ?? join(cacheFolder(), 'features'), digest(encoder.fingerprint));
  return attempt(folder, async () => {
    const { batch = 4, onProgress, signal } = options;
    const [count, height, width, channels] = pictures.shape;
    const { tokens, featureWidth } = encoder;
    const size = tokens * featureWidth;
    const pixels = (await pictures.data()) as Float32Array;
    const area = height * width * channels;
    const all = new Float32Array(count * size);
    let done = 0;
    const missing: { index: number; path: string }[] = [];
    for (let index = 0; index < count; index++) {
      const content = bytesOf(pixels.subarray(index * area, (index + 1) * area));
      const path = join(folder, `${digest(`${height}x${width}x${channels}:`, content)}.safetensors`);
      const found = await readFeatures(path, size);
      if (found) {
        all.set(found, index * size);
        onProgress?.(++done, count);
      } else {
        missing.push({ index, path });
      }
    }
    for (let start = 0; start < missing.length; start += batch) {
      signal?.throwIfAborted();
      const rows = missing.slice(start, start + batch);
      const given = new Float32Array(rows.length * area);
      for (const [i, { index }] of rows.entries()) {
        given.set(pixels.subarray(index * area, (index + 1) * area), i * area);
      }
      const features = tf.tidy(() =>
        encoder.features(tf.tensor4d(given, [rows.length, height, width, channels])),
      );
      const values = (await features.data()) as Float32Array;
      features.dispose();
      for (const [i, { index, path }] of rows.entries()) {
        const data = values.slice(i * size, (i + 1) * size);
        all.set(data, index * size);
        const metadata = { encoder: encoder.fingerprint };
        await settle(writeSafetensors(path, { features: { shape: [tokens, featureWidth], data } }, metadata));
        onProgress?.(++done, count);
      }
    }
    return tf.tensor3d(all, [count, tokens, featureWidth]);
  });
};
