import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as E from 'fp-ts/lib/Either.js';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { describe, settle } from '../config/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import type { Encoder } from './encoder.ts';
import { cachedFeatures } from './feature-cache.ts';
import { randomGram } from './random-gram.ts';

await startBackend();

const folder = await mkdtemp(join(tmpdir(), 'weightloom-features-'));

/** An encoder that counts the pictures it has seen. */
function counting(): Encoder & { seen: number } {
  const inner = randomGram({ filters: 4, correlations: 3 });
  const outer = {
    ...inner,
    seen: 0,
    features: (images: tf.Tensor4D) => {
      outer.seen += images.shape[0];
      return inner.features(images);
    },
  };
  return outer;
}

const pictures = (first: number, count: number): tf.Tensor4D =>
  tf.tidy(() => {
    const one = (i: number) => tf.tensor4d(randomStream(i, 'picture').uniforms(300), [1, 10, 10, 3]);
    return tf.concat(Array.from({ length: count }, (_, i) => one(first + i))) as tf.Tensor4D;
  });

test('each picture is encoded once; damage is mended; a stop keeps what is done', async () => {
  const before = tf.memory().numTensors;
  const encoder = counting();
  const five = pictures(0, 5);
  const direct = encoder.features(five);
  encoder.seen = 0;
  const progress: string[] = [];
  const features = await settle(
    cachedFeatures(encoder, five, { folder, batch: 2, onProgress: (n, of) => progress.push(`${n}/${of}`) }),
  );
  assert.is(encoder.seen, 5);
  assert.equal(progress, ['1/5', '2/5', '3/5', '4/5', '5/5']);
  // Batches of two instead of five: float32 sums may be cut otherwise.
  const error = tf.tidy(() => tf.max(tf.abs(tf.sub(features, direct))).dataSync()[0]);
  assert.ok(error < 1e-4);

  const seven = pictures(0, 7);
  const again = await settle(cachedFeatures(encoder, seven, { folder }));
  assert.is(encoder.seen, 7, 'only the two new pictures');
  assert.equal(again.dataSync().slice(0, features.size), features.dataSync());

  const inner = join(folder, (await readdir(folder))[0]);
  const files = (await readdir(inner)).map(file => join(inner, file));
  assert.is(files.length, 7);
  await truncate(files[0], 50);
  await writeFile(files[1], 'no safetensors file');
  const mended = await settle(cachedFeatures(encoder, seven, { folder }));
  assert.is(encoder.seen, 9);
  assert.equal(mended.dataSync(), again.dataSync());

  const stop = new AbortController();
  const ten = pictures(0, 10);
  await cachedFeatures(encoder, ten, {
    folder,
    batch: 1,
    signal: stop.signal,
    onProgress: done => done === 8 && stop.abort(),
  })().then(
    () => assert.unreachable('should have stopped'),
    error => assert.is(error.name, 'AbortError'),
  );
  assert.is((await readdir(inner)).length, 8, 'nothing half-written');
  encoder.dispose();
  tf.dispose([five, direct, features, seven, again, mended, ten]);
  assert.is(tf.memory().numTensors, before);
});

test('other encoders have other features; a folder that cannot be made is named', async () => {
  const one = pictures(0, 1);
  const [a, b] = [0, 1].map(seed => randomGram({ filters: 4, correlations: 3, seed }));
  const [x, y] = [
    await settle(cachedFeatures(a, one, { folder })),
    await settle(cachedFeatures(b, one, { folder })),
  ];
  assert.not.equal(x.dataSync(), y.dataSync());
  const blocked = join(folder, 'file');
  await writeFile(blocked, '');
  const failed = await cachedFeatures(a, one, { folder: blocked })();
  assert.ok(E.isLeft(failed));
  assert.match(describe((failed as E.Left<never>).left), /weightloom-features-.*file/);
  a.dispose();
  b.dispose();
  tf.dispose([one, x, y]);
});

test.after(() => rm(folder, { recursive: true, force: true }));
test.run();
