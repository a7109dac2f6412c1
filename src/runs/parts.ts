/**
 * Finished parts of a run on disk: one safetensors file each, in which `json` is the result with its typed arrays taken out (those are the
 * tensors `0`, `1`, ...). Nothing in it is code, and a hash over all of it tells a damaged file.
 */
import { createHash } from 'node:crypto';
import { refuse, settle } from '../config/index.ts';
import { type NdArray, type NumericArray, readSafetensors, writeSafetensors } from '../formats/index.ts';

const ARRAYS: readonly { new (length: number): NumericArray; readonly name: string }[] = [
  Float32Array,
  Float64Array,
  Int8Array,
  Uint8Array,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
];

/** What JSON has no form for stands in an object with this key; so does an object that has the key itself. */
const TAG = '$';

/** Plain data as JSON, its typed arrays put into `arrays`. @throws Error for what is neither: a part's result is of our own making */
function toJson(value: unknown, arrays: NumericArray[]): unknown {
  if (value === undefined) return { [TAG]: 'undefined' };
  if (typeof value === 'number') {
    return Number.isFinite(value) && !Object.is(value, -0)
      ? value
      : { [TAG]: 'number', value: Object.is(value, -0) ? '-0' : String(value) };
  }
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (Array.isArray(value)) return Array.from(value, item => toJson(item, arrays));
  if (ARRAYS.some(type => value instanceof type)) {
    return { [TAG]: 'array', value: arrays.push(value as NumericArray) - 1 };
  }
  const prototype = typeof value === 'object' && Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new Error(
      `a part of a run gives plain data and typed arrays, not ${typeof value} ${String(value)}`,
    );
  }
  const fields = Object.fromEntries(
    Object.entries(value as object).map(([key, inner]) => [key, toJson(inner, arrays)]),
  );
  return Object.hasOwn(fields, TAG) ? { [TAG]: 'object', value: fields } : fields;
}

function fromJson(json: unknown, arrays: readonly NumericArray[]): unknown {
  if (typeof json !== 'object' || json === null) return json;
  if (Array.isArray(json)) return json.map(item => fromJson(item, arrays));
  const { [TAG]: tag, value } = json as Record<string, unknown>;
  if (tag === 'undefined') return undefined;
  if (tag === 'number') return Number(value);
  if (tag === 'array') return arrays[value as number];
  const fields = (tag === 'object' ? value : json) as object;
  return Object.fromEntries(Object.entries(fields).map(([key, inner]) => [key, fromJson(inner, arrays)]));
}

const bytes = ({ buffer, byteOffset, byteLength }: NumericArray) =>
  new Uint8Array(buffer, byteOffset, byteLength);

function hashOf(json: NumericArray, arrays: readonly NumericArray[]): string {
  const hash = createHash('sha256');
  for (const array of [json, ...arrays]) hash.update(`${array.length} `).update(bytes(array));
  return hash.digest('hex');
}

/** Writes plain data and typed arrays, whole or not at all. @throws UserError when the file cannot be written */
export async function writePart(path: string, value: unknown): Promise<void> {
  const arrays: NumericArray[] = [];
  const json = new Uint8Array(Buffer.from(JSON.stringify(toJson(value, arrays))));
  const flat = (data: NumericArray): NdArray => ({ shape: [data.length], data });
  const tensors = Object.fromEntries(arrays.map((array, i) => [String(i), flat(array)]));
  const metadata = { format: 'weightloom-part', sha256: hashOf(json, arrays) };
  await settle(writeSafetensors(path, { ...tensors, json: flat(json) }, metadata));
}

/** What `writePart` wrote, each value as it was. @throws UserError when the file is damaged or something else */
export async function readPart(path: string): Promise<unknown> {
  const {
    tensors: { json, ...rest },
    metadata,
  } = await settle(readSafetensors(path));
  const arrays = Object.keys(rest).map((_, i) => rest[i]?.data);
  if (!(json?.data instanceof Uint8Array) || arrays.includes(undefined as never)) {
    return refuse(path, 'a finished part of a run', 'another safetensors file');
  }
  if (hashOf(json.data, arrays) !== metadata.sha256) {
    return refuse(path, `content with SHA-256 ${String(metadata.sha256).slice(0, 12)}...`, 'another');
  }
  return fromJson(JSON.parse(Buffer.from(bytes(json.data)).toString()), arrays);
}
