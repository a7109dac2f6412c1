// 3 x 3 convolutions by minimal filtering (Winograd 1980; Lavin and Gray 2016, arXiv 1509.09308), F(4 x 4, 3 x 3): a tile of 6 x 6 pixels
// of the picture gives 4 x 4 of the output, Y = A^T [sum over channels of (G g G^T) * (B^T d B)] A, so 36 products in place of 144.
//
// The transforms evaluate polynomials at 0, +-5/8, +-3/2 and infinity. All numbers of B and A are exact in float32, and errors are a
// quarter of those at 0, +-1, +-2 and infinity, the points of the paper.
import { MR2, multiplyRows, ROW } from "./tile";
import { at, madd, put, splat } from "./vector";

const A1: f32 = 0.625;
const A2: f32 = A1 * A1;
const A3: f32 = A1 * A2;
const B1: f32 = 1.5;
const B2: f32 = B1 * B1;
const B3: f32 = B1 * B2;

/** Points along one axis. */
const POINTS: i32 = 6;
const PLANES: i32 = 36;
/** Pixels of the output along one axis of a tile. */
const SIDE: i32 = 4;
/** Room for a half-transformed tile. */
const TEMP: usize = 640;
/** Added to the bytes of a plane, that the same place of all planes is not in one set of the caches. */
const SKEW: usize = 192;

/** G g: three taps to six points. */
// @ts-ignore: decorator
@inline
function filterLine(g0: v128, g1: v128, g2: v128, to: usize, step: usize): void {
  const scaleA: f32 = 1 / (2 * A2 * (A2 - B2)), scaleB: f32 = 1 / (2 * B2 * (B2 - A2));
  v128.store(to, f32x4.mul(g0, splat(1 / (A2 * B2))));
  let even = f32x4.mul(madd(g2, splat(A2), g0), splat(scaleA));
  v128.store(to + step, madd(g1, splat(A1 * scaleA), even));
  v128.store(to + 2 * step, madd(g1, splat(-A1 * scaleA), even));
  even = f32x4.mul(madd(g2, splat(B2), g0), splat(scaleB));
  v128.store(to + 3 * step, madd(g1, splat(B1 * scaleB), even));
  v128.store(to + 4 * step, madd(g1, splat(-B1 * scaleB), even));
  v128.store(to + 5 * step, g2);
}

/** B^T d: six pixels to six points. */
// @ts-ignore: decorator
@inline
function inputLine(d0: v128, d1: v128, d2: v128, d3: v128, d4: v128, d5: v128, to: usize, step: usize): void {
  v128.store(to, madd(d2, splat(-A2 - B2), madd(d0, splat(A2 * B2), d4)));
  let even = madd(d2, splat(-B2), d4), odd = madd(d1, splat(-B2), d3);
  v128.store(to + step, madd(odd, splat(A1), even));
  v128.store(to + 2 * step, madd(odd, splat(-A1), even));
  even = madd(d2, splat(-A2), d4);
  odd = madd(d1, splat(-A2), d3);
  v128.store(to + 3 * step, madd(odd, splat(B1), even));
  v128.store(to + 4 * step, madd(odd, splat(-B1), even));
  v128.store(to + 5 * step, madd(d3, splat(-A2 - B2), madd(d1, splat(A2 * B2), d5)));
}

/**
 * Transforms filters [9, channels, n], `tap` floats from tap to tap, for `winograd`: 36 planes, `plane` bytes apart, each a right side packed in
 * panels [depth][8] for blocks of kc channels. A band takes `each` panels.
 */
export function winogradFilter(
  band: i32, thread: i32, filter: usize, u: usize, channels: i32, n: i32, tap: i32, kc: i32, plane: usize, each: i32, scratch: usize, stride: i32,
): void {
  const temp = scratch + <usize>thread * <usize>stride;
  const n8 = (n + 7) / 8 * 8;
  const end = min(n8, (band + 1) * each * 8);
  const next = <usize>tap << 2;
  for (let j = band * each * 8; j < end; j += 8) {
    for (let c = 0; c < channels; c++) {
      const k0 = c / kc * kc;
      const depth = min(kc, channels - k0);
      const p = filter + (<usize>(c * n) << 2);
      const to = u + (<usize>(k0 * n8 + j * depth + (c - k0) * 8) << 2);
      for (let half = 0; half < 8; half += 4) {
        const i = min(j + half, n - 1);
        for (let x = 0; x < 3; x++) {
          const q = p + <usize>x * next;
          filterLine(at(q, i, n), at(q + 3 * next, i, n), at(q + 6 * next, i, n), temp + (<usize>x << 4), 48);
        }
        let target = to + (<usize>half << 2);
        for (let y = 0; y < POINTS; y++) {
          const q = temp + <usize>(y * 48);
          filterLine(v128.load(q), v128.load(q, 16), v128.load(q, 32), target, plane);
          target += <usize>POINTS * plane;
        }
      }
    }
  }
}

