/** What is done to valid files: to bytes, to lengths and counts, to words of text, to whole parts. Everything shrinks to fewer and smaller changes. */
import fc from 'fast-check';

export type Mutation = (bytes: Buffer, other: Buffer) => Buffer;

/** Numbers at the edges of what fields hold. */
const EDGES = [
  0n,
  1n,
  2n,
  3n,
  7n,
  8n,
  9n,
  63n,
  64n,
  65n,
  127n,
  128n,
  255n,
  256n,
  65_535n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];
const WORDS = [
  '0',
  '1',
  '-1',
  '2',
  '1.0',
  '1e3',
  '4294967296',
  '9007199254740993',
  '1e400',
  'null',
  'true',
  '""',
  '[]',
  '{}',
  'F16',
  'F64',
  'I64',
  'BF16',
  'F8_E4M3',
  '<f8',
  '>f4',
  '|u1',
  '<U2',
  '|O',
  'True',
  'False',
  '(2, 3)',
  '()',
  "'",
  '"',
  '\\u0000',
  '__proto__',
  '__metadata__',
  'data_offsets',
  'shape',
  'dtype',
  '\x1b[31m',
  ' ',
  ',',
  '{',
  '[',
  '.',
];

const place = fc.double({ min: 0, max: 1, noNaN: true });
const at = (bytes: Buffer, where: number) => Math.min(bytes.length, Math.floor(where * (bytes.length + 1)));
const spliced = (bytes: Buffer, from: number, to: number, between: Uint8Array) =>
  Buffer.concat([bytes.subarray(0, from), between, bytes.subarray(Math.max(from, to))]);

/** Places in a text where a number or word begins, so that changes hit what means something. */
function words(bytes: Buffer): { from: number; to: number }[] {
  const text = bytes.toString('latin1');
  return [...text.matchAll(/[A-Za-z0-9_<>|-]+/g)].map(({ index, 0: word }) => ({
    from: index,
    to: index + word.length,
  }));
}

export const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  // one byte
  fc.record({ where: place, value: fc.nat(255) }).map(
    ({ where, value }): Mutation =>
      bytes => {
        const copy = Buffer.from(bytes);
        if (copy.length > 0) copy[Math.min(copy.length - 1, at(copy, where))] = value;
        return copy;
      },
  ),
  // bytes put in, taken out, repeated
  fc.record({ where: place, put: fc.uint8Array({ maxLength: 12 }) }).map(
    ({ where, put }): Mutation =>
      bytes =>
        spliced(bytes, at(bytes, where), at(bytes, where), put),
  ),
  fc.record({ where: place, length: fc.integer({ min: 1, max: 40 }) }).map(
    ({ where, length }): Mutation =>
      bytes =>
        spliced(bytes, at(bytes, where), at(bytes, where) + length, Buffer.alloc(0)),
  ),
  fc
    .record({
      where: place,
      length: fc.integer({ min: 1, max: 60 }),
      times: fc.integer({ min: 1, max: 200 }),
    })
    .map(
      ({ where, length, times }): Mutation =>
        bytes => {
          const from = at(bytes, where);
          const piece = bytes.subarray(from, from + length);
          return spliced(bytes, from, from, Buffer.concat(Array.from({ length: times }, () => piece)));
        },
    ),
  // cut short, or longer
  place.map(
    (where): Mutation =>
      bytes =>
        bytes.subarray(0, at(bytes, where)),
  ),
  fc.uint8Array({ minLength: 1, maxLength: 20 }).map(
    (more): Mutation =>
      bytes =>
        Buffer.concat([bytes, more]),
  ),
  // a field of 1, 2, 4 or 8 bytes
  fc
    .record({
      where: place,
      width: fc.constantFrom(1, 2, 4, 8),
      edge: fc.constantFrom(...EDGES),
      near: fc.integer({ min: -2, max: 2 }),
      keep: fc.boolean(),
    })
    .map(
      ({ where, width, edge, near, keep }): Mutation =>
        bytes => {
          const copy = Buffer.from(bytes);
          const from = Math.min(copy.length - width, at(copy, where));
          if (from < 0) return copy;
          const old = copy.readUIntLE(from, Math.min(width, 6));
          const value = BigInt.asUintN(8 * width, (keep ? BigInt(old) : edge) + BigInt(near));
          for (let i = 0; i < width; i++) copy[from + i] = Number((value >> BigInt(8 * i)) & 255n);
          return copy;
        },
    ),
  // a word of the text
  fc.record({ which: place, word: fc.constantFrom(...WORDS) }).map(
    ({ which, word }): Mutation =>
      bytes => {
        const all = words(bytes);
        if (all.length === 0) return bytes;
        const { from, to } = all[Math.min(all.length - 1, Math.floor(which * all.length))];
        return spliced(bytes, from, to, Buffer.from(word));
      },
  ),
  // two words exchanged: names, offsets, keys
  fc.tuple(place, place).map(
    ([a, b]): Mutation =>
      bytes => {
        const all = words(bytes);
        if (all.length < 2) return bytes;
        const [i, j] = [a, b]
          .map(x => Math.min(all.length - 1, Math.floor(x * all.length)))
          .sort((x, y) => x - y);
        if (i === j) return bytes;
        const [first, second] = [all[i], all[j]];
        return Buffer.concat([
          bytes.subarray(0, first.from),
          bytes.subarray(second.from, second.to),
          bytes.subarray(first.to, second.from),
          bytes.subarray(first.from, first.to),
          bytes.subarray(second.to),
        ]);
      },
  ),
  // a piece of another file
  fc.record({ where: place, from: place, length: fc.integer({ min: 1, max: 80 }) }).map(
    ({ where, from, length }): Mutation =>
      (bytes, other) => {
        const start = at(other, from);
        return spliced(bytes, at(bytes, where), at(bytes, where), other.subarray(start, start + length));
      },
  ),
);
