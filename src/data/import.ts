/** Makes a zoo of NCAs that come in someone else's format. */
import { stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, type Failure, refuse, settle, suggestion, UserError } from '../config/index.ts';
import { checkImage, readBytes } from '../formats/index.ts';
import { type NcaSpec, weightCount } from '../nca/index.ts';
import { groupsOf } from './importers/alike.ts';
import { openModelsJson } from './importers/models-json.ts';
import { openReferenceSet, type ReferenceOptions } from './importers/reference.ts';
import type { ZooSource } from './importers/source.ts';
import { isWeightFile, openWeightFiles } from './importers/weight-files.ts';
import { type RenderOptions, renderNcas } from './render.ts';
import { overrule } from './spec-option.ts';
import { fileNames, splitsOf } from './split.ts';
import { checkFinite, type ZooEntry } from './zoo.ts';
import { writeZoo, type ZooImage } from './zoo-write.ts';

/** How a foreign set becomes a zoo: what is held out, what the base is, and how NCAs are drawn. */
export interface ImportOptions extends ReferenceOptions {
  /** Share of the entries to hold out, chosen by the hash of the name. */
  readonly heldOut?: number;
  /** Share of the entries to choose settings on; default none. */
  readonly validation?: number;
  /** The NCA that the others were fine-tuned from: the zoo's base, and never held out. */
  readonly base?: string;
  /** How NCAs without a picture of their own are run. */
  readonly render?: Partial<RenderOptions>;
  /** Kept in the manifest: how to make this zoo again. */
  readonly command?: string;
  /** Ends the import with a UserError; no zoo is written then. */
  readonly signal?: AbortSignal;
  /** Told how many NCAs are written, of how many. */
  readonly onProgress?: (done: number, total: number, what: 'weights' | 'pictures') => void;
}

/** What was imported. */
export interface ImportSummary {
  /** What the NCAs were taken for. */
  readonly spec: NcaSpec;
  readonly count: number;
  readonly heldOut: number;
  readonly validation: number;
  /** Pictures that came with the set, and renderings made here. */
  readonly images: number;
  readonly renderings: number;
  /** NCAs that were run here for want of a picture of their own. */
  readonly rendered: number;
}

const ROWS_AT_ONCE = 256;
const RENDERED_AT_ONCE = 8;
const READ_AHEAD = 16;

/** Opens what the paths name: a models.json, a folder with w1.npy, or files of weights. */
const openSource = (paths: readonly string[], options: ReferenceOptions): TE.TaskEither<Failure, ZooSource> =>
  attempt(paths[0] ?? 'zoo import', async () => {
    const [path, ...more] = paths;
    if (path === undefined) return refuse('zoo import', 'a file or folder', 'none');
    const { spec } = options;
    if (paths.every(isWeightFile)) return settle(openWeightFiles(paths, spec));
    if (more.length > 0) {
      refuse(
        more[0],
        'one models.json, one folder or several .pt or .safetensors files',
        `${paths.length} paths`,
      );
    }
    if ((await stat(path)).isDirectory()) {
      await stat(join(path, 'w1.npy')).catch(() =>
        refuse(path, 'w1.npy, b1.npy, w2.npy and texture_names.npy', 'a folder without w1.npy'),
      );
      return settle(openReferenceSet(path, options));
    }
    if (extname(path).toLowerCase() !== '.json') {
      const expected = 'a models.json, a folder with w1.npy, or .pt or .safetensors files';
      return refuse(path, expected, `the file type "${extname(path)}"`);
    }
    const source = await settle(openModelsJson(path));
    return spec ? { ...source, spec: overrule(source.spec, spec, path) } : source;
  });

/**
 * Imports trained NCAs into the zoo folder `out`. Weights and pictures pass through a piece at a time. NCAs that come without a
 * rendering of their own are run here and their picture stored.
 * @returns a TaskEither: run it with settle()
 */
