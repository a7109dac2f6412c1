/**
 * How the kernels of one kind of NCA are cut: cells of a tile, threads, cells of a region, and where the packed weights lie. Sizes for cards were
 * measured on an H200 (bench/README.md); a device with less workgroup memory gets smaller tiles.
 */
import type { NcaSizes } from '../layout.ts';

/** What of a spec the kernels are made from. */
export interface KernelSpec extends NcaSizes {
  readonly filterScale: number;
  readonly clip: {
    readonly perception: number | null;
    readonly hidden: number | null;
    readonly update: number | null;
    readonly state: number | null;
  };
}

/** Limits of a device that decide. */
export interface KernelLimits {
  readonly workgroupMemory: number;
  readonly maxInvocations: number;
}

/** A torus of cells. */
export interface Torus {
  readonly height: number;
  readonly width: number;
}

const roundUp = (x: number, to: number) => Math.ceil(x / to) * to;

/** Sizes padded for vectors of four, and offsets of the packed weights in floats: w1 and w2 twice, as each product wants them. */
export interface PackedLayout {
  readonly channels: number;
  readonly hidden: number;
  readonly inputs: number;
  readonly w1Columns: number;
  readonly b1: number;
  readonly w2Columns: number;
  readonly w1: number;
  readonly w2: number;
  readonly b2: number;
  readonly length: number;
}

export function packedLayout(spec: NcaSizes): PackedLayout {
  const channels = roundUp(spec.channels, 4);
  const hidden = roundUp(spec.hidden, 8);
  const inputs = 4 * channels;
  const b1 = inputs * hidden;
  const w2Columns = b1 + hidden;
  const w1 = w2Columns + hidden * channels;
  const w2 = w1 + hidden * inputs;
  const b2 = w2 + channels * hidden;
  return { channels, hidden, inputs, w1Columns: 0, b1, w2Columns, w1, w2, b2, length: b2 + channels };
}

/** Cells that a thread takes in a product: one vector. */
export const TILE = 4;

/** How one kernel is cut. */
export interface Cut {
  /** Cells of a tile, and vectors from one of its rows to the next. */
  readonly cells: number;
  readonly stride: number;
  readonly threads: number;
  /** Mask words of a region: what one workgroup takes, 32 cells a word. */
  readonly words: number;
}

/** Words of 32 cells in a row, and in a picture. */
export const wordsOf = ({ height, width }: Torus) => {
  const row = Math.ceil(width / 32);
  return { row, all: row * height };
};

/** The first of `sizes` whose tile, of `rows` rows, fits the device; undefined when none does. */
function cut(
  layout: PackedLayout,
  limits: KernelLimits,
  rows: number,
  sizes: readonly number[],
  pad: number,
  words: number,
): Cut | undefined {
  for (const cells of sizes) {
    const stride = cells / TILE + pad;
    const threads = (layout.hidden / 8) * (cells / TILE);
    const memory = 16 * rows * stride + words * (4 * 32 + 8) + 64;
    if (threads <= Math.min(256, limits.maxInvocations) && memory <= limits.workgroupMemory) {
      return { cells, stride, threads, words };
    }
  }
  return undefined;
}

/** Sizes to try instead of those that were measured best: cells of a tile, words of a region. */
export interface CutChoice {
  readonly forward?: { readonly cells: number; readonly words: number };
  readonly backward?: { readonly cells: number; readonly words: number };
}

/** Cuts of both directions for a batch of so many cells; undefined when the NCA is too large for this device. */
export function cutsFor(
  spec: NcaSizes,
  limits: KernelLimits,
  cells: number,
  choice: CutChoice = {},
): { forward: Cut; backward: Cut } | undefined {
  const layout = packedLayout(spec);
  // Few cells: small regions, so that all multiprocessors have work.
  const large = cells >= 2 ** 18;
  const { forward: ahead, backward: back } = choice;
  const rows = Math.max(layout.inputs, layout.hidden);
  const forward = cut(
    layout,
    limits,
    rows,
    ahead ? [ahead.cells] : [32, 16, 8, 4],
    0,
    ahead?.words ?? (large ? 8 : 4),
  );
  const backward = cut(
    layout,
    limits,
    layout.inputs + layout.hidden + layout.channels,
    back ? [back.cells] : [64, 32, 16, 8, 4],
    1,
    back?.words ?? (large ? 16 : 4),
  );
  return forward && backward && { forward, backward };
}

/** Rows and columns of an outer product that a thread sums: the threads stand in a grid of `across` x `down`. */
export interface OuterTile {
  readonly down: number;
  readonly across: number;
  readonly rows: number;
  readonly columns: number;
}

/** The grid that leaves each thread the least to sum of [rows, columns], and to load. */
export function outerTile(rows: number, columns: number, threads: number): OuterTile {
  let best: OuterTile | undefined;
  const cost = (tile: OuterTile) => tile.rows * tile.columns * 4 + tile.rows + tile.columns;
  for (let down = 1; down <= Math.min(rows, threads); down++) {
    for (let across = 1; across * down <= threads && across <= columns; across++) {
      if (rows % down !== 0 || columns % across !== 0) continue;
      const tile = { down, across, rows: rows / down, columns: columns / across };
      if (!best || cost(tile) < cost(best)) best = tile;
    }
  }
  return best!;
}
