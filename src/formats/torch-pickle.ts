/** What a pickle of torch.save says: tensors as strided views of storages, in dictionaries and modules. No number is read here. */
import { refuse } from '../config/index.ts';
import { BYTES, type ElementType, MAX_RANK, type StridedView, shapeText, sizeOf } from './arrays.ts';
import { Attributes, ForeignClass, KnownFunction, type PickleOptions, Tuple } from './pickle.ts';

const STORAGES: Record<string, ElementType> = {
  FloatStorage: 'f32',
  DoubleStorage: 'f64',
  HalfStorage: 'f16',
  BFloat16Storage: 'bf16',
  LongStorage: 'i64',
  IntStorage: 'i32',
  ShortStorage: 'i16',
  CharStorage: 'i8',
  ByteStorage: 'u8',
  BoolStorage: 'bool',
};

/** Types that have no storage class of their own: named beside an untyped storage. */
const DTYPES: Record<string, ElementType> = {
  float32: 'f32',
  float64: 'f64',
  float16: 'f16',
  bfloat16: 'bf16',
  int64: 'i64',
  int32: 'i32',
  int16: 'i16',
  int8: 'i8',
  uint8: 'u8',
  bool: 'bool',
  uint16: 'u16',
  uint32: 'u32',
  uint64: 'u64',
};

class StorageType {
  constructor(
    readonly type: ElementType,
    readonly untyped = false,
  ) {}
}
class NumberType {
  constructor(readonly type: ElementType) {}
}

/** A run of numbers in the file, or a part of one. */
export class Storage {
  constructor(
    readonly key: string,
    readonly type: ElementType,
    /** Numbers of the whole storage that `key` names. */
    readonly count: number,
    readonly untyped = false,
    /** Where this one begins in it: old files have storages that are windows on others. */
    readonly start = 0,
    readonly length = count,
  ) {}
}

/** A tensor as the pickle describes it. */
export class TensorView implements StridedView {
  constructor(
    readonly storage: Storage,
    readonly type: ElementType,
    /** Numbers from the beginning of the whole storage. */
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
    /** PyTorch keeps `-x` of some views as a flag. */
    readonly negative: boolean,
  ) {}
}

const isNatural = (x: unknown): x is number => Number.isSafeInteger(x) && (x as number) >= 0;
const naturals = (x: unknown): readonly number[] | undefined =>
  x instanceof Tuple && x.items.length <= MAX_RANK && x.items.every(isNatural)
    ? (x.items as readonly number[])
    : undefined;

/** The flags of a view: the sign is honoured, anything else (conjugation belongs to complex numbers) refused. */
function isNegative(where: string, metadata: unknown, type: ElementType): boolean {
  if (metadata === undefined || metadata === null) return false;
  if (!(metadata instanceof Map)) return refuse(where, 'tensors', 'one with flags of an unknown kind');
  for (const [flag, value] of metadata) {
    if (value !== false && flag !== 'neg')
      refuse(
        where,
        'tensors of real numbers',
        `one with the flag ${typeof flag === 'string' ? flag : 'unknown'}`,
      );
  }
  // Such views are made of complex numbers: they hold no whole ones.
  if (metadata.get('neg') === true && !['f16', 'bf16', 'f32', 'f64'].includes(type))
    refuse(where, 'a sign flag on floating-point numbers', `one on ${type}`);
  return metadata.get('neg') === true;
}

function tensorView(
  where: string,
  [storage, offset, size, stride]: readonly unknown[],
  metadata: unknown,
  dtype?: unknown,
): TensorView {
  const [shape, strides] = [naturals(size), naturals(stride)];
  if (
    !(storage instanceof Storage) ||
    !isNatural(offset) ||
    !shape ||
    !strides ||
    shape.length !== strides.length ||
    storage.untyped !== dtype instanceof NumberType
  ) {
    return refuse(where, 'tensors', 'one whose storage, offset, size or stride is broken');
  }
  const type = dtype instanceof NumberType ? dtype.type : storage.type;
  // The bytes of an untyped storage, counted in numbers of the type.
  const has = storage.untyped ? Math.floor(storage.length / BYTES[type]) : storage.length;
  const last = offset + shape.reduce((sum, n, axis) => sum + (n - 1) * strides[axis], 0);
  if (sizeOf(shape) > 0 && last >= has) {
    refuse(
      where,
      `a tensor within its storage of ${has} numbers`,
      `shape ${shapeText(shape)} up to number ${last + 1}`,
    );
  }
  if (sizeOf(shape) > Math.max(has, 1)) {
    refuse(where, 'a tensor no larger than its storage', `shape ${shapeText(shape)} on ${has} numbers`);
  }
  return new TensorView(
    storage,
    type,
    storage.start + offset,
    shape,
    strides,
    isNegative(where, metadata, type),
  );
}

