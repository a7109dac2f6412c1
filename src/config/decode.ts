/** Decoding what comes from outside with io-ts codecs: strict about unknown keys, with the path of the offending field. */
import * as E from 'fp-ts/lib/Either.js';
import type * as t from 'io-ts';
import { type Failure, failure, suggestion } from './failure.ts';

/** The parts of io-ts's runtime types that the walk below needs. */
interface Shape {
  readonly _tag?: string;
  readonly name: string;
  readonly type?: Shape;
  readonly types?: readonly Shape[];
  readonly props?: Readonly<Record<string, Shape>>;
  readonly codomain?: Shape;
  readonly value?: unknown;
  readonly keys?: Readonly<Record<string, unknown>>;
  readonly runDefinition?: () => Shape;
  is(value: unknown): boolean;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const join = (path: string, key: string | number) =>
  typeof key === 'number' ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`;

/** Refinements, brands, exactness and recursion laid aside. */
function bare(shape: Shape): Shape {
  if (shape._tag === 'RecursiveType' && shape.runDefinition) return bare(shape.runDefinition());
  return ['ExactType', 'RefinementType', 'ReadonlyType'].includes(shape._tag ?? '') && shape.type
    ? bare(shape.type)
    : shape;
}

/** All keys that an object type (or an intersection of such) knows; undefined when it takes any. */
function knownKeys(shape: Shape): Map<string, Shape> | undefined {
  const inner = bare(shape);
  if (inner.props) return new Map(Object.entries(inner.props));
  if (inner._tag !== 'IntersectionType') return undefined;
  const all = new Map<string, Shape>();
  for (const part of inner.types ?? []) {
    const keys = knownKeys(part);
    if (!keys) return undefined;
    for (const [key, value] of keys) all.set(key, value);
  }
  return all;
}

/** The first key of `value` that the codec has no place for. */
function unknownKey(
  shape: Shape,
  value: unknown,
  path: string,
): { path: string; known: string[]; key: string } | undefined {
  const inner = bare(shape);
  if (inner._tag === 'UnionType') {
    const found = (inner.types ?? []).map(member => [member, unknownKey(member, value, path)] as const);
    // A member that the value fits in full settles it; else the first that fits but for the key.
    const fitting = found.filter(([member]) => member.is(value));
    return fitting.some(([, key]) => key === undefined) ? undefined : fitting[0]?.[1];
  }
  if (Array.isArray(value)) {
    const elements =
      inner._tag === 'TupleType'
        ? inner.types
        : inner._tag === 'ArrayType' || inner._tag === 'ReadonlyArrayType'
          ? value.map(() => inner.type!)
          : [];
    for (const [i, element] of (elements ?? []).entries()) {
      const found = element && unknownKey(element, value[i], join(path, i));
      if (found) return found;
    }
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const keys = knownKeys(inner);
  for (const [key, child] of Object.entries(value)) {
    const codec = keys?.get(key) ?? inner.codomain;
    if (keys && !codec) return { path: join(path, key), known: [...keys.keys()], key };
    const found = codec && unknownKey(codec, child, join(path, key));
    if (found) return found;
  }
  return undefined;
}

/** Levels and entries of a value that a message shows. */
const DEPTH = 4;
const ENTRIES = 20;

/** The value with what lies deep or late cut away: any value becomes one that JSON.stringify takes at once. */
function outline(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.length > 100 ? value.slice(0, 100) : value;
  if (typeof value === 'bigint' || typeof value === 'symbol') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth === 0) return Array.isArray(value) ? '[...]' : '{...}';
  if (Array.isArray(value)) return value.slice(0, ENTRIES).map(item => outline(item, depth - 1));
  const entries: [string, unknown][] = [];
  for (const key in value) {
    if (entries.length === ENTRIES) break;
    entries.push([key.slice(0, 100), outline((value as Record<string, unknown>)[key], depth - 1)]);
  }
  return Object.fromEntries(entries);
}

/** A value as it is shown in a message. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text =
    typeof value === 'number' ? String(value) : (JSON.stringify(outline(value, DEPTH)) ?? typeof value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** What a codec wants, in words. */
function wanted(shape: Shape): string {
  const inner = bare(shape);
  // A refinement or brand says more than the type below it, when it was given a name.
  if (shape._tag === 'RefinementType' && !/^\(.* \| |^[A-Z]\w*\(/.test(shape.name)) return shape.name;
  switch (inner._tag) {
    case 'NumberType':
      return 'a number';
    case 'StringType':
      return 'a text';
    case 'BooleanType':
      return 'true or false';
    case 'NullType':
      return 'null';
    case 'LiteralType':
      return show(inner.value);
    case 'KeyofType':
      return `one of ${Object.keys(inner.keys ?? {}).join(', ')}`;
    case 'ArrayType':
    case 'ReadonlyArrayType':
      return `a list (each: ${wanted(inner.type!)})`;
    case 'TupleType':
      return `a list of ${inner.types?.length}`;
    case 'UnionType':
      return (inner.types ?? []).map(wanted).join(' or ');
  }
  const keys = knownKeys(inner);
  if (keys) return `a mapping with ${[...keys.keys()].join(', ')}`;
  return inner._tag === 'DictionaryType' || inner._tag === 'AnyDictionaryType' ? 'a mapping' : inner.name;
}

const choices = (shape: Shape): string[] => {
  const inner = bare(shape);
  if (inner._tag === 'KeyofType') return Object.keys(inner.keys ?? {});
  if (inner._tag === 'LiteralType') return [String(inner.value)];
  return inner._tag === 'UnionType' ? (inner.types ?? []).flatMap(choices) : [];
};

/**
 * One failure for io-ts's errors: the deepest, for it belongs to the union member that fits best; an error no deeper than a union is the
 * union's own.
 */
function nearest(errors: t.Errors): { path: string; shape: Shape; actual: unknown } {
  const located = errors.map(({ context }) => {
    let path = '';
    // The outermost type at the path: the union or intersection itself rather than one member.
    let outermost = context[0];
    for (const [i, entry] of context.entries()) {
      const parent = i > 0 ? bare(context[i - 1].type as unknown as Shape)._tag : undefined;
      if (i === 0 || parent === 'UnionType' || parent === 'IntersectionType') continue;
      const inList = parent === 'ArrayType' || parent === 'ReadonlyArrayType' || parent === 'TupleType';
      path = join(path, inList ? Number(entry.key) : entry.key);
      outermost = entry;
    }
    return { path, shape: outermost.type as unknown as Shape, actual: outermost.actual };
  });
  const depth = (path: string) => path.split(/[.[]/).length + (path === '' ? -1 : 0);
  return located.reduce((best, one) => (depth(one.path) > depth(best.path) ? one : best));
}

/**
 * Decodes `value`; `where` names the file or option it came from. Unknown keys are failures, with the nearest known key, unless
 * `unknownKeys` allows them (in formats that others may extend).
 */
export function decode<A>(
  codec: t.Decoder<unknown, A>,
  value: unknown,
  where: string,
  { unknownKeys = 'refuse' }: { unknownKeys?: 'refuse' | 'allow' } = {},
): E.Either<Failure, A> {
  const result = codec.decode(value);
  const stray = unknownKeys === 'refuse' ? unknownKey(codec as unknown as Shape, value, '') : undefined;
  if (stray) {
    const expected = stray.known.length > 0 ? `one of the keys ${stray.known.join(', ')}` : 'no keys';
    return E.left(
      failure(where, expected, `the unknown key ${stray.key}`, {
        field: stray.path,
        hint: suggestion(stray.key, stray.known),
      }),
    );
  }
  if (E.isRight(result)) return result;
  const { path, shape, actual } = nearest(result.left);
  const hint = typeof actual === 'string' ? suggestion(actual, choices(shape)) : undefined;
  return E.left(failure(where, wanted(shape), show(actual), { field: path || undefined, hint }));
}
