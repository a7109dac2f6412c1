/** Features of many pictures, and of all turned and recoloured copies of one. */
import { breathe } from '../compute/index.ts';
import { actOnImage, colourPart, type Grid, type NcaSpec, type SymmetryElement } from '../nca/index.ts';
import { tf } from '../tensor/index.ts';
import type { Encoder } from './encoder.ts';

/** Pictures that are encoded at once. */
const CHUNK = 64;

/**
 * Frozen features [N * T * F] of N pictures of one size, some at a time: the event loop turns in between. Throws the signal's reason when it is raised.
 * @param pictures each [H, W, 3] in [0, 1]
 */
export async function encodedPictures(
  encoder: Pick<Encoder, 'features'>,
  pictures: readonly Grid[],
  signal?: AbortSignal,
): Promise<Float32Array> {
  const [{ height, width }] = pictures;
  const pixels = height * width * 3;
  let all = new Float32Array();
  for (let from = 0; from < pictures.length; from += CHUNK) {
    await breathe(signal);
    const some = pictures.slice(from, from + CHUNK);
    const data = new Float32Array(some.length * pixels);
    some.forEach((picture, k) => {
      if (picture.height !== height || picture.width !== width)
        throw new Error('pictures of several sizes are not encoded together');
      data.set(picture.data, k * pixels);
    });
    const features = tf.tidy(() => encoder.features(tf.tensor4d(data, [some.length, height, width, 3])));
    const numbers = await features.data().finally(() => features.dispose());
    if (from === 0) all = new Float32Array((numbers.length / some.length) * pictures.length);
    all.set(numbers as Float32Array, (numbers.length / some.length) * from);
  }
  return all;
}

/**
 * Frozen features [E * T * F] of a picture acted on by each of E elements: by the encoder's own short way where it has one (`Encoder.orbit`), else by
 * encoding every copy. Throws the signal's reason when it is raised.
 * @param picture [S, S, 3] in [0, 1]
 */
export async function orbitFeatures(
  encoder: Pick<Encoder, 'features' | 'orbit'>,
  spec: NcaSpec,
  picture: Grid,
  elements: readonly SymmetryElement[],
  signal?: AbortSignal,
): Promise<Float32Array> {
  await breathe(signal);
  const copies = elements.map(g => ({ turn: g.turn, colour: colourPart(spec, g) }));
  const short = await encoder.orbit?.(picture, copies, spec.rgb.offset);
  if (short) return short;
  const turned = elements.map(g => actOnImage(spec, g, picture));
  return encodedPictures(encoder, turned, signal);
}
