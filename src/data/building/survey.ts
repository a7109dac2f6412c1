/** Looks at every picture once before anything is trained: can it be read, is it large enough, is it a texture, is it new? */
import { readFile } from 'node:fs/promises';
import * as E from 'fp-ts/lib/Either.js';
import { describe, refuse, UserError } from '../../config/index.ts';
import { decodeImage, pictureSize } from '../../formats/index.ts';
import { ALIKE, type Layout, layoutOf, similarGroups } from '../similarity.ts';
import { SPLITS, type Split, splitsOf } from '../split.ts';
import { sha256 } from '../zoo.ts';
import type { PicturesConfig } from './config.ts';
import {
  listPictures,
  needColumn,
  type PictureFile,
  type Row,
  readTable,
  rowFilter,
} from './picture-files.ts';

/** Where a picture becomes doubtful, unless the configuration says otherwise. */
export const CHECKS = {
  /** Standard deviation of the colours, of [0, 1]. */
  flat: 0.02,
  /** How far a quadrant's mean colour lies from the picture's, in standard deviations of the picture. */
  uneven: 0.5,
  /** Share of one picture's coarse view that an affine map of another's colours explains, for them to be one group. */
  similar: ALIKE,
};

/** A picture that was looked at: its size and statistics, its group and split. */
export interface SurveyedPicture extends PictureFile {
  /** Of the file's bytes. */
  readonly sha256: string;
  readonly width: number;
  readonly height: number;
  /** Pixels of the file to one texel. */
  readonly pixelsPerTexel: number;
  /** Standard deviation of the colours, and the quadrants' distance: see `CHECKS`. */
  readonly deviation: number;
  readonly unevenness: number;
  readonly group: string;
  readonly split: Split;
  /** Its row in the table beside the pictures. */
  readonly row: Row | null;
  /** Why it is doubtful; null when it is not. */
  readonly doubt: string | null;
}

/** What was found about the pictures of a configuration. */
export interface Survey {
  /** Pictures that the zoo is made from. */
  readonly taken: readonly SurveyedPicture[];
  /** Pictures that are not, with the reason. */
  readonly leftOut: readonly { readonly name: string; readonly reason: string }[];
  /** What the user should know, a sentence each. */
  readonly notes: readonly string[];
}

/** Mean and standard deviation of the colours, and the greatest distance of a quadrant's mean from the whole's. */
export function statisticsOf(picture: Float32Array, side: number): { deviation: number; unevenness: number } {
  const half = side >> 1;
  const sums = new Float64Array(12);
  const all = new Float64Array(3);
  let squares = 0;
  for (let y = 0; y < 2 * half; y++) {
    for (let x = 0; x < 2 * half; x++) {
      const quadrant = 2 * Number(y >= half) + Number(x >= half);
      for (let c = 0; c < 3; c++) {
        const value = picture[3 * (y * side + x) + c];
        sums[3 * quadrant + c] += value;
        all[c] += value;
        squares += value * value;
      }
    }
  }
  const each = half * half;
  const mean = all.map(sum => sum / (4 * each));
  const variance = squares / (12 * each) - mean.reduce((sum, m) => sum + m * m, 0) / 3;
  const deviation = Math.sqrt(Math.max(0, variance));
  const away = [0, 1, 2, 3].map(q =>
    Math.sqrt([0, 1, 2].reduce((sum, c) => sum + (sums[3 * q + c] / each - mean[c]) ** 2, 0) / 3),
  );
  return { deviation, unevenness: Math.max(...away) / Math.max(deviation, 1e-6) };
}

/** Draws a picture file as texels [size, size, 3]: the centre of it, `pixelsPerTexel` pixels to one. */
export async function drawPicture(path: string, bytes: Uint8Array, size: number, pixelsPerTexel: number) {
  const crop = Math.max(1, Math.round(size * pixelsPerTexel));
  return decodeImage(bytes, path, { size, crop })();
}