/** B^T d B of four channels of a tile that begins at d, its lines `line` bytes apart and its pixels `pixel`; `count` of the channels are there. */
// @ts-ignore: decorator
@inline
function inputTile(d: usize, line: usize, pixel: usize, count: i32, temp: usize, to: usize, plane: usize): void {
  for (let x = 0; x < POINTS; x++) {
    inputLine(
      at(d, 0, count), at(d + line, 0, count), at(d + 2 * line, 0, count), at(d + 3 * line, 0, count), at(d + 4 * line, 0, count),
      at(d + 5 * line, 0, count), temp + (<usize>x << 4), 96,
    );
    d += pixel;
  }
  for (let y = 0; y < POINTS; y++) {
    const s = temp + <usize>(y * 96);
    inputLine(v128.load(s), v128.load(s, 16), v128.load(s, 32), v128.load(s, 48), v128.load(s, 64), v128.load(s, 80), to, plane);
    to += <usize>POINTS * plane;
  }
}

/** B^T d B of `channels` channels of a tile, to rows of 36 planes. */
function transformInput(d: usize, line: usize, pixel: usize, channels: i32, temp: usize, to: usize, plane: usize): void {
  let c = 0;
  for (; c + 4 <= channels; c += 4) inputTile(d + (<usize>c << 2), line, pixel, 4, temp, to + (<usize>c << 2), plane);
  if (c < channels) inputTile(d + (<usize>c << 2), line, pixel, channels - c, temp, to + (<usize>c << 2), plane);
}

/** Copies the tile at (top, left) of a picture, zeros where it lies outside, to [6, 6, channels]. */
function cutTile(x: usize, height: i32, width: i32, top: i32, left: i32, pixel: usize, to: usize): void {
  for (let i = 0; i < POINTS; i++) {
    const y = top + i;
    for (let j = 0; j < POINTS; j++) {
      const z = left + j;
      if (y >= 0 && z >= 0 && y < height && z < width) memory.copy(to, x + <usize>(y * width + z) * pixel, pixel);
      else memory.fill(to, 0, pixel);
      to += pixel;
    }
  }
}

/** A^T m: six points to four pixels. */
// @ts-ignore: decorator
@inline
function outputLine(m: usize, from: usize, to: usize, step: usize): void {
  const m0 = v128.load(m), m1 = v128.load(m + from), m2 = v128.load(m + 2 * from), m3 = v128.load(m + 3 * from);
  const m4 = v128.load(m + 4 * from), m5 = v128.load(m + 5 * from);
  const s = f32x4.add(m1, m2), d = f32x4.sub(m1, m2), t = f32x4.add(m3, m4), e = f32x4.sub(m3, m4);
  v128.store(to, f32x4.add(m0, f32x4.add(s, t)));
  v128.store(to + step, madd(e, splat(B1), f32x4.mul(d, splat(A1))));
  v128.store(to + 2 * step, madd(t, splat(B2), f32x4.mul(s, splat(A2))));
  v128.store(to + 3 * step, madd(e, splat(B3), madd(d, splat(A3), m5)));
}

/** A^T m A + shift of four columns of a tile, not below `least`; `rows` x `across` pixels of it lie inside the picture. */
// @ts-ignore: decorator
@inline
function outputTile(
  m: usize, plane: usize, temp: usize, out: usize, rows: i32, across: i32, line: usize, pixel: usize, count: i32, shift: v128, least: v128,
): void {
  for (let x = 0; x < POINTS; x++) outputLine(m + <usize>x * plane, <usize>POINTS * plane, temp + (<usize>x << 4), 96);
  for (let y = 0; y < rows; y++) {
    const s = temp + <usize>(y * 96);
    outputLine(s, 16, s, 16);
    let to = out;
    for (let x = 0; x < across; x++) {
      put(to, 0, count, f32x4.pmax(f32x4.add(v128.load(s + (<usize>x << 4)), shift), least));
      to += pixel;
    }
    out += line;
  }
}