export const importZoo = (
  paths: readonly string[],
  out: string,
  options: ImportOptions = {},
): TE.TaskEither<Failure, ImportSummary> =>
  attempt(out, async () => {
    const { steps = 400, size = 64, seed = 1 } = options.render ?? {};
    const source = await settle(openSource(paths, options));
    const { names, spec } = source;
    const stopIfAsked = () => {
      if (options.signal?.aborted) throw new UserError('Stopped: no zoo was written.');
    };
    const files = fileNames(names);
    const baseAt = options.base === undefined ? -1 : names.indexOf(options.base);
    if (options.base !== undefined && baseAt < 0) {
      refuse('option --base', 'the name of one of the NCAs', `"${options.base}"`, {
        hint: suggestion(options.base, names),
      });
    }
    const groups = await groupsOf(source, stopIfAsked);
    const splits = splitsOf(groups, options.heldOut, options.validation);
    // Copies of the base go with it.
    groups.forEach((group, i) => {
      if (group === groups[baseAt]) splits[i] = 'train';
    });
    const pictures = { image: 0, rendering: 0 };
    const stored = (i: number, kind: 'image' | 'rendering') => {
      const path = source.picture(i, kind);
      if (path === null) return null;
      pictures[kind]++;
      return `${kind}s/${files[i]}${extname(path).toLowerCase()}`;
    };
    const entries = names.map<ZooEntry>((name, i) => ({
      name,
      split: splits[i],
      group: groups[i],
      image: stored(i, 'image'),
      rendering: stored(i, 'rendering') ?? `renderings/${files[i]}.png`,
      provenance: source.provenance(i),
    }));

    async function* weights() {
      for (let start = 0; start < names.length; start += ROWS_AT_ONCE) {
        stopIfAsked();
        const count = Math.min(ROWS_AT_ONCE, names.length - start);
        const rows = await source.rows(start, count);
        checkFinite(spec, rows, i => names[start + i], paths[0]);
        yield rows;
        options.onProgress?.(start + count, names.length, 'weights');
      }
    }
    /** The given NCAs run here, one batch. */
    async function* rendered(indices: readonly number[]): AsyncGenerator<ZooImage> {
      const dimension = weightCount(spec);
      const batch = new Float32Array(indices.length * dimension);
      for (const [b, i] of indices.entries()) batch.set(await source.rows(i, 1), b * dimension);
      const shown = await renderNcas(spec, batch, { steps, size, seed });
      for (const [b, i] of indices.entries()) yield { path: entries[i].rendering!, content: shown[b] };
    }
    /** The pictures that came with NCA i. */
    const given = (i: number): Promise<ZooImage[]> => {
      const kinds = (['image', 'rendering'] as const).filter(kind => source.picture(i, kind) !== null);
      return Promise.all(
        kinds.map(async kind => {
          const path = source.picture(i, kind)!;
          const content = await settle(readBytes(path));
          await settle(checkImage(content, path));
          return { path: entries[i][kind]!, content };
        }),
      );
    };
    async function* images(): AsyncGenerator<ZooImage> {
      let waiting: number[] = [];
      const ahead: Promise<ZooImage[]>[] = [];
      for (let i = 0, next = 0; i < names.length; i++) {
        stopIfAsked();
        for (; next < Math.min(i + READ_AHEAD, names.length); next++) {
          const pictures = given(next);
          // What goes wrong is told when its turn comes.
          pictures.catch(() => {});
          ahead.push(pictures);
        }
        yield* await ahead.shift()!;
        if (source.picture(i, 'rendering') === null) waiting.push(i);
        if (waiting.length === RENDERED_AT_ONCE || (waiting.length > 0 && i === names.length - 1)) {
          yield* rendered(waiting);
          waiting = [];
        }
        options.onProgress?.(i + 1 - waiting.length, names.length, 'pictures');
      }
    }
    try {
      const provenance = {
        imported: paths,
        command: options.command ?? null,
        ...(options.base === undefined ? {} : { base: options.base }),
        rendering: { steps, size, seed },
      };
      const base = baseAt < 0 ? null : await source.rows(baseAt, 1);
      await settle(writeZoo(out, { spec, entries, weights: weights(), base, provenance }, images()));
    } finally {
      await source.close();
    }
    return {
      spec,
      count: names.length,
      heldOut: splits.filter(split => split === 'held-out').length,
      validation: splits.filter(split => split === 'validation').length,
      images: pictures.image,
      renderings: pictures.rendering,
      rendered: names.length - pictures.rendering,
    };
  });
