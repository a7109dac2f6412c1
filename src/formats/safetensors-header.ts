/**
 * The header of a safetensors file, by the rules of its text (https://github.com/huggingface/safetensors#format): one JSON object of at most
 * 100 MB that begins with `{` and may be padded with spaces; no name twice; shapes and offsets whole numbers; the data without holes,
 * overlaps or a rest. JSON.parse would take the last of two equal names and 2.0 for 2, so the object is read here, into the entries alone.
 */
import { refuse } from '../config/index.ts';
import { BYTES, type ElementType, MAX_RANK, shapeText, sizeOf } from './arrays.ts';
import { endOfString } from './json.ts';

const TYPES: Record<string, ElementType> = {
  F16: 'f16',
  BF16: 'bf16',
  F32: 'f32',
  F64: 'f64',
  I8: 'i8',
  I16: 'i16',
  I32: 'i32',
  I64: 'i64',
  U8: 'u8',
  U16: 'u16',
  U32: 'u32',
  U64: 'u64',
  BOOL: 'bool',
};

/** Types of the format that nothing here computes with: tensors of them may stand beside those that are wanted. Bits of a number. */
const UNREAD: Record<string, number> = {
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  F8_E4M3: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2: 8,
  F8_E5M2FNUZ: 8,
  F8_E8M0: 8,
  C64: 64,
};

export const MOST_HEADER = 100_000_000;
/** A tensor costs some 600 bytes of memory while the header is read. */
const MOST_TENSORS = 100_000;

export interface SafetensorsEntry {
  /** Undefined where it is one of those that nothing here reads: `stored` then says which. */
  readonly type: ElementType | undefined;
  readonly stored: string;
  readonly shape: readonly number[];
  /** Byte range in the data section. */
  readonly begin: number;
  readonly end: number;
}

/** What a file says of its tensors before their data: types, shapes and places. */
export interface SafetensorsHeader {
  readonly entries: ReadonlyMap<string, SafetensorsEntry>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Where the data section starts in the file. */
  readonly dataStart: number;
}

/** Values nested in keys that the format does not know. */
const DEPTH = 32;

/** A reader of the JSON of a header. */
class HeaderReader {
  private at = 0;

  constructor(
    private readonly text: string,
    private readonly where: string,
  ) {}

  bad(found: string, field?: string): never {
    return refuse(this.where, 'a safetensors header', found, { field });
  }

  private notJson(): never {
    return refuse(this.where, 'a safetensors file', 'one whose header is not JSON', {
      field: `character ${this.at}`,
    });
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    if (found !== undefined) this.at += found.length;
    return found;
  }

  /** The next sign if it is this one. */
  private takes(sign: string): boolean {
    this.match(/[ \t\r\n]*/y);
    if (this.text[this.at] !== sign) return false;
    this.at++;
    return true;
  }

  private expect(sign: string): void {
    if (!this.takes(sign)) this.notJson();
  }

  string(): string {
    this.match(/[ \t\r\n]*/y);
    if (this.text[this.at] !== '"') this.notJson();
    const end = endOfString(this.text, this.at);
    if (end < 0) this.notJson();
    const literal = this.text.slice(this.at, end);
    try {
      const value = JSON.parse(literal) as string;
      this.at = end;
      return value;
    } catch {
      return this.notJson();
    }
  }

