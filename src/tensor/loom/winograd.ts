/** 3 x 3 convolutions that move by one pixel, by Winograd's minimal filtering F(4 x 4, 3 x 3): see assembly/winograd.ts. */
import { allocate, kernel, parallel, release } from '../../compute/index.ts';
import type { Convolution } from './direct.ts';
import { roundUp, tileRows, withScratch } from './gemm.ts';

const PLANES = 36;
const SIDE = 4;
/** These are the kernel's: floats of a row of a transformed tile, bytes of a row with its margin, bytes between planes. */
const ROW_FLOATS = 256;
const ROW = 1088;
const SKEW = 192;
const TEMP = 640;

/** Tiles that a band takes: with them the transformed filters are used often enough while they are at hand. */
const ROWS = 48;
/** Tiles below which transforming the filters costs more than is saved. */
const FEWEST = 12;
/** Products of input and output channels above which the transformed filters take too much memory: 150 MB. */
const MOST = 2 ** 20;
/** Bands wanted at least. */
const BANDS = 4;

const tilesOf = ({ images, to: [height, width] }: Convolution) =>
  images * Math.ceil(height / SIDE) * Math.ceil(width / SIDE);

/** Does the kernel apply, and is it the faster one? It is where tiles are enough and at least half filled, and channels not few. */
export function suitsWinograd(c: Convolution): boolean {
  const { taps, stride, step, divide, from, to, images } = c;
  const plain =
    taps.every(n => n === 3) &&
    [...stride, ...divide].every(n => n === 1) &&
    (step.every(n => n === 1) || step.every(n => n === -1));
  if (!plain || from[2] < 8 || from[2] * to[2] > MOST) return false;
  const tiles = tilesOf(c);
  return tiles >= FEWEST && images * to[0] * to[1] * 2 >= tiles * SIDE * SIDE;
}

export function winograd(c: Convolution): void {
  const { x, filter, out, from, to, step, offset, bias = 0, relu = false } = c;
  const [height, width, channels] = from;
  const [outHeight, outWidth, n] = to;
  const [tilesY, tilesX] = [Math.ceil(outHeight / SIDE), Math.ceil(outWidth / SIDE)];
  const tiles = tilesOf(c);
  const blocks = Math.ceil(channels / ROW_FLOATS);
  const kc = blocks === 1 ? channels : roundUp(Math.ceil(channels / blocks), 4);
  const n8 = roundUp(n, 8);
  const plane = n8 * channels * 4 + 64;
  const rows = Math.min(roundUp(ROWS, 2 * tileRows()), roundUp(Math.ceil(tiles / 4), 2 * tileRows()));
  // Few tiles: the columns are shared out too.
  const groups = Math.ceil(BANDS / Math.ceil(tiles / rows));
  const columns = Math.min(n8, roundUp(Math.ceil(n / groups), 64));
  const scratch = TEMP + PLANES * (4 * channels + rows * (ROW * blocks + columns * 4) + SKEW * (blocks + 1));
  // Where the taps go backwards, the filter is read from its last one and the pictures begin two pixels earlier.
  const back = step[0] < 0;
  const tap = back ? -channels * n : channels * n;
  const first = back ? filter + 8 * channels * n * 4 : filter;
  const pad = offset.map(o => (back ? 2 - o : -o));
  const u = allocate(PLANES * plane);
  try {
    const each = Math.max(1, Math.ceil(2048 / channels), Math.ceil(n8 / 8 / 16));
    withScratch(TEMP, (s, stride) =>
      parallel(
        kernel('winogradFilter'),
        Math.ceil(n8 / 8 / each),
        first,
        u,
        channels,
        n,
        tap,
        kc,
        plane,
        each,
        s,
        stride,
      ),
    );
    withScratch(scratch, (s, stride) =>
      parallel(
        kernel('winograd'),
        Math.ceil(tiles / rows) * Math.ceil(n / columns),
        x,
        height,
        width,
        channels,
        u,
        plane,
        out,
        outHeight,
        outWidth,
        n,
        tilesY,
        tilesX,
        tiles,
        ...pad,
        kc,
        rows,
        columns,
        bias,
        relu ? 1 : 0,
        s,
        stride,
      ),
    );
  } finally {
    release(u);
  }
}
