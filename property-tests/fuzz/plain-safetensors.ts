/** A plain reader of safetensors: https://github.com/huggingface/safetensors#format. See plain-arrays.ts. */
import {
  demand,
  natural,
  numberAt,
  type PlainArray,
  type PlainArrays,
  product,
  viewOf,
  widthOf,
} from './plain-arrays.ts';

/** JSON.parse that knows of names that come twice, by looking at each object's text on its own. */
function jsonWithoutTwins(text: string): unknown {
  const seen: Set<string>[] = [];
  let [expectsKey, i] = [false, 0];
  while (i < text.length) {
    const sign = text[i];
    if (sign === '"') {
      let end = i + 1;
      while (text[end] !== '"') {
        end += text[end] === '\\' ? 2 : 1;
        demand(end < text.length, 'text');
      }
      const isKey = expectsKey && /^\s*:/.test(text.slice(end + 1, end + 200));
      if (isKey) {
        const key = JSON.parse(text.slice(i, end + 1)) as string;
        demand(!seen.at(-1)!.has(key), `${key} twice`);
        seen.at(-1)!.add(key);
        expectsKey = false;
      }
      i = end + 1;
      continue;
    }
    if (sign === '{') {
      seen.push(new Set());
      expectsKey = true;
    } else if (sign === '}') {
      seen.pop();
      expectsKey = false;
    } else if (sign === ',') expectsKey = true;
    i++;
  }
  return JSON.parse(text);
}

const SAFE: Record<string, string> = {
  F64: 'f8',
  F32: 'f4',
  F16: 'f2',
  BF16: 'bf16',
  I64: 'i8',
  I32: 'i4',
  I16: 'i2',
  I8: 'i1',
  U64: 'u8',
  U32: 'u4',
  U16: 'u2',
  U8: 'u1',
  BOOL: 'b1',
};

export function plainSafetensors(bytes: Uint8Array): PlainArrays {
  demand(bytes.length >= 8, 'length');
  const length = viewOf(bytes).getBigUint64(0, true);
  demand(length <= BigInt(bytes.length - 8) && length <= 100_000_000n, 'header length');
  const data = bytes.subarray(8 + Number(length));
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
    bytes.subarray(8, 8 + Number(length)),
  );
  demand(text.startsWith('{') && /\} *$/.test(text), 'an object, padded with spaces');
  const header = jsonWithoutTwins(text) as Record<string, Record<string, unknown>>;
  // Numbers with a point or an exponent are no whole numbers, whatever JSON.parse makes of them.
  for (const [, list] of text.matchAll(/"(?:shape|data_offsets)"\s*:\s*\[([^\]]*)\]/g))
    demand(/^[\s\d,]*$/.test(list), 'whole numbers');
  const found: { name: string; begin: number; end: number; array: PlainArray }[] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') {
      demand(
        typeof entry === 'object' && entry !== null && Object.values(entry).every(x => typeof x === 'string'),
        'metadata',
      );
      continue;
    }
    const type = SAFE[String(entry.dtype)];
    demand(typeof entry.dtype === 'string' && type, 'type');
    const shape = (entry.shape as unknown[]).map(natural);
    const [begin, end] = (entry.data_offsets as unknown[]).map(natural);
    demand(
      (entry.data_offsets as unknown[]).length === 2 && end - begin === product(shape) * widthOf(type),
      'offsets',
    );
    demand(end <= data.length, 'truncated');
    const values: number[] = [];
    for (let i = 0; i < product(shape); i++)
      values.push(numberAt(viewOf(data), type, begin + i * widthOf(type), true));
    found.push({ name, begin, end, array: { shape, values } });
  }
  let reached = 0;
  for (const { begin, end } of [...found].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    demand(begin === reached, 'hole or overlap');
    reached = end;
  }
  demand(reached === data.length, 'rest');
  return new Map(found.map(({ name, array }) => [name, array]));
}
