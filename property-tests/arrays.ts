/** Arrays of every shape and type that the formats write. */
import fc from 'fast-check';
import { type NdArray, sizeOf } from '../src/formats/index.ts';

const kinds = [
  Float32Array,
  Float64Array,
  Int8Array,
  Uint8Array,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
];

export const arrays: fc.Arbitrary<NdArray> = fc
  .tuple(fc.array(fc.nat(4), { maxLength: 4 }), fc.constantFrom(...kinds), fc.nat())
  .map(([shape, Kind, seed]) => ({
    shape,
    data: new Kind(sizeOf(shape)).map((_, i) => (i * 37 + seed) % 120),
  }));