  /** A whole number without sign, point or exponent. */
  private natural(what: string, field: string): number {
    this.match(/[ \t\r\n]*/y);
    const digits = this.match(/[^\s,\]}]{1,40}/y) ?? '';
    const value = Number(digits);
    return /^(0|[1-9]\d*)$/.test(digits) && Number.isSafeInteger(value)
      ? value
      : refuse(this.where, what, digits || 'none', { field });
  }

  naturals(what: string, field: string, most: number): number[] {
    if (!this.takes('[')) refuse(this.where, what, 'no list', { field });
    const items: number[] = [];
    if (this.takes(']')) return items;
    do {
      if (items.length === most) refuse(this.where, what, `more than ${most} numbers`, { field });
      items.push(this.natural(what, field));
    } while (this.takes(','));
    this.expect(']');
    return items;
  }

  /** Reads the members of an object; `member` reads the value of each key, of which none comes twice. */
  object(where: string | undefined, member: (key: string) => void): void {
    this.expect('{');
    if (this.takes('}')) return;
    const seen = new Set<string>();
    do {
      const key = this.string();
      if (seen.has(key)) this.bad(`the name ${key} twice`, where);
      seen.add(key);
      this.expect(':');
      member(key);
    } while (this.takes(','));
    this.expect('}');
  }

  /** Passes over a value of any kind. */
  skip(depth = DEPTH): void {
    if (depth === 0) this.bad(`values nested more than ${DEPTH} deep`);
    this.match(/[ \t\r\n]*/y);
    if (this.text[this.at] === '{') this.object(undefined, () => this.skip(depth - 1));
    else if (this.text[this.at] === '"') this.string();
    else if (this.takes('[')) {
      if (this.takes(']')) return;
      do this.skip(depth - 1);
      while (this.takes(','));
      this.expect(']');
    } else if (this.match(/true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y) === undefined) {
      this.notJson();
    }
  }

  end(): void {
    this.match(/ */y);
    if (this.at !== this.text.length) this.notJson();
  }
}

function readEntry(reader: HeaderReader, name: string, where: string): SafetensorsEntry {
  const bad = (expected: string, found: string) => refuse(where, expected, found, { field: name });
  let stored: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  reader.object(name, key => {
    if (key === 'dtype') stored = reader.string();
    else if (key === 'shape') shape = reader.naturals('a shape', name, MAX_RANK);
    else if (key === 'data_offsets') offsets = reader.naturals('two data offsets', name, 2);
    else reader.skip();
  });
  if (stored === undefined || shape === undefined || offsets?.length !== 2) {
    return bad('dtype, shape and two data offsets', 'one without');
  }
  const type = Object.hasOwn(TYPES, stored) ? TYPES[stored] : undefined;
  const bits = type ? 8 * BYTES[type] : Object.hasOwn(UNREAD, stored) ? UNREAD[stored] : undefined;
  if (bits === undefined) return bad(`one of the types ${Object.keys(TYPES).join(', ')}`, stored);
  const [begin, end] = offsets;
  const bytes = (sizeOf(shape) * bits) / 8;
  if (end - begin !== bytes) bad(`${bytes} bytes for shape ${shapeText(shape)}`, `${end - begin}`);
  return { type, stored, shape, begin, end };
}

/** Checks and decodes the JSON header. `dataSize` is the length of the data section, when known. */
export function parseSafetensorsHeader(
  bytes: Uint8Array,
  where: string,
  dataSize?: number,
): SafetensorsHeader {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return refuse(where, 'a safetensors header', 'bytes that are no UTF-8');
  }
  const reader = new HeaderReader(text, where);
  if (text[0] !== '{') {
    return refuse(
      where,
      'a safetensors file',
      `one whose header starts with ${JSON.stringify(text.slice(0, 1))} instead of {`,
    );
  }
  const entries = new Map<string, SafetensorsEntry>();
  const metadata: [string, string][] = [];
  const count = (names: { length: number } | { size: number }) => {
    const size = 'size' in names ? names.size : names.length;
    if (size === MOST_TENSORS) reader.bad(`more than ${MOST_TENSORS} names`);
  };
  reader.object(undefined, name => {
    count(entries);
    if (name !== '__metadata__') entries.set(name, readEntry(reader, name, where));
    else {
      reader.object(name, key => {
        count(metadata);
        metadata.push([key, reader.string()]);
      });
    }
  });
  reader.end();
  let reached = 0;
  const inOrder = [...entries].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  for (const [name, { begin, end }] of inOrder) {
    if (begin !== reached) {
      refuse(where, `data from byte ${reached} (no hole, no overlap)`, `data from byte ${begin}`, {
        field: name,
      });
    }
    if (dataSize !== undefined && end > dataSize) {
      refuse(where, `data up to byte ${end}`, `a truncated file with ${dataSize}`, { field: name });
    }
    reached = end;
  }
  if (dataSize !== undefined && reached !== dataSize) {
    refuse(where, `${reached} bytes of data`, `${dataSize}, which belong to no tensor`);
  }
  return { entries, metadata: Object.fromEntries(metadata), dataStart: 8 + bytes.length };
}
