/** Matrix products by the packed-panel kernels: which of them, in which bands. Depends on shapes alone, never on threads. */
import { allocate, kernel, kernelBuild, parallel, release, threadCount } from '../../compute/index.ts';

/** A matrix in shared memory. Strides are in floats; any will do. */
export interface Matrix {
  readonly address: number;
  readonly rowStride: number;
  readonly columnStride: number;
}

/** A dense matrix of `columns` floats a row, or its transpose. */
export const rowMajor = (address: number, columns: number, transposed = false): Matrix =>
  transposed
    ? { address, rowStride: 1, columnStride: columns }
    : { address, rowStride: columns, columnStride: 1 };

/** Products that differ only in place: entry e lies at (e / inner) * outer stride + (e % inner) * inner stride, in floats. */
export interface Batch {
  readonly count: number;
  /** Entries to an outer step; 1 for a plain batch. */
  readonly inner: number;
  readonly a: readonly [outer: number, inner: number];
  readonly b: readonly [outer: number, inner: number];
  readonly c: readonly [outer: number, inner: number];
}

/** C [m, n] = A [m, k] B [k, n] + bias [n] (+ C when `accumulate`), clipped below at zero when `relu`. */
export interface Product {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: Matrix;
  readonly b: Matrix;
  readonly c: number;
  /** Floats from one row of C to the next. Default n. */
  readonly cStride?: number;
  /** Address of n floats, or 0. */
  readonly bias?: number;
  readonly relu?: boolean;
  /** Adds to C instead of replacing it. */
  readonly accumulate?: boolean;
  readonly batch?: Batch;
}

/** Bands wanted from one operation at least: enough for an even share on a few threads. */
const BANDS = 8;
/** Multiplications worth a band of their own, and the most bands: the last band to end is what the other threads wait for. */
const BAND_WORK = 4e6;
const MOST_BANDS = 32;
/** Columns of C in a band: with a block of k, their part of B fits the second-level cache. */
const BAND_COLUMNS = 256;
/** Floats of A in a block of a band at most, which fit the second-level cache, and rows at least, in register tiles. */
const BAND_A = 24 * 1024;
const MIN_TILES = 4;
/** Floats of a thread's own panels beyond which B is packed once for all. */
const MAX_PANELS = 384 * 1024;

export const roundUp = (x: number, step: number): number => Math.ceil(x / step) * step;

/** Rows of the register tile. */
export const tileRows = () => (kernelBuild() === 'simd' ? 5 : 6);

/** Length of a block of k: a panel of B of that length stays in the first-level cache. */
export const blockOf = (k: number): number => (k <= 320 ? Math.max(k, 1) : Math.ceil(k / Math.ceil(k / 256)));

/** Runs `work` with `bytes` of scratch for each thread. */
export function withScratch(bytes: number, work: (scratch: number, stride: number) => void): void {
  const stride = roundUp(bytes, 64);
  const scratch = allocate(stride * threadCount());
  try {
    work(scratch, stride);
  } finally {
    release(scratch);
  }
}

const panelsOf = (m: number, n: number, kc: number) => (roundUp(m, tileRows()) + roundUp(n, 8)) * kc;

const single: Batch = { count: 1, inner: 1, a: [0, 0], b: [0, 0], c: [0, 0] };

/** Each product by one thread, which packs for itself. `slices` of k, when given, are the entries instead of a batch. */
function small(product: Product, batch: Batch, k: number, total: number): void {
  const { m, n, a, b, c, cStride = n, bias = 0, relu = false, accumulate = false } = product;
  const kc = blockOf(k);
  const each = Math.max(1, Math.ceil(batch.count / 64), Math.floor(60_000 / (m * n * k + 1)));
  withScratch((panelsOf(m, n, kc) + 128) * 4, (scratch, stride) =>
    parallel(
      kernel('gemmBatch'),
      Math.ceil(batch.count / each),
      a.address,
      a.rowStride,
      a.columnStride,
      b.address,
      b.rowStride,
      b.columnStride,
      c,
      cStride,
      m,
      n,
      k,
      kc,
      batch.count,
      each,
      batch.inner,
      ...batch.a,
      ...batch.b,
      ...batch.c,
      total,
      accumulate ? 1 : 0,
      bias,
      relu ? 1 : 0,
      scratch,
      stride,
    ),
  );
}

