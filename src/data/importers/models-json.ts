/**
 * `models.json` of "Self-organising textures" (Niklasson, Mordvintsev, Randazzo and Levin 2021): many texture NCAs, each layer of all of them
 * in one 8-bit RGBA PNG, a grid of tiles. A tile has in + 1 rows (the last is the bias) of out / 4 pixels; value = (byte - 127) / 255 * scale.
 * The first layer's rows are filter-major, f * channels + c, with f in (identity, sobel_x, sobel_y, laplacian).
 */
import type * as TE from 'fp-ts/lib/TaskEither.js';
import * as t from 'io-ts';
import sharp from 'sharp';
import { attempt, decode, type Failure, orThrow, refuse, settle } from '../../config/index.ts';
import { readJson, shapeText } from '../../formats/index.ts';
import { FILTERS, SPECS, weightBlocks, weightCount } from '../../nca/index.ts';
import { shortNames } from '../split.ts';
import type { ZooSource } from './source.ts';

const LayerCodec = t.type({
  scale: t.number,
  data: t.string,
  shape: t.tuple([t.number, t.number]),
  layout: t.tuple([t.number, t.number]),
});
const ModelsCodec = t.type({ model_names: t.array(t.string), layers: t.tuple([LayerCodec, LayerCodec]) });

const SPEC = SPECS['self-organising-textures'];

/** One layer of all models: value(model, row, column). */
type Layer = (model: number, row: number, column: number) => number;

async function readLayer(
  { scale, data, shape, layout }: t.TypeOf<typeof LayerCodec>,
  expected: readonly [number, number],
  count: number,
  where: string,
  field: string,
): Promise<Layer> {
  const [rows, outputs] = shape;
  const [across, down] = layout;
  if (shapeText(shape) !== shapeText(expected)) {
    refuse(where, shapeText(expected), shapeText(shape), { field: `${field}.shape` });
  }
  if (!(Number.isSafeInteger(across) && Number.isSafeInteger(down) && across * down >= count)) {
    refuse(where, `a grid with room for ${count} tiles`, `${across} by ${down}`, {
      field: `${field}.layout`,
    });
  }
  const [, base64] =
    /^data:image\/png;base64,([A-Za-z0-9+/=\s]+)$/i.exec(data) ??
    refuse(where, 'a PNG as a base64 data URL', JSON.stringify(data.slice(0, 30)), {
      field: `${field}.data`,
    });
  const notPng = (error: Error) =>
    refuse(where, 'a PNG', `data that is not one (${error.message})`, { field: `${field}.data` });
  const picture = sharp(Buffer.from(base64, 'base64'));
  // What it will take is known before it is decoded.
  const info = await picture.metadata().catch(notPng);
  const [width, height] = [(across * outputs) / 4, down * rows];
  if (info.width !== width || info.height !== height || info.channels !== 4 || info.depth !== 'uchar') {
    refuse(
      where,
      `an RGBA picture of ${width}x${height} for a grid of ${across} by ${down} tiles of ${outputs / 4}x${rows}`,
      `${info.width}x${info.height} with ${info.channels} channels`,
      { field: `${field}.data` },
    );
  }
  const bytes = await picture.raw().toBuffer().catch(notPng);
  return (model, row, column) => {
    const y = Math.floor(model / across) * rows + row;
    const at = y * width * 4 + (model % across) * outputs + column;
    return (bytes[at] / 255 - 127 / 255) * scale;
  };
}

/** Opens a models.json. Names lose their folder part where that leaves them unique. @returns a TaskEither: run it with settle() */
export const openModelsJson = (path: string): TE.TaskEither<Failure, ZooSource> =>
  attempt(path, async () => {
    const json = await settle(readJson(path));
    const { model_names, layers } = orThrow(decode(ModelsCodec, json, path, { unknownKeys: 'allow' }));
    const { channels, hidden } = SPEC;
    const inputs = 4 * channels;
    const count = model_names.length;
    const first = await readLayer(layers[0], [inputs + 1, hidden], count, path, 'layers[0]');
    const second = await readLayer(layers[1], [hidden + 1, channels], count, path, 'layers[1]');
    const size = weightCount(SPEC);
    const [w1, b1, w2, b2] = weightBlocks(SPEC).map(({ offset }) => offset);
    return {
      spec: SPEC,
      names: shortNames(model_names),
      async rows(start, wanted) {
        const out = new Float32Array(wanted * size);
        for (let i = 0; i < wanted; i++) {
          const model = start + i;
          const flat = out.subarray(i * size, (i + 1) * size);
          for (let h = 0; h < hidden; h++) {
            for (let f = 0; f < FILTERS.length; f++) {
              for (let c = 0; c < channels; c++) {
                flat[w1 + h * inputs + 4 * c + f] = first(model, f * channels + c, h);
              }
            }
            flat[b1 + h] = first(model, inputs, h);
            for (let c = 0; c < channels; c++) flat[w2 + c * hidden + h] = second(model, h, c);
          }
          for (let c = 0; c < channels; c++) flat[b2 + c] = second(model, hidden, c);
        }
        return out;
      },
      picture: () => null,
      provenance: index => ({ model: model_names[index] }),
      close: async () => {},
    };
  });