const pairs = (items: unknown): Map<unknown, unknown> => {
  if (items instanceof Map) return new Map(items);
  const list = Array.isArray(items) ? items : [];
  return new Map(list.filter(item => item instanceof Tuple).map(({ items: [key, value] }) => [key, value]));
};
const listOf = (items: unknown): unknown[] =>
  Array.isArray(items) ? items : items instanceof Tuple ? [...items.items] : [];

/** What a pickle may name to some effect: storages, the functions that rebuild tensors, and containers. */
function knownGlobals(where: string): Map<string, object> {
  const known = new Map<string, object>();
  const add = (name: string, call: KnownFunction['call']) => known.set(name, new KnownFunction(call));
  for (const [name, type] of Object.entries(STORAGES)) {
    known.set(`torch ${name}`, new StorageType(type));
    known.set(`torch.cuda ${name}`, new StorageType(type));
  }
  for (const module of ['torch', 'torch.storage']) {
    known.set(`${module} UntypedStorage`, new StorageType('u8', true));
  }
  for (const [name, type] of Object.entries(DTYPES)) known.set(`torch ${name}`, new NumberType(type));
  add('torch._utils _rebuild_tensor', args => tensorView(where, args, null));
  // storage, offset, size, stride, requires_grad, hooks(, flags)
  const rebuild = new KnownFunction(args => tensorView(where, args, args[6]));
  known.set('torch._utils _rebuild_tensor_v2', rebuild);
  // the same with the type before the flags
  add('torch._utils _rebuild_tensor_v3', args => tensorView(where, args, args[7], args[6]));
  add('torch._utils _rebuild_parameter', ([tensor]) => tensor);
  add('torch._utils _rebuild_parameter_with_state', ([tensor]) => tensor);
  const tensorClass = new ForeignClass('torch.Tensor');
  for (const name of ['torch Tensor', 'torch.nn.parameter Parameter', 'torch.nn.parameter Buffer']) {
    known.set(name, tensorClass);
  }
  // A tensor with attributes: function, class, arguments, state.
  add('torch._tensor _rebuild_from_type_v2', ([call, type, args]) =>
    call === rebuild && type === tensorClass && args instanceof Tuple
      ? rebuild.call(args.items)
      : refuse(where, 'tensors', 'one of a class of its own'),
  );
  add('torch Size', ([items]) => (items instanceof Tuple ? items : new Tuple(listOf(items))));
  add('torch device', ([name]) => name);
  for (const module of ['copyreg', 'copy_reg']) {
    add(`${module} _reconstructor`, ([made]) =>
      made instanceof ForeignClass
        ? new Attributes(made.name)
        : refuse(where, 'objects without content of their own', 'another kind'),
    );
  }
  for (const name of ['collections OrderedDict', 'builtins dict', '__builtin__ dict'])
    add(name, ([items]) => pairs(items));
  add('collections defaultdict', () => new Map());
  // The factory of a defaultdict and the like: named, never called on anything but containers.
  for (const module of ['builtins', '__builtin__']) {
    add(`${module} list`, ([items]) => [...listOf(items)]);
    add(`${module} set`, ([items]) => new Set(listOf(items)));
    add(`${module} frozenset`, ([items]) => new Set(listOf(items)));
  }
  add('argparse Namespace', () => new Attributes('argparse.Namespace'));
  for (const module of [
    'pytorch_lightning.utilities.parsing',
    'lightning.pytorch.utilities.parsing',
    'lightning_fabric.utilities.data',
    'lightning.fabric.utilities.data',
  ]) {
    add(`${module} AttributeDict`, ([items]) => pairs(items));
  }
  return known;
}

/** The storage (or, in old files, the class with its source) that a persistent id stands for. */
function persistentOf(where: string, id: unknown): unknown {
  const [kind, type, key, , count, window] = id instanceof Tuple ? id.items : [];
  if (kind === 'module' && type instanceof ForeignClass) return type;
  if (kind !== 'storage' || !(type instanceof StorageType) || typeof key !== 'string' || !isNatural(count)) {
    return refuse(where, 'storages of tensors', 'another kind of reference');
  }
  if (window === undefined || window === null) return new Storage(key, type.type, count, type.untyped);
  const [, start, length] = window instanceof Tuple ? window.items : [];
  return isNatural(start) && isNatural(length) && start + length <= count
    ? new Storage(key, type.type, count, type.untyped, start, length)
    : refuse(where, 'a window within its storage', 'one that leaves it');
}

/**
 * How pickles of torch.save are read; `memory` as in PickleOptions. `storages` is filled with one of each key: all that share one must agree
 * on its type and length.
 */
export const torchPickle = (
  where: string,
  memory: number,
  storages: Map<string, Storage>,
): PickleOptions => ({
  where,
  memory,
  globals: knownGlobals(where),
  persistent(id) {
    const named = persistentOf(where, id);
    if (!(named instanceof Storage)) return named;
    const first = storages.get(named.key) ?? named;
    if (first.type !== named.type || first.count !== named.count || first.untyped !== named.untyped)
      refuse(where, 'storages of one type and length', 'one that is two', { field: named.key });
    storages.set(named.key, first);
    return named;
  },
});
