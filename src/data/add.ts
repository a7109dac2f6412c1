/** Puts single NCAs into a zoo: results of `nca train`, torch files, safetensors. */
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, type Failure, refuse, settle } from '../config/index.ts';
import { decodeImage, fileInside, lock, type Picture, readBytes } from '../formats/index.ts';
import type { NcaWeights } from '../nca/index.ts';
import { layoutsOf } from './duplicates.ts';
import { renderingOf } from './provenance.ts';
import { renderNcas } from './render.ts';
import { ALIKE, layoutOf, similarity } from './similarity.ts';
import { fileNames, groupOf, type Split } from './split.ts';
import { loadWeights } from './weights.ts';
import { MANIFEST, readZoo, readZooImage, sha256, WEIGHTS, type Zoo, type ZooEntry } from './zoo.ts';
import { writeZoo, type ZooImage } from './zoo-write.ts';

/** One NCA to add. */
export interface Addition {
  /** A folder that `nca train` wrote, or weights as every command takes them. */
  readonly source: string;
  /** Default: the file's or folder's own. */
  readonly name?: string;
  /** Its texture, a pixel for every cell; default: the target in a folder of `nca train`, else none. */
  readonly image?: string;
}

/** What holds for all that is added at once. */
export interface AddOptions {
  /** Default: that of the group where the zoo has it, else train. */
  readonly split?: Split;
  /** Kept in the manifest: where the pictures come from, and under which licence. */
  readonly provenance?: Readonly<Record<string, unknown>>;
  /** Loads weights that are not in a folder of `nca train`; default `loadWeights`. */
  readonly load?: (argument: string) => TE.TaskEither<Failure, NcaWeights>;
}

/** One NCA as it was added. */
export interface Added {
  readonly name: string;
  readonly split: Split;
  /** An entry of the zoo that it is a copy, a variant or a recolour of. */
  readonly like: string | null;
}

interface Loaded {
  readonly weights: NcaWeights;
  readonly name: string;
  readonly image: Picture | null;
  readonly source: string;
}

/** Pictures of a new zoo, and NCA steps of its renderings. */
const DEFAULTS = { side: 64, steps: 400, seed: 1 };

async function loadOne(
  { source, ...given }: Addition,
  side: number,
  load: AddOptions['load'],
): Promise<Loaded> {
  const isFolder = (await stat(source).catch(() => undefined))?.isDirectory() ?? false;
  const trained = isFolder && !existsSync(join(source, MANIFEST));
  const weights = await settle((load ?? loadWeights)(trained ? join(source, 'weights.safetensors') : source));
  const own = basename(source.split('#').at(-1) ?? source);
  const name = given.name ?? own.slice(0, own.length - extname(own).length);
  const target = join(source, 'target.png');
  const path = given.image ?? (trained && existsSync(target) ? target : null);
  if (path === null) return { weights, name, image: null, source };
  // Cropped, never scaled: a pixel is a cell.
  const bytes = await settle(readBytes(path));
  const { width, height } = await settle(decodeImage(bytes, path));
  const size = Math.min(side, width, height);
  return { weights, name, image: await settle(decodeImage(bytes, path, { size, crop: size })), source };
}

/** Every picture of a zoo, its bytes as they are. */
async function* standing(zoo: Zoo): AsyncGenerator<ZooImage> {
  for (const path of Object.keys(zoo.manifest.files)) {
    if (path === WEIGHTS) continue;
    const content = await settle(readBytes(await fileInside(zoo.folder, path, MANIFEST, 'files')));
    if (sha256(content) !== zoo.manifest.files[path]) {
      refuse(join(zoo.folder, path), `the picture that ${MANIFEST} was written for`, 'another one (SHA-256)');
    }
    yield { path, content };
  }
}

/** A name that is free: NAME, or NAME~2, NAME~3, ... */
function freeName(name: string, taken: ReadonlySet<string>): string {
  let free = name;
  for (let n = 2; taken.has(free); n++) free = `${groupOf(name)}~${n}`;
  return free;
}

/**
 * Adds NCAs to the zoo `folder`, or makes a zoo of them. A name that is there already gets a number: it is a copy, of the same group. What looks
 * like an entry of the zoo joins that entry's group and side. All are added or none.
 */