/** A picture that was looked at by itself. */
export interface Seen
  extends Pick<
    SurveyedPicture,
    'sha256' | 'width' | 'height' | 'pixelsPerTexel' | 'deviation' | 'unevenness'
  > {
  readonly file: PictureFile;
  readonly row: Row | null;
  readonly layout: Layout;
  readonly tooSmall: boolean;
}

/** Reads one picture; its failure as a sentence. */
export async function look(
  file: PictureFile,
  row: Row | null,
  config: Pick<PicturesConfig, 'pixelsPerTexel'>,
  target: number,
): Promise<{ readonly seen: Seen /** [target, target, 3] */; readonly texels: Float32Array } | string> {
  const bytes = await readFile(file.path).catch((error: Error) => error.message);
  if (typeof bytes === 'string') return bytes;
  const size = await pictureSize(bytes, file.path)();
  if (E.isLeft(size)) return `${size.left.expected} expected, ${size.left.found} found`;
  const { width, height } = size.right;
  const shorter = Math.min(width, height);
  const wanted = config.pixelsPerTexel === 'fit' ? shorter / target : config.pixelsPerTexel;
  const pixelsPerTexel = Math.min(wanted, shorter / target);
  const drawn = await drawPicture(file.path, bytes, target, pixelsPerTexel);
  if (E.isLeft(drawn)) return describe(drawn.left);
  const { data } = drawn.right;
  const seen: Seen = {
    file,
    row,
    sha256: sha256(bytes),
    width,
    height,
    pixelsPerTexel,
    ...statisticsOf(data, target),
    layout: layoutOf(data, target),
    // Rounding of half a pixel is no enlargement.
    tooSmall: shorter + 0.5 < target * (config.pixelsPerTexel === 'fit' ? 1 : wanted),
  };
  return { seen, texels: data };
}

/** The split of each: as the table says, or by the hash of the group. */
function splitBy(
  seen: readonly Seen[],
  groups: readonly string[],
  config: PicturesConfig,
  hasSets: boolean,
): Split[] {
  const { split = hasSets ? 'manifest' : { heldOut: 0.12, validation: 0.06 } } = config;
  if (split !== 'manifest') return splitsOf(groups, split.heldOut, split.validation);
  return seen.map(({ row }) => row!.set as Split);
}

/**
 * Surveys the pictures of a configuration.
 * @param target texels a side that a picture must have
 */
export async function surveyPictures(
  config: PicturesConfig,
  target: number,
  { signal, onProgress }: { signal?: AbortSignal; onProgress?(done: number, total: number): void } = {},
): Promise<Survey> {
  const { root, files } = await listPictures(config.images);
  const table = await readTable(config.manifest ?? null, root);
  const notes: string[] = [];
  const leftOut: { name: string; reason: string }[] = [];
  const only = config.only ?? {};
  if (table) {
    for (const column of Object.keys(only)) needColumn(table, column, `textures.only.${column}`);
    if (config.split === 'manifest') needColumn(table, 'set', 'textures.split');
    const strangers = [...table.rows.keys()].filter(name => !files.some(file => file.name === name));
    if (strangers.length === table.rows.size) {
      refuse(
        table.path,
        `rows for the pictures in ${root}`,
        `${strangers.length} of other files, such as ${strangers[0]}`,
      );
    }
    if (strangers.length > 0)
      notes.push(`${table.path}: ${strangers.length} rows have no picture, such as ${strangers[0]}.`);
    for (const column of ['source', 'licence']) {
      if (!table.columns.includes(column)) {
        notes.push(`${table.path}: no column ${column}, so the zoo will not say it of its pictures.`);
      }
    }
  } else if (config.split === 'manifest' || Object.keys(only).length > 0) {
    refuse(root, 'a manifest.tsv beside the pictures (textures.split or textures.only asks for it)', 'none');
  } else notes.push(`${root}: no manifest.tsv, so the zoo will not say source and licence of its pictures.`);

  const hasSets = table?.columns.includes('set') ?? false;
  const bySet = hasSets && (config.split ?? 'manifest') === 'manifest';
  const passes = rowFilter(only);
  const seen: Seen[] = [];
  let filtered = 0;
  for (const [i, file] of files.entries()) {
    if (signal?.aborted)
      throw new UserError('Stopped while the pictures were looked at: nothing was written.');
    onProgress?.(i + 1, files.length);
    const row = table?.rows.get(file.name) ?? null;
    if (Object.keys(only).length > 0 && !(row && passes(row))) {
      filtered++;
      continue;
    }
    if (bySet && !SPLITS.some(split => split === row?.set)) {
      leftOut.push({ name: file.name, reason: row ? `set ${row.set}` : 'not in the manifest' });
      continue;
    }
    const result = await look(file, row, config, target);
    if (typeof result === 'string') leftOut.push({ name: file.name, reason: `unreadable: ${result}` });
    else seen.push(result.seen);
  }
  if (filtered > 0)
    notes.push(`${filtered} of ${files.length} pictures are not what textures.only asks for.`);
  return judge(seen, config, { bySet, leftOut, notes, where: config.images });
}

