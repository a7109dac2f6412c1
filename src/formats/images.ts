/** Pictures from and to image files, through sharp (libvips). */
import { extname } from 'node:path';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import type { Sharp } from 'sharp';
import { attempt, type Failure, refuse, settle, UserError } from '../config/index.ts';
import { writeAtomically } from './atomic.ts';
import { enlarged } from './enlarge.ts';
import { readBytes } from './files.ts';

/** An RGB picture as numbers. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** [height, width, 3], in [0, 1]. */
  readonly data: Float32Array;
}

/** What an image is made into while it is decoded. */
export interface ImageOptions {
  /**
   * Side of the square to make of it: the centre is cropped, then made smaller (Lanczos-3) or larger (cubic convolution), both about its middle.
   * Without it the picture keeps its size.
   */
  readonly size?: number;
  /** Side in the file's pixels of the square that is cropped for `size`; default the shorter side. */
  readonly crop?: number;
  /** Always three: says so where it matters to the reader. */
  readonly channels?: 3;
  /** Told, as a sentence, where little of the picture is used or much of it made up. */
  readonly onDoubt?: (sentence: string) => void;
}

/** Pixels of the largest picture that is decoded: 8192 x 8192. */
const MOST_PIXELS = 2 ** 26;
/** A picture is doubtful from here: so many times as long as wide, made so many times larger. */
const LONG = 4;
const COARSE = 4;

function doubt(where: string, width: number, height: number, size: number): string | undefined {
  const side = Math.min(width, height);
  if (Math.max(width, height) >= LONG * side)
    return `${where}: of ${width} x ${height} pixels only the middle ${side} x ${side} are used.`;
  if (size >= COARSE * side)
    return `${where}: ${side} x ${side} pixels are enlarged to ${size} x ${size}: most of it is made up.`;
  return undefined;
}

const unit = (bytes: ArrayLike<number>): Float32Array => {
  const data = new Float32Array(bytes.length);
  for (let i = 0; i < data.length; i++) data[i] = Math.round(bytes[i]) / 255;
  return data;
};

/** Loaded when the first picture is met: where its library is missing, what needs no picture works. */
const library = async () => (await import('sharp')).default;

/** Decodes image bytes of any format sharp knows: greyscale is spread over RGB, transparency is laid on white, EXIF turns are done. */
export const decodeImage = (
  bytes: Uint8Array,
  where: string,
  { size, crop, onDoubt }: ImageOptions = {},
): TE.TaskEither<Failure, Picture> =>
  attempt(where, async () => {
    const sharp = await library();
    try {
      const source = () => sharp(bytes, { limitInputPixels: MOST_PIXELS });
      const { depth, autoOrient } = await source().metadata();
      // Of other numbers nobody says what is black and what is white.
      if (depth !== 'uchar' && depth !== 'ushort')
        refuse(where, 'an image of 8 or 16 bits', `one of ${depth} numbers`, { hint: 'Save it as PNG.' });
      let image: Sharp = source().autoOrient().toColourspace('srgb').flatten({ background: '#fff' });
      const { width, height } = autoOrient;
      const side = Math.min(width, height, crop ?? Number.POSITIVE_INFINITY);
      if (size !== undefined) {
        const sentence = doubt(where, width, height, size);
        if (sentence) onDoubt?.(sentence);
        const [left, top] = [Math.floor((width - side) / 2), Math.floor((height - side) / 2)];
        image = image.extract({ left, top, width: side, height: side });
        // Shrinking while the JPEG loads would save time and alias fine texture.
        if (side > size)
          image = image.resize(size, size, { kernel: 'lanczos3', fit: 'fill', fastShrinkOnLoad: false });
      }
      const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
      if (size !== undefined && side < size)
        return { width: size, height: size, data: unit(enlarged(data, side, size)) };
      return { width: info.width, height: info.height, data: unit(data) };
    } catch (error) {
      if (error instanceof UserError) throw error;
      return refuse(where, 'an image', `something else (${(error as Error).message})`);
    }
  });

