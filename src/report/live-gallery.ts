/** A gallery that lives: a click on a tile grows that NCA in its place. Kernels and weights are in the page, which stays one file. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureKernels, wasmPath } from '../compute/build.mjs';
import type { MethodResult } from '../evaluation/index.ts';
import { type NcaSpec, weightCount } from '../nca/index.ts';
import { ensureProgram } from './browser.mjs';
import { galleryCell } from './gallery.ts';
import { type Html, html, raw } from './html.ts';

/** The NCA kernels that every browser with WebAssembly SIMD runs. */
const KERNELS = 'src/nca/kernel/assembly';
/** Most bytes of weights in a page, as they stand there. */
const MOST_BYTES = 1_250_000;

/** What the script of a report is told of the NCAs in its gallery: see live/main.ts. */
export interface LiveNcas {
  readonly spec: NcaSpec;
  /** Side of the grid, and steps to the picture in the gallery. */
  readonly size: number;
  readonly steps: number;
  /** Mask seed of every row. */
  readonly seeds: readonly number[];
  /** Different weights, one after the other: float32, little-endian, in base64. */
  readonly weights: string;
  /** [rows][methods] which of the weights. */
  readonly places: readonly (readonly number[])[];
}

/** What the NCAs of a gallery need to grow. */
export interface LiveGallery {
  readonly spec: NcaSpec;
  readonly names: readonly string[];
  readonly results: readonly MethodResult[];
  readonly size: number;
  readonly steps: number;
  /** [M] */
  readonly seeds: readonly number[];
  /** Whether the gallery has captions. */
  readonly captions?: boolean;
}

/** The tiles of a `comparisonGallery` as buttons to lie on it, and the NCAs behind them: of as many rows as a page should hold. */
export function liveTiles({ spec, names, results, size, steps, seeds, captions }: LiveGallery): {
  readonly live: LiveNcas;
  readonly over: Html;
} {
  const length = weightCount(spec);
  const known = new Map<string, number>();
  const kept: Buffer[] = [];
  const places: number[][] = [];
  for (const row of names.keys()) {
    const found = results.map(({ weights }) =>
      Buffer.from(Float32Array.from(weights.subarray(row * length, (row + 1) * length)).buffer),
    );
    const fresh = found.filter(bytes => !known.has(bytes.toString('base64')));
    if (((kept.length + fresh.length) * length * 4 * 4) / 3 > MOST_BYTES) break;
    places.push(
      found.map(bytes => {
        const key = bytes.toString('base64');
        const place = known.get(key) ?? kept.push(bytes) - 1;
        known.set(key, place);
        return place;
      }),
    );
  }
  const percent = (part: number, whole: number) => `${((100 * part) / whole).toFixed(4)}%`;
  const over = html`${places.map((methods, row) =>
    methods.map((_, method) => {
      const cell = galleryCell(names.length, results.length + 1, row, method + 1, { captions });
      const place = `left:${percent(cell.left, cell.width)};top:${percent(cell.top, cell.height)};width:${percent(cell.side, cell.width)};height:${percent(cell.side, cell.height)}`;
      return html`<button class="live" data-row="${row}" data-method="${method}" style="${place}" title="grow it: ${names[row]}, ${results[method].name}" aria-label="grow ${names[row]}, ${results[method].name}"></button>`;
    }),
  )}`;
  return {
    live: {
      spec,
      size,
      steps,
      seeds: seeds.slice(0, places.length),
      weights: Buffer.concat(kept).toString('base64'),
      places,
    },
    over,
  };
}

/** Data for the script, as the page holds it: JSON that no markup can end. */
const dataBlock = (id: string, value: unknown): Html =>
  html`<script type="application/json" id="${id}">${raw(JSON.stringify(value).replaceAll('<', '\\u003c'))}</script>`;

/** The script of a report, and what it is told. Null where it cannot be built: the page is then as it is without scripts. */
export async function reportProgram(
  live?: LiveNcas,
): Promise<{ readonly script: string; readonly data: Html | null } | null> {
  try {
    const script = readFileSync(join(await ensureProgram('report'), 'main.js'), 'utf8');
    if (!live) return { script, data: null };
    await ensureKernels(['simd']);
    const kernel = readFileSync(wasmPath(KERNELS, 'simd')).toString('base64');
    return { script, data: dataBlock('live', { ...live, kernel }) };
  } catch (error) {
    console.error(`the report goes without its script: ${(error as Error).message.split('\n')[0]}`);
    return null;
  }
}
