/** The promises of an encoder, all of them, on one kind: for the tests of whoever writes a new one. */
import { onProcessor, randomStream, tf } from '../tensor/index.ts';
import type { Encoder } from './encoder.ts';
import { builtEncoder, type EncoderKind } from './registry.ts';

/** What `checkEncoder` builds and shows it, where not the defaults. */
export interface CheckEncoderOptions<Config> {
  /** Parameters to build it with; default the kind's defaults. */
  readonly config?: Config;
  /** Side of the pictures; default 24. */
  readonly size?: number;
}

function promise(holds: boolean, sentence: string): void {
  if (!holds) throw new Error(sentence);
}

const finite = (x: tf.Tensor) => x.dataSync().every(Number.isFinite);

/** Largest difference, relative to the largest value. */
const difference = (a: tf.Tensor, b: tf.Tensor): number =>
  tf.tidy(() => {
    const [error, size] = [tf.max(tf.abs(tf.sub(a, b))), tf.max(tf.abs(b))].map(x => x.dataSync()[0]);
    return error / Math.max(size, 1e-30);
  });

/** float32 sums of the same numbers, cut otherwise in another batch. */
const SAME = 1e-4;

/** [B, H, W, 3] -> [B, T, featureWidth] -> [B, T, width], as announced, and finite. */
function givesTokens(encoder: Encoder, images: tf.Tensor4D): void {
  const { tokens, featureWidth, width } = encoder;
  const batch = images.shape[0];
  const features = encoder.features(images);
  const expected = [batch, tokens, featureWidth];
  promise(
    features.shape.join() === expected.join(),
    `features [${features.shape}] are not [B, T, featureWidth], [${expected}]`,
  );
  promise(finite(features), 'the features are not finite');
  const projected = encoder.project(features);
  const announced = [batch, tokens, width];
  promise(
    projected.shape.join() === announced.join(),
    `projected tokens [${projected.shape}] are not [B, T, width], [${announced}]`,
  );
  promise(finite(projected), 'the projected tokens are not finite');
}

const tokensOf = (encoder: Encoder, images: tf.Tensor4D) => encoder.project(encoder.features(images));

/** A picture's tokens depend on that picture alone, and on that picture. */
function treatsPicturesApart(encoder: Encoder, images: tf.Tensor4D): void {
  const together = tokensOf(encoder, images);
  const row = <T extends tf.Tensor>(x: T, i: number): T => tf.slice(x, i, 1);
  for (let i = 0; i < images.shape[0]; i++) {
    const alone = tokensOf(encoder, row(images, i));
    promise(difference(alone, row(together, i)) < SAME, `picture ${i} depends on its batch`);
  }
  promise(difference(row(together, 0), row(together, 1)) > 0, 'other pictures give the same tokens');
}

/** A loss on the tokens reaches every variable. */
function trainsEveryVariable(encoder: Encoder, images: tf.Tensor4D): void {
  const variables = Object.entries(encoder.variables);
  if (variables.length === 0) return;
  const features = encoder.features(images);
  const { grads } = tf.variableGrads(
    () => tf.mean(tf.square(tf.sub(encoder.project(features), 0.3))) as tf.Scalar,
    variables.map(([, variable]) => variable),
  );
  for (const [name, variable] of variables) {
    const gradient = grads[variable.name];
    promise(gradient !== undefined && gradient !== null, `${name} gets no gradient`);
    const size = tf.max(tf.abs(gradient)).dataSync()[0];
    promise(Number.isFinite(size) && size > 0, `the gradient of ${name} has size ${size}`);
  }
}

const CLAUSES: [clause: string, holds: (encoder: Encoder, images: tf.Tensor4D) => void][] = [
  ['gives the shapes it announces', givesTokens],
  ['treats every picture apart', treatsPicturesApart],
  ['trains every variable', trainsEveryVariable],
];

/** Three seeded pictures [3, size, size, 3] of noise. */
const pictures = (size: number): tf.Tensor4D =>
  tf.tensor4d(randomStream(1, 'pictures').uniforms(3 * size * size * 3), [3, size, size, 3]);

/**
 * The promises of an encoder that is there, and of another that was built from the same seed.
 * @param label how it is called in failures  @param size side of the pictures
 * @throws Error that names the clause and what was found
 */
export function checkBuiltEncoder(label: string, encoder: Encoder, again: Encoder, size: number): void {
  const images = pictures(size);
  try {
    for (const [text, holds] of CLAUSES) {
      try {
        tf.tidy(() => holds(encoder, images));
      } catch (error) {
        throw new Error(`${label}: ${text}: ${(error as Error).message}`);
      }
    }
    // What it makes once, on its first call, is its own business: only now is it watched, and outside of any tidy.
    const before = tf.memory().numTensors;
    const features = encoder.features(images);
    tf.dispose([features, encoder.project(features)]);
    const kept = tf.memory().numTensors - before;
    promise(kept === 0, `${label}: keeps no tensor: ${kept} are left behind (wrap it in tf.tidy)`);
    isSeeded(label, encoder, again, images);
  } finally {
    images.dispose();
  }
}

/** The same seed gives the same encoder: tokens bit by bit, and the key of the cache. */
function isSeeded(label: string, one: Encoder, again: Encoder, images: tf.Tensor4D): void {
  promise(one.fingerprint === again.fingerprint, `${label}: is seeded: the fingerprint changes`);
  tf.tidy(() => {
    const [a, b] = [one, again].map(encoder => tokensOf(encoder, images).dataSync());
    promise(
      a.every((x, i) => x === b[i]),
      `${label}: is seeded: the same seed gives other tokens`,
    );
  });
}

/**
 * Builds an encoder twice, shows it pictures of noise, and checks what its interface promises: shapes as announced, finite numbers, pictures apart
 * from each other, gradients for every variable, no tensor left behind, the same encoder from the same seed. Needs `startBackend()` before.
 *
 *     await checkEncoder(kind);
 *
 * @throws Error that names the clause and what was found; UserError when it cannot be built
 */
export async function checkEncoder<Config>(
  kind: EncoderKind<Config>,
  { config = kind.defaults, size = 24 }: CheckEncoderOptions<Config> = {},
): Promise<void> {
  await onProcessor([], async () => {
    const before = tf.memory().numTensors;
    const build = () => builtEncoder(kind.build(config, { seed: 1 }));
    const [one, again] = [await build(), await build()];
    try {
      checkBuiltEncoder(kind.name, one, again, size);
    } finally {
      one.dispose();
      again.dispose();
    }
    const kept = tf.memory().numTensors - before;
    promise(kept === 0, `${kind.name}: disposes of what it made: ${kept} tensors are left behind`);
  });
}