export const addToZoo = (
  folder: string,
  additions: readonly Addition[],
  options: AddOptions = {},
): TE.TaskEither<Failure, Added[]> =>
  attempt(folder, async () => {
    const out = resolve(folder);
    const unlock = await lock(join(dirname(out), `.${basename(out)}.build.lock`), `the zoo ${folder}`);
    try {
      return await add(folder, additions, options);
    } finally {
      await unlock();
    }
  });

async function add(folder: string, additions: readonly Addition[], options: AddOptions): Promise<Added[]> {
  const zoo = existsSync(folder) ? await settle(readZoo(folder)) : null;
  const first = zoo && zoo.entries.length > 0 ? await settle(readZooImage(zoo, 0, 'condition')) : null;
  const side = first?.width ?? DEFAULTS.side;
  const loaded: Loaded[] = [];
  for (const addition of additions) loaded.push(await loadOne(addition, side, options.load));
  if (loaded.length === 0) refuse(folder, 'at least one NCA to add', 'none');
  const spec = zoo?.spec ?? loaded[0].weights.spec;
  const size = loaded[0].weights.flat.length;
  for (const { weights, source } of loaded) {
    if (JSON.stringify(weights.spec) !== JSON.stringify(spec)) {
      refuse(
        source,
        `weights of the zoo's spec ${spec.name} (${JSON.stringify(spec)})`,
        JSON.stringify(weights.spec),
      );
    }
  }
  const rows = [...(zoo ? [zoo.weights] : []), ...loaded.map(({ weights }) => weights.flat)];
  const all = new Float32Array(rows.reduce((sum, row) => sum + row.length, 0));
  rows.reduce((at, row) => {
    all.set(row, at);
    return at + row.length;
  }, 0);

  const entries: ZooEntry[] = [...(zoo?.entries ?? [])];
  const layouts = zoo ? await layoutsOf(zoo) : [];
  const taken = new Set(entries.map(({ name }) => name));
  const files = fileNames([...taken, ...loaded.map(({ name }) => name)]).slice(taken.size);
  const rendering = { ...DEFAULTS, ...(zoo && renderingOf(zoo)) };
  const images: ZooImage[] = [];
  const added: Added[] = [];
  for (const [i, { weights, name: wanted, image, source }] of loaded.entries()) {
    const same = entries.findIndex((_, row) => weights.flat.every((w, d) => w === all[row * size + d]));
    if (same >= 0)
      refuse(source, `an NCA that is not in ${folder} yet`, `the weights of ${entries[same].name}`);
    const [shown] = await renderNcas(spec, weights.flat, {
      steps: rendering.steps,
      size: side,
      seed: rendering.seed,
    });
    const pictured = image ?? shown;
    // Smaller pictures than the coarse view has cells cannot be compared.
    const layout = pictured.width >= 16 ? layoutOf(pictured.data, pictured.width) : null;
    const name = freeName(wanted, taken);
    const alike = layouts.findIndex(other => layout && other && similarity(layout, other) >= ALIKE);
    const like = entries.find(({ group }) => group === groupOf(name)) ?? entries[alike] ?? null;
    const split = like?.split ?? options.split ?? 'train';
    if (options.split && like && like.split !== options.split) {
      refuse(
        source,
        `the split ${like.split} of ${like.name}, which it is a copy or variant of`,
        options.split,
      );
    }
    const paths = { image: image ? `images/${files[i]}.png` : null, rendering: `renderings/${files[i]}.png` };
    if (image) images.push({ path: paths.image!, content: image });
    images.push({ path: paths.rendering, content: shown });
    const provenance = { added: basename(source), ...options.provenance };
    entries.push({ name, split, group: like?.group ?? groupOf(name), ...paths, provenance });
    layouts.push(layout);
    taken.add(name);
    added.push({ name, split, like: like?.name ?? null });
  }
  async function* pictures(): AsyncGenerator<ZooImage> {
    if (zoo) yield* standing(zoo);
    yield* images;
  }
  const draft = {
    spec,
    entries,
    weights: all,
    base: zoo?.base ?? null,
    provenance: zoo?.manifest.provenance ?? { rendering },
  };
  await settle(writeZoo(folder, draft, pictures(), { replace: true }));
  return added;
}
