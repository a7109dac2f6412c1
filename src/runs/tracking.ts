/**
 * Tracking a run: metrics.jsonl, one JSON record a line, and TensorBoard event files beside it, with scalars and images.
 *
 * An event file is a sequence of records: length (uint64), masked CRC-32C of the length, an Event protocol buffer, masked CRC-32C of it
 * (tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto).
 */
import { appendFileSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { failure, systemError, UserError } from '../config/index.ts';
import { writeAtomicallyNow } from '../formats/index.ts';
import { checkThere } from './run-folder.ts';

/** Where the metrics and pictures of a training go. Close it. */
export interface Tracker {
  /** One record for metrics.jsonl; its numbers are scalars in TensorBoard, nested ones by `a/b`. */
  log(step: number, record: Readonly<Record<string, unknown>>): void;
  /** A picture for TensorBoard. */
  image(
    step: number,
    tag: string,
    png: Uint8Array,
    size: { readonly width: number; readonly height: number },
  ): void;
  close(): void;
}

/** The file of metrics in a run folder, one JSON record a line. */
export const METRICS = 'metrics.jsonl';

/**
 * Opens the tracking of a run folder. A resumed run says after which step it goes on: what was logged beyond is dropped from
 * metrics.jsonl and marked for TensorBoard to forget.
 *
 * @throws UserError when the folder cannot be written
 */
export function track(folder: string, options: { readonly resumedAt?: number } = {}): Tracker {
  try {
    mkdirSync(folder, { recursive: true });
    const metrics = join(folder, METRICS);
    if (options.resumedAt !== undefined && existsSync(metrics)) dropAfter(metrics, options.resumedAt);
    const events = openEvents(folder);
    if (options.resumedAt !== undefined) events.write(sessionStart(options.resumedAt + 1));
    return {
      log(step, record) {
        checkThere(folder);
        try {
          appendFileSync(metrics, `${JSON.stringify({ step, time: new Date().toISOString(), ...record })}\n`);
        } catch (error) {
          throw systemError(metrics, error);
        }
        const values = scalars(record);
        if (values.length > 0)
          events.write(event(step, summary(values.map(([tag, x]) => scalarValue(tag, x)))));
      },
      image: (step, tag, png, size) => events.write(event(step, summary([imageValue(tag, png, size)]))),
      close: events.close,
    };
  } catch (error) {
    throw systemError(folder, error);
  }
}

/** The records of a run, oldest first; a last line that a killed process left unfinished is passed over. */
export function readMetrics(folder: string): Record<string, unknown>[] {
  const path = join(folder, METRICS);
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.flatMap((line, i) => {
    if (line === '') return [];
    try {
      const record: unknown = JSON.parse(line);
      if (typeof record !== 'object' || record === null) throw new TypeError('no record');
      return [record as Record<string, unknown>];
    } catch {
      if (i >= lines.length - 2) return [];
      throw new UserError(
        failure(path, 'a JSON record on every line', 'something else', { field: `line ${i + 1}` }),
      );
    }
  });
}

function dropAfter(path: string, step: number): void {
  const kept = readMetrics(join(path, '..')).filter(record => !(Number(record.step) > step));
  writeAtomicallyNow(path, kept.map(record => `${JSON.stringify(record)}\n`).join(''));
}

/** Numbers of a record by tag; nested records joined with a slash. */
function scalars(record: Readonly<Record<string, unknown>>, prefix = ''): [tag: string, value: number][] {
  return Object.entries(record).flatMap(([key, value]): [string, number][] => {
    if (typeof value === 'number') return [[prefix + key, value]];
    const nested = typeof value === 'object' && value !== null && !Array.isArray(value);
    return nested ? scalars(value as Record<string, unknown>, `${prefix}${key}/`) : [];
  });
}

let files = 0;

function openEvents(folder: string) {
  const seconds = String(Math.floor(Date.now() / 1000)).padStart(10, '0');
  const path = join(folder, `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.${files++}`);
  const file = openSync(path, 'a');
  const write = (payload: Buffer) => {
    try {
      writeSync(file, frame(payload));
    } catch (error) {
      throw systemError(path, error);
    }
  };
  write(Buffer.concat([double(1, Date.now() / 1000), bytes(3, Buffer.from('brain.Event:2'))]));
  return { write, close: () => closeSync(file) };
}

function frame(payload: Buffer): Buffer {
  const header = Buffer.alloc(12);
  header.writeBigUInt64LE(BigInt(payload.length));
  header.writeUInt32LE(maskedCrc(header.subarray(0, 8)), 8);
  const footer = Buffer.alloc(4);
  footer.writeUInt32LE(maskedCrc(payload));
  return Buffer.concat([header, payload, footer]);
}

// Event: wall_time = 1 (double), step = 2, file_version = 3, summary = 5, session_log = 7 {status = 1: START is 1}.
const event = (step: number, content: Buffer) =>
  Buffer.concat([double(1, Date.now() / 1000), integer(2, step), bytes(5, content)]);
const sessionStart = (step: number) =>
  Buffer.concat([double(1, Date.now() / 1000), integer(2, step), bytes(7, integer(1, 1))]);
// Summary: value = 1 {tag = 1, simple_value = 2 (float), image = 4 {height = 1, width = 2, colorspace = 3, encoded = 4}}.
const summary = (values: readonly Buffer[]) => Buffer.concat(values.map(value => bytes(1, value)));
const scalarValue = (tag: string, value: number) =>
  Buffer.concat([bytes(1, Buffer.from(tag)), float(2, value)]);
const imageValue = (tag: string, png: Uint8Array, { width, height }: { width: number; height: number }) =>
  Buffer.concat([
    bytes(1, Buffer.from(tag)),
    bytes(4, Buffer.concat([integer(1, height), integer(2, width), integer(3, 3), bytes(4, png)])),
  ]);

// Protocol buffers: a field is its key (number and wire type) and its value.
const varint = (value: number): Buffer => {
  const out: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) | 128);
  return Buffer.from([...out, rest]);
};
const integer = (field: number, value: number) => Buffer.concat([varint(field * 8), varint(value)]);
const bytes = (field: number, content: Uint8Array) =>
  Buffer.concat([varint(field * 8 + 2), varint(content.length), content]);
const double = (field: number, value: number) => {
  const out = Buffer.alloc(8);
  out.writeDoubleLE(value);
  return Buffer.concat([varint(field * 8 + 1), out]);
};
const float = (field: number, value: number) => {
  const out = Buffer.alloc(4);
  out.writeFloatLE(value);
  return Buffer.concat([varint(field * 8 + 5), out]);
};

/** CRC-32C (Castagnoli), byte by byte. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

function maskedCrc(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  crc = ~crc >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