function transformOutput(
  m: usize, plane: usize, temp: usize, out: usize, rows: i32, across: i32, line: usize, pixel: usize, columns: i32, bias: usize, relu: bool,
): void {
  const least = splat(relu ? 0 : f32.NEGATIVE_INFINITY);
  for (let c = 0; c < columns; c += 4) {
    const o = <usize>c << 2;
    const left = columns - c;
    const shift = bias == 0 ? splat(0) : at(bias, c, columns);
    if (left < 4) outputTile(m + o, plane, temp, out + o, rows, across, line, pixel, left, shift, least);
    else if (rows == SIDE && across == SIDE) outputTile(m + o, plane, temp, out + o, SIDE, SIDE, line, pixel, 4, shift, least);
    else outputTile(m + o, plane, temp, out + o, rows, across, line, pixel, 4, shift, least);
  }
}

/**
 * The convolution, by one pixel a step, of pictures [., height, width, channels] with filters that winogradFilter has transformed. Output tiles are
 * numbered through all pictures, tilesY * tilesX of each. A band takes `rows` tiles and `columns` of the output's n, a multiple of 8; blocks
 * of columns are the fastest. Scratch in bytes: TEMP, a tile of 36 pixels, and 36 planes of `rows` rows (up to a multiple of MR2) for each block of
 * kc channels and for the products, each with SKEW.
 */
export function winograd(
  band: i32, thread: i32, x: usize, height: i32, width: i32, channels: i32, u: usize, plane: usize,
  out: usize, outHeight: i32, outWidth: i32, n: i32, tilesY: i32, tilesX: i32, tiles: i32, padY: i32, padX: i32,
  kc: i32, rows: i32, columns: i32, bias: usize, relu: i32, scratch: usize, stride: i32,
): void {
  const temp = scratch + <usize>thread * <usize>stride;
  const pixel = <usize>channels << 2;
  const patch = temp + TEMP;
  const n8 = (n + 7) / 8 * 8;
  const groups = (n + columns - 1) / columns;
  const first = band / groups * rows;
  const count = min(rows, tiles - first);
  const m = (count + MR2 - 1) / MR2 * MR2;
  const high = (rows + MR2 - 1) / MR2 * MR2;
  const vPlane = <usize>high * ROW + SKEW;
  const mPlane = (<usize>(high * columns) << 2) + SKEW;
  const blocks = (channels + kc - 1) / kc;
  const v = patch + <usize>PLANES * pixel;
  const products = v + <usize>(blocks * PLANES) * vPlane;
  for (let t = 0; t < count; t++) {
    const tile = first + t;
    const image = tile / (tilesY * tilesX);
    const rest = tile - image * tilesY * tilesX;
    const top = rest / tilesX * SIDE - padY;
    const left = rest % tilesX * SIDE - padX;
    const picture = x + <usize>(image * height * width) * pixel;
    const inside = top >= 0 && left >= 0 && top + POINTS <= height && left + POINTS <= width;
    if (!inside) cutTile(picture, height, width, top, left, pixel, patch);
    const d = inside ? picture + <usize>(top * width + left) * pixel : patch;
    const line = <usize>(inside ? width : POINTS) * pixel;
    for (let b = 0; b < blocks; b++) {
      const k0 = b * kc;
      transformInput(
        d + (<usize>k0 << 2), line, pixel, min(kc, channels - k0), temp, v + <usize>(b * PLANES) * vPlane + <usize>t * ROW, vPlane,
      );
    }
  }
  const j = band % groups * columns;
  const width8 = min(columns, n8 - j);
  for (let p = 0; p < PLANES; p++) {
    for (let b = 0; b < blocks; b++) {
      const k0 = b * kc;
      const depth = min(kc, channels - k0);
      multiplyRows(
        v + <usize>(b * PLANES + p) * vPlane, u + <usize>p * plane + (<usize>(k0 * n8 + j * depth) << 2),
        products + <usize>p * mPlane, columns, m, width8, depth, b > 0,
      );
    }
  }
  for (let t = 0; t < count; t++) {
    const tile = first + t;
    const image = tile / (tilesY * tilesX);
    const rest = tile - image * tilesY * tilesX;
    const y = rest / tilesX * SIDE;
    const z = rest % tilesX * SIDE;
    transformOutput(
      products + (<usize>(t * columns) << 2), mPlane, temp, out + (<usize>(((image * outHeight + y) * outWidth + z) * n + j) << 2),
      min(SIDE, outHeight - y), min(SIDE, outWidth - z), <usize>(outWidth * n) << 2, <usize>n << 2, min(width8, n - j),
      bias == 0 ? 0 : bias + (<usize>j << 2), relu != 0,
    );
  }
}