/** Width and height of image bytes as they are shown: after the turn that EXIF asks for. */
export const pictureSize = (
  bytes: Uint8Array,
  where: string,
): TE.TaskEither<Failure, { readonly width: number; readonly height: number }> =>
  attempt(where, async () => {
    const sharp = await library();
    const { autoOrient } = await sharp(bytes)
      .metadata()
      .catch((error: Error) => refuse(where, 'an image', `something else (${error.message})`));
    return autoOrient;
  });

/** Whether bytes are an image, by their header: quick, for files that are only passed on. @returns a TaskEither: run it with settle() */
export const checkImage = (bytes: Uint8Array, where: string): TE.TaskEither<Failure, void> =>
  attempt(where, async () => {
    const sharp = await library();
    await sharp(bytes)
      .metadata()
      .catch((error: Error) => refuse(where, 'an image', `something else (${error.message})`));
  });

/** Reads an image file. @returns a TaskEither: run it with settle() */
export const readImage = (path: string, options: ImageOptions = {}): TE.TaskEither<Failure, Picture> =>
  attempt(path, async () => {
    const bytes = await settle(readBytes(path));
    return settle(decodeImage(bytes, path, options));
  });

/** Values to bytes: clipped to [0, 1], rounded; not-a-number is black. */
export const pictureBytes = (data: ArrayLike<number>) =>
  Uint8Array.from(data, value => Math.round(255 * Math.min(1, Math.max(0, value || 0))));

const rawPicture = async ({ width, height, data }: Picture): Promise<{ readonly image: Sharp }> => {
  const sharp = await library();
  return { image: sharp(pictureBytes(data), { raw: { width, height, channels: 3 } }) };
};

/** The picture as the bytes of a PNG of 8 bits a channel, values clipped to [0, 1]. */
export const encodePng = async (picture: Picture): Promise<Buffer> =>
  (await rawPicture(picture)).image.png({ compressionLevel: 9 }).toBuffer();

/**
 * A picture as the file name wants it: PNG, or JPEG or WebP of a quality at which a texture shows no loss. Colours are kept at full
 * resolution: in a small picture they are texture too.
 */
export const encodePicture = async (picture: Picture, path: string): Promise<Buffer> => {
  const { image } = await rawPicture(picture);
  switch (extname(path).toLowerCase()) {
    case '.jpg':
    case '.jpeg':
      return image.jpeg({ quality: 92, chromaSubsampling: '4:4:4', optimiseCoding: true }).toBuffer();
    case '.webp':
      return image.webp({ quality: 92, smartSubsample: true, effort: 6 }).toBuffer();
    default:
      return encodePng(picture);
  }
};

/** An animated GIF that repeats for ever; all frames of one size, `delay` milliseconds each (one number, or one each). */
export const encodeGif = async (
  frames: readonly Picture[],
  { delay = 50 }: { delay?: number | readonly number[] } = {},
): Promise<Buffer> => {
  const [{ width, height }] = frames;
  const strip = new Uint8Array(frames.length * height * width * 3);
  frames.forEach((frame, i) => {
    if (frame.width !== width || frame.height !== height) throw new Error('frames of different sizes');
    strip.set(pictureBytes(frame.data), i * height * width * 3);
  });
  const delays = typeof delay === 'number' ? frames.map(() => delay) : [...delay];
  const sharp = await library();
  return sharp(strip, {
    raw: { width, height: height * frames.length, channels: 3, pageHeight: height },
    limitInputPixels: false,
  })
    .gif({ delay: delays, loop: 0, effort: 4 })
    .toBuffer();
};

/** Writes the picture as a PNG, whole or not at all. @returns a TaskEither: run it with settle() */
export const writePng = (path: string, picture: Picture): TE.TaskEither<Failure, void> =>
  attempt(path, async () => settle(writeAtomically(path, await encodePng(picture))));

/** Writes an animated GIF, as `encodeGif` makes it, whole or not at all. @returns a TaskEither: run it with settle() */
export const writeGif = (
  path: string,
  frames: readonly Picture[],
  options: { delay?: number | readonly number[] } = {},
): TE.TaskEither<Failure, void> =>
  attempt(path, async () => settle(writeAtomically(path, await encodeGif(frames, options))));
