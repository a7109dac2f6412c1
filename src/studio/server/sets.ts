/** NCAs in rows, wherever they lie: what the page lists, grows and draws. */
import { dirname } from 'node:path';
import { refuse, settle } from '../../config/index.ts';
import { loadWeights, openZoo, readZooImageFile } from '../../data/index.ts';
import { readKeptNcas, renderingSteps } from '../../experiment/index.ts';
import { encodePng, fileInside, readSafetensorsHeader, readSafetensorsRows } from '../../formats/index.ts';
import { weightCount } from '../../nca/index.ts';
import type { SetInfo } from '../api.ts';

/** A set of NCAs that is served. */
export interface NcaSet {
  readonly info: SetInfo;
  /** [count, D]. @throws UserError */
  rows(first: number, count: number): Promise<Float32Array>;
  /** The picture that NCA `row` was to match, as a file of an image type. @throws UserError where there is none */
  picture(row: number): Promise<{ readonly bytes: Uint8Array; readonly type: string }>;
  /** Rejects when what is on the disk is not what it should be. */
  verify(): Promise<void>;
}

const IMAGE_TYPES: Record<string, string> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
  gif: 'image/gif',
};

/** The NCAs of a zoo, their weights read as they are asked for. */
export async function zooSet(id: string, title: string, folder: string): Promise<NcaSet> {
  const zoo = await settle(openZoo(folder));
  const { entries, spec } = zoo;
  return {
    info: {
      id,
      title,
      spec,
      names: entries.map(({ name }) => name),
      splits: entries.map(({ split }) => split),
      argument: { path: folder, by: 'name' },
      pictures: entries.map(({ image, rendering }) => (image ?? rendering) !== null),
      steps: renderingSteps(zoo),
      kept: null,
    },
    rows: zoo.rows,
    verify: zoo.verify,
    async picture(row) {
      if (!entries[row]) refuse(folder, `an entry below ${entries.length}`, `${row}`);
      const { bytes, path } = await settle(readZooImageFile(zoo, row, 'condition'));
      const type = IMAGE_TYPES[path.slice(path.lastIndexOf('.') + 1).toLowerCase()];
      return { bytes, type: type ?? refuse(path, 'a picture that browsers show', 'another kind of file') };
    },
  };
}

/** What a run kept: methods or noise levels by textures. */
export async function keptSet(id: string, title: string, path: string): Promise<NcaSet> {
  const { spec, kept, targets } = await readKeptNcas(await fileOfFolder(path));
  const { textures, columns, size } = kept;
  return {
    info: {
      id,
      title,
      spec,
      names: columns.flatMap(column => textures.map(texture => `${texture}, ${column.name}`)),
      splits: null,
      argument: { path, by: 'row' },
      pictures: columns.flatMap(() => textures.map(() => targets)),
      steps: kept.steps,
      kept,
    },
    async rows(first, count) {
      return (await settle(readSafetensorsRows(path, 'weights', first, count))) as Float32Array;
    },
    async picture(row) {
      const data = await settle(readSafetensorsRows(path, 'targets', row % textures.length, 1));
      const picture = { width: size, height: size, data: Float32Array.from(data, x => Number(x) / 255) };
      return { bytes: await encodePng(picture), type: 'image/png' };
    },
    verify: async () => {},
  };
}

/** A file in the folder it is given in, links followed. */
const fileOfFolder = async (path: string) =>
  fileInside(dirname(path), path.slice(dirname(path).length + 1), path, 'file');

/** Weights as any command takes them: one NCA, or all of a safetensors file. */
export async function weightsSet(id: string, title: string, argument: string): Promise<NcaSet> {
  if (/\.safetensors$/i.test(argument)) {
    const { metadata, entries } = await settle(readSafetensorsHeader(argument));
    if (metadata.kept !== undefined) return keptSet(id, title, argument);
    const count = entries.get('weights')?.shape;
    if (count?.length === 2 && count[0] > 1) return manyWeights(id, title, argument, count[0]);
  }
  const { spec, flat } = await settle(loadWeights(argument));
  return {
    info: {
      id,
      title,
      spec,
      names: [title],
      splits: null,
      argument: { path: argument, by: 'name' },
      pictures: [false],
      steps: DEFAULT_STEPS,
      kept: null,
    },
    async rows(first, count) {
      if (first !== 0 || count !== 1) refuse(argument, 'its one NCA', `rows ${first} to ${first + count}`);
      return flat;
    },
    picture: async () => refuse(argument, 'a picture', 'none'),
    verify: async () => {},
  };
}

const DEFAULT_STEPS = 400;

async function manyWeights(id: string, title: string, path: string, count: number): Promise<NcaSet> {
  // The first says what all are; each is checked as any command checks it.
  const first = await settle(loadWeights(`${path}#0`));
  return {
    info: {
      id,
      title,
      spec: first.spec,
      names: Array.from({ length: count }, (_, i) => `${title} ${i}`),
      splits: null,
      argument: { path, by: 'row' },
      pictures: new Array<boolean>(count).fill(false),
      steps: DEFAULT_STEPS,
      kept: null,
    },
    async rows(from, wanted) {
      const rows = await settle(readSafetensorsRows(path, 'weights', from, wanted));
      if (rows.length !== wanted * weightCount(first.spec))
        refuse(path, 'whole NCAs', `${rows.length} numbers`);
      return rows as Float32Array;
    },
    picture: async () => refuse(path, 'a picture', 'none'),
    verify: async () => {},
  };
}