/** Why a picture by itself is no good texture; null when nothing speaks against it. */
export function doubtOf(
  { tooSmall, width, height, deviation, unevenness }: Omit<Seen, 'layout'>,
  { flat, uneven }: { readonly flat: number | null; readonly uneven: number | null },
): string | null {
  if (tooSmall) return `too small: ${width} x ${height}`;
  if (flat !== null && deviation < flat) return `nearly flat: deviation ${deviation.toFixed(3)}`;
  return uneven !== null && unevenness > uneven
    ? `not even: a quadrant lies ${unevenness.toFixed(2)} deviations away`
    : null;
}

/** Groups, splits and doubts of the pictures that could be read. */
function judge(
  seen: readonly Seen[],
  config: PicturesConfig,
  context: { bySet: boolean; leftOut: { name: string; reason: string }[]; notes: string[]; where: string },
): Survey {
  const { leftOut, notes, where } = context;
  const checks = { ...CHECKS, ...config.checks };
  const { similar } = checks;
  const first =
    similar === null
      ? seen.map((_, i) => i)
      : similarGroups(
          seen.map(one => one.layout),
          similar,
        );
  const groups = seen.map(
    ({ file, row }, i) =>
      row?.group || seen[first[i]].row?.group || (first[i] === i ? file.name : seen[first[i]].file.name),
  );
  const splits = splitBy(seen, groups, config, context.bySet);
  /** The strictest side a group lies on. */
  const side = new Map<string, Split>();
  groups.forEach((group, i) => {
    if (SPLITS.indexOf(splits[i]) > SPLITS.indexOf(side.get(group) ?? 'train')) side.set(group, splits[i]);
  });
  const taken: SurveyedPicture[] = [];
  seen.forEach(({ layout: _, ...own }, i) => {
    const { file, tooSmall: __, ...rest } = own;
    const strict = side.get(groups[i]) ?? 'train';
    const torn = strict === splits[i] ? null : `like ${groups[i]}, of which there is a ${strict} picture`;
    const doubt = doubtOf(own, checks) ?? torn;
    if (doubt !== null && config.doubtful !== 'keep') leftOut.push({ name: file.name, reason: doubt });
    else taken.push({ ...file, ...rest, doubt, group: groups[i], split: strict });
  });
  if (taken.length === 0) {
    const [one] = leftOut;
    refuse(
      where,
      'pictures that a zoo can be made from',
      `none of ${leftOut.length}, such as ${one?.name}: ${one?.reason}`,
    );
  }
  if (new Set(taken.map(({ group }) => group)).size === 1 && taken.length > 1) {
    refuse(
      where,
      'pictures of more than one group',
      `${taken.length} that are all copies or recolours of ${taken[0].group}`,
    );
  }
  const enlarged = taken.filter(({ doubt }) => doubt?.startsWith('too small')).length;
  if (enlarged > 0) notes.push(`${enlarged} pictures are too small and were enlarged.`);
  return { taken, leftOut, notes };
}
