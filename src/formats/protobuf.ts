/**
 * Writing protocol buffers: fields of a message one after the other, each a tag (number and wire type) and a value.
 * https://protobuf.dev/programming-guides/encoding. Two kinds of values are all that a fixed, small message like ONNX's needs, and
 * less than a library with a schema compiler would bring.
 */

/** A whole number of up to 2^53, base 128, low digits first; negative ones as 64-bit two's complement. */
function varint(value: number): number[] {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    const low = Number(rest & 127n);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 128);
  } while (rest !== 0n);
  return bytes;
}

const VARINT = 0;
const DELIMITED = 2;

const tag = (field: number, wire: number) => varint(field * 8 + wire);

/** What a field holds; undefined leaves it out, a list repeats it. */
export type Field = Uint8Array | undefined;

export const whole = (field: number, value: number): Uint8Array =>
  Uint8Array.from([...tag(field, VARINT), ...varint(value)]);

/** Text, raw bytes or a message: all three are bytes behind their length. */
export function bytes(field: number, value: Uint8Array | string): Uint8Array {
  const data = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([Uint8Array.from([...tag(field, DELIMITED), ...varint(data.length)]), data]);
}

/** Whole numbers of one field, one behind the other without tags. */
export const packed = (field: number, values: readonly number[]): Uint8Array =>
  bytes(field, Uint8Array.from(values.flatMap(varint)));

export const message = (fields: readonly Field[]): Uint8Array =>
  Buffer.concat(fields.filter(part => part !== undefined));
