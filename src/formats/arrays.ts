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
export const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

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

/** Decodes little-endian (or big-endian) elements. Copies, so the result is aligned and owns its memory. */
export function decodeElements(bytes: Uint8Array, type: ElementType, bigEndian = false): NumericArray {
  const width = BYTES[type];
  const copy = new Uint8Array(bytes);
  if (bigEndian && width > 1) {
    const words = Buffer.from(copy.buffer);
    if (width === 2) words.swap16();
    else if (width === 4) words.swap32();
    else words.swap64();
  }
  const { buffer } = copy;
  switch (type) {
    case 'f32':
      return new Float32Array(buffer);
    case 'f64':
      return new Float64Array(buffer);
    case 'i8':
      return new Int8Array(buffer);
    case 'u8':
    case 'bool':
      return copy;
    case 'i16':
      return new Int16Array(buffer);
    case 'u16':
      return new Uint16Array(buffer);
    case 'i32':
      return new Int32Array(buffer);
    case 'u32':
      return new Uint32Array(buffer);
    case 'i64':
      return Float64Array.from(new BigInt64Array(buffer), Number);
    case 'u64':
      return Float64Array.from(new BigUint64Array(buffer), Number);
    case 'f16':
      return Float32Array.from(new Uint16Array(buffer), half);
    case 'bf16': {
      const words = Uint32Array.from(new Uint16Array(buffer), word => word << 16);
      return new Float32Array(words.buffer);
    }
  }
}

/** The element type an array is written as. */
export function elementType(data: NumericArray): ElementType {
  if (data instanceof Float32Array) return 'f32';
  if (data instanceof Float64Array) return 'f64';
  if (data instanceof Int8Array) return 'i8';
  if (data instanceof Uint8Array) return 'u8';
  if (data instanceof Int16Array) return 'i16';
  if (data instanceof Uint16Array) return 'u16';
  if (data instanceof Int32Array) return 'i32';
  return 'u32';
}
