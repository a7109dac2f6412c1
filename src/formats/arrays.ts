/** N-dimensional arrays as files hold them: a shape and numbers in row-major order. */

/** The typed arrays that files are read into and written from. */
export type NumericArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array;

/** An array of any rank as files hold it: shape and numbers. */
export interface NdArray<Data = NumericArray> {
  readonly shape: readonly number[];
  /** Row-major. 64-bit integers come as Float64Array (exact up to 2^53), half precision as Float32Array, booleans as Uint8Array. */
  readonly data: Data;
}

/** How many elements a shape has; 1 for a scalar, []. */
export const sizeOf = (shape: readonly number[]) =>
  shape.includes(0) ? 0 : shape.reduce((a, b) => a * b, 1);

/** More axes than any array of the formats here has: NumPy and PyTorch stop at 64. */
export const MAX_RANK = 64;

/** "96x48", or "a scalar". */
export const shapeText = (shape: readonly number[]) => (shape.length === 0 ? 'a scalar' : shape.join('x'));

/** What an element type of any of our file formats is, by one name for all of them. */
export type ElementType =
  | 'f16'
  | 'bf16'
  | 'f32'
  | 'f64'
  | 'i8'
  | 'i16'
  | 'i32'
  | 'i64'
  | 'u8'
  | 'u16'
  | 'u32'
  | 'u64'
  | 'bool';

export const BYTES: Record<ElementType, number> = {
  f16: 2,
  bf16: 2,
  f32: 4,
  f64: 8,
  i8: 1,
  i16: 2,
  i32: 4,
  i64: 8,
  u8: 1,
  u16: 2,
  u32: 4,
  u64: 8,
  bool: 1,
};

/** The bytes of an array, without a copy. */
export const bytesOf = (data: ArrayBufferView) =>
  new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);

/** IEEE half precision to a number. */
function half(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size =
    exponent === 0
      ? fraction * 2 ** -24
      : exponent === 31
        ? fraction
          ? Number.NaN
          : Number.POSITIVE_INFINITY
        : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -size : size;
}

/** bfloat16 is the upper half of float32. */
const bfloat = (() => {
  const word = new Uint32Array(1);
  const value = new Float32Array(word.buffer);
  return (bits: number) => {
    word[0] = bits << 16;
    return value[0];
  };
})();

type Words = NumericArray | BigInt64Array | BigUint64Array;
type Constructor<A> = {
  new (length: number): A;
  new (buffer: ArrayBufferLike, at: number, length: number): A;
};

/** How the numbers of a type lie in a file, and what becomes of each where JavaScript has no array of that type. */
interface Decoding {
  readonly words: Constructor<Words>;
  readonly to?: { readonly array: Constructor<NumericArray>; readonly value: (word: never) => number };
}

const DECODINGS: Record<ElementType, Decoding> = {
  f16: { words: Uint16Array, to: { array: Float32Array, value: half } },
  bf16: { words: Uint16Array, to: { array: Float32Array, value: bfloat } },
  f32: { words: Float32Array },
  f64: { words: Float64Array },
  i8: { words: Int8Array },
  i16: { words: Int16Array },
  i32: { words: Int32Array },
  i64: { words: BigInt64Array, to: { array: Float64Array, value: Number } },
  u8: { words: Uint8Array },
  u16: { words: Uint16Array },
  u32: { words: Uint32Array },
  u64: { words: BigUint64Array, to: { array: Float64Array, value: Number } },
  bool: { words: Uint8Array },
};

/** Bytes of one number of a type once it is decoded: half precision doubles. */
export const decodedBytes = (type: ElementType): number =>
  BYTES[type] * (DECODINGS[type].to?.array === Float32Array ? 2 : 1);

/** Which of some numbers an array is made of, and in what order. Offset and strides count numbers, not bytes. */
export interface StridedView {
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
}

/** Strides of an array whose last axis is the densest. */
export const rowMajor = (shape: readonly number[]): number[] =>
  shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));

/** Strides of an array whose first axis is the densest (Fortran order). */
export const columnMajor = (shape: readonly number[]): number[] =>
  shape.map((_, axis) => sizeOf(shape.slice(0, axis)));

/** The axes that matter: those of one element left out, neighbours that lie as one joined. At most log2(size) remain. */
function joinedAxes({ shape, strides }: StridedView): { length: number; stride: number }[] {
  const axes: { length: number; stride: number }[] = [];
  for (const [axis, length] of shape.entries()) {
    if (length === 1) continue;
    const outer = axes.at(-1);
    if (outer && outer.stride === strides[axis] * length) {
      outer.length *= length;
      outer.stride = strides[axis];
    } else axes.push({ length, stride: strides[axis] });
  }
  return axes;
}

/** Whether a view takes its numbers one after the other. */
export function isDense(view: StridedView): boolean {
  const axes = joinedAxes(view);
  return axes.length === 0 || (axes.length === 1 && axes[0].stride === 1);
}

/** The bytes as numbers of their own width in this machine's order: in place where they lie aligned. */
function wordsOf(bytes: Uint8Array, type: ElementType, bigEndian: boolean): Words {
  const width = BYTES[type];
  const aligned = bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes);
  if (bigEndian && width > 1) {
    const swapped = Buffer.from(aligned.buffer, aligned.byteOffset, aligned.length);
    if (width === 2) swapped.swap16();
    else if (width === 4) swapped.swap32();
    else swapped.swap64();
  }
  return new DECODINGS[type].words(aligned.buffer, aligned.byteOffset, Math.floor(bytes.length / width));
}

/**
 * Numbers of a file, decoded. The bytes are given away: where nothing has to be converted or moved, the result lies on them. One pass and no
 * second copy, so that memory is the bytes and the result at most. `bytes` must hold all that `view` (default: everything) takes.
 */
export function decodeElements(
  bytes: Uint8Array,
  type: ElementType,
  { bigEndian = false, view }: { bigEndian?: boolean; view?: StridedView } = {},
): NumericArray {
  const all = wordsOf(bytes, type, bigEndian);
  const count = view ? sizeOf(view.shape) : all.length;
  const { to } = DECODINGS[type];
  const dense = !view || isDense(view);
  const words = dense ? all.subarray(view?.offset ?? 0, (view?.offset ?? 0) + count) : all;
  if (dense && !to) return words as NumericArray;
  const out = new (to?.array ?? (DECODINGS[type].words as Constructor<NumericArray>))(count);
  const value = (to?.value ?? ((word: number) => word)) as (word: unknown) => number;
  if (dense) {
    for (let i = 0; i < count; i++) out[i] = value(words[i]);
    return out;
  }
  const axes = joinedAxes(view!);
  const index = new Array<number>(axes.length).fill(0);
  let at = view!.offset;
  for (let i = 0; i < count; i++) {
    out[i] = value(words[at]);
    for (let axis = axes.length - 1; axis >= 0; axis--) {
      const { length, stride } = axes[axis];
      at += stride;
      if (++index[axis] < length) break;
      at -= length * stride;
      index[axis] = 0;
    }
  }
  return out;
}

/** The element type an array is written as. */
export function elementType(data: NumericArray | BigInt64Array): ElementType {
  if (data instanceof BigInt64Array) return 'i64';
  if (data instanceof Float32Array) return 'f32';
  if (data instanceof Float64Array) return 'f64';
  if (data instanceof Int8Array) return 'i8';
  if (data instanceof Uint8Array) return 'u8';
  if (data instanceof Int16Array) return 'i16';
  if (data instanceof Uint16Array) return 'u16';
  if (data instanceof Int32Array) return 'i32';
  return 'u32';
}