/** One large product: B is packed once, then blocks of C are shared out. */
function large(product: Product): void {
  const { m, n, k, a, b, c, cStride = n, bias = 0, relu = false, accumulate = false } = product;
  const kc = blockOf(k);
  const wanted = Math.min(MOST_BANDS, Math.max(BANDS, Math.round((m * n * k) / BAND_WORK)));
  const columns = roundUp(Math.ceil(n / Math.ceil(n / BAND_COLUMNS)), 16);
  const across = Math.ceil(n / columns);
  const tiles = Math.ceil((m * across) / wanted / tileRows());
  const rows = tileRows() * Math.max(MIN_TILES, Math.min(tiles, Math.floor(BAND_A / kc / tileRows())));
  const down = Math.ceil(m / rows);
  const packed = allocate(roundUp(n, 8) * k * 4);
  try {
    const share = Math.max(8, roundUp(Math.ceil(n / BANDS), 8), roundUp(Math.ceil(8192 / k), 8));
    parallel(
      kernel('gemmPackB'),
      Math.ceil(n / share),
      b.address,
      b.rowStride,
      b.columnStride,
      k,
      n,
      kc,
      share,
      packed,
    );
    withScratch((roundUp(rows, tileRows()) * kc + 128) * 4, (scratch, stride) =>
      parallel(
        kernel('gemmBlock'),
        down * across,
        a.address,
        a.rowStride,
        a.columnStride,
        packed,
        c,
        cStride,
        m,
        n,
        k,
        kc,
        rows,
        columns,
        accumulate ? 1 : 0,
        bias,
        relu ? 1 : 0,
        scratch,
        stride,
      ),
    );
  } finally {
    release(packed);
  }
}

/** A long k and a small C: slices of k are multiplied apart and summed in order. */
function sliced(product: Product): void {
  const { m, n, k, a, b, c, bias = 0, relu = false } = product;
  const length = roundUp(Math.max(512, Math.ceil(k / 16)), 4);
  const count = Math.ceil(k / length);
  const parts = allocate(count * m * n * 4);
  try {
    small(
      { ...product, c: parts, bias: 0, relu: false },
      { ...single, count, a: [length * a.columnStride, 0], b: [length * b.rowStride, 0], c: [m * n, 0] },
      length,
      k,
    );
    const share = roundUp(Math.max(1024, Math.ceil((m * n) / BANDS)), 4);
    parallel(kernel('sumSlices'), Math.ceil((m * n) / share), parts, c, count, m * n, share);
    if (bias || relu) parallel(kernel('finishRows'), 1, c, n, m, n, bias, relu ? 1 : 0);
  } finally {
    release(parts);
  }
}

/** Computes a product, or a batch of them. C must not overlap A or B. */
export function gemm(product: Product): void {
  const { m, n, k, batch = single } = product;
  if (m === 0 || n === 0 || batch.count === 0) return;
  const fits = panelsOf(m, n, blockOf(k)) <= MAX_PANELS;
  const work = m * n * k;
  if (fits && (work <= 200_000 || (batch.count > 1 && (batch.count >= BANDS || work <= 2_000_000)))) {
    small(product, batch, k, 0);
  } else if (batch.count > 1) {
    for (let e = 0; e < batch.count; e++) {
      const at = ([outer, inner]: readonly [number, number]) =>
        4 * (Math.floor(e / batch.inner) * outer + (e % batch.inner) * inner);
      gemm({
        ...product,
        a: { ...product.a, address: product.a.address + at(batch.a) },
        b: { ...product.b, address: product.b.address + at(batch.b) },
        c: product.c + at(batch.c),
        batch: undefined,
      });
    }
  } else if (fits && k >= 2048 && m * n <= 256 * 256 && (product.cStride ?? n) === n && !product.accumulate) {
    sliced(product);
  } else {
    large(product);
  }
}
