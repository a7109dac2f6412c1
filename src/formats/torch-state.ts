/** State dictionaries of PyTorch files (.pt, .pth, .ckpt of torch.save, zip format), read without running anything in them. */
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { type Failure, refuse, suggestion } from '../config/index.ts';
import {
  BYTES,
  decodeElements,
  type ElementType,
  type NdArray,
  type NumericArray,
  shapeText,
  sizeOf,
} from './arrays.ts';
import { Attributes, KnownFunction, readPickle, Tuple } from './pickle.ts';
import { withTorchArchive } from './torch-archive.ts';
import type { ZipArchive } from './zip.ts';

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

class StorageType {
  constructor(readonly type: ElementType) {}
}

/** Where the numbers of a storage lie in the archive. */
class Storage {
  constructor(
    readonly key: string,
    readonly type: ElementType,
    readonly count: number,
  ) {}
}

/** A tensor as the pickle describes it: a strided view of a storage. */
class TensorView {
  constructor(
    readonly storage: Storage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly stride: readonly number[],
  ) {}
}

const isNatural = (x: unknown): x is number => Number.isSafeInteger(x) && (x as number) >= 0;
const naturals = (x: unknown): readonly number[] | undefined =>
  x instanceof Tuple && x.items.every(isNatural) ? (x.items as readonly number[]) : undefined;

function tensorView(where: string, [storage, offset, size, stride]: readonly unknown[]): TensorView {
  const [shape, steps] = [naturals(size), naturals(stride)];
  if (
    !(storage instanceof Storage) ||
    !isNatural(offset) ||
    !shape ||
    !steps ||
    shape.length !== steps.length
  ) {
    return refuse(where, 'tensors', 'one whose storage, offset, size or stride is broken');
  }
  const last = offset + shape.reduce((sum, n, axis) => sum + (n - 1) * steps[axis], 0);
  if (sizeOf(shape) > 0 && last >= storage.count) {
    refuse(
      where,
      `a tensor within its storage of ${storage.count} numbers`,
      `shape ${shapeText(shape)} up to number ${last + 1}`,
    );
  }
  if (sizeOf(shape) > Math.max(storage.count, 1)) {
    refuse(
      where,
      'a tensor no larger than its storage',
      `shape ${shapeText(shape)} on ${storage.count} numbers`,
    );
  }
  return new TensorView(storage, offset, shape, steps);
}

/** The only things a pickle may name: storages, the functions that rebuild tensors, and containers. */
function knownGlobals(where: string): Map<string, KnownFunction | StorageType> {
  const known = new Map<string, KnownFunction | StorageType>();
  const add = (name: string, call: KnownFunction['call']) => known.set(name, new KnownFunction(call));
  for (const [name, type] of Object.entries(STORAGES)) known.set(`torch ${name}`, new StorageType(type));
  const rebuild = (args: readonly unknown[]) => tensorView(where, args);
  add('torch._utils _rebuild_tensor', rebuild);
  add('torch._utils _rebuild_tensor_v2', rebuild);
  add('torch._utils _rebuild_parameter', ([tensor]) => tensor);
  add('torch._utils _rebuild_parameter_with_state', ([tensor]) => tensor);
  add('torch Size', ([items]) =>
    items instanceof Tuple ? items : new Tuple(Array.isArray(items) ? items : []),
  );
  add('torch device', ([name]) => name);
  const pairs = (items: unknown): Map<unknown, unknown> => {
    if (items instanceof Map) return new Map(items);
    const list = Array.isArray(items) ? items : [];
    return new Map(list.filter(item => item instanceof Tuple).map(({ items: [key, value] }) => [key, value]));
  };
  for (const name of ['collections OrderedDict', 'builtins dict', '__builtin__ dict'])
    add(name, ([items]) => pairs(items));
  add('collections defaultdict', () => new Map());
  // The factory of a defaultdict and the like: named, never called on anything but containers.
  for (const module of ['builtins', '__builtin__']) {
    add(`${module} list`, ([items]) => (Array.isArray(items) ? [...items] : []));
    add(`${module} set`, ([items]) => new Set(Array.isArray(items) ? items : []));
    add(`${module} frozenset`, ([items]) => new Set(Array.isArray(items) ? items : []));
  }
  add('argparse Namespace', () => new Attributes());
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

function storageOf(where: string, id: unknown): Storage {
  const [kind, type, key, , count] = id instanceof Tuple ? id.items : [];
  if (kind !== 'storage' || !(type instanceof StorageType) || typeof key !== 'string' || !isNatural(count)) {
    return refuse(where, 'storages of tensors', 'another kind of reference');
  }
  return new Storage(key, type.type, count);
}

/** Decodes a storage once, though several tensors may share it. */
function storageReader(archive: ZipArchive, root: string, where: string) {
  const decoded = new Map<string, NumericArray>();
  return async ({ key, type, count }: Storage): Promise<NumericArray> => {
    const known = decoded.get(key);
    if (known) return known;
    const name = `${root}data/${key}`;
    const bytes = await archive.read(name);
    if (bytes.length !== count * BYTES[type]) {
      refuse(where, `${count * BYTES[type]} bytes (${count} numbers of ${type})`, `${bytes.length}`, {
        field: name,
      });
    }
    const data = decodeElements(bytes, type);
    decoded.set(key, data);
    return data;
  };
}

/** The elements of a strided view in row-major order. */
function gather({ offset, shape, stride }: TensorView, data: NumericArray): NumericArray {
  const count = sizeOf(shape);
  let dense = 1;
  const isDense = shape.every((_, i) => {
    const axis = shape.length - 1 - i;
    const fits = shape[axis] === 1 || stride[axis] === dense;
    dense *= shape[axis];
    return fits;
  });
  if (isDense) return data.slice(offset, offset + count);
  const out = new (data.constructor as new (length: number) => NumericArray)(count);
  const index = new Array<number>(shape.length).fill(0);
  let at = offset;
  for (let i = 0; i < count; i++) {
    out[i] = data[at];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += stride[axis];
      if (++index[axis] < shape[axis]) break;
      at -= shape[axis] * stride[axis];
      index[axis] = 0;
    }
  }
  return out;
}

const WRAPPERS = ['state_dict', 'model_state_dict', 'model', 'module', 'net', 'weights', 'params'];

const hasTensors = (value: unknown): value is Map<unknown, unknown> =>
  value instanceof Map && [...value.values()].some(item => item instanceof TensorView);

/** The dictionary of tensors: the whole, what `key` names, or what lies under a usual name. */
function stateDict(root: unknown, key: string | undefined, where: string): Map<unknown, unknown> {
  if (key !== undefined) {
    const found = key
      .split('.')
      .reduce<unknown>((node, part) => (node instanceof Map ? node.get(part) : undefined), root);
    return hasTensors(found) ? found : refuse(where, 'a dictionary of tensors', 'none', { field: key });
  }
  if (hasTensors(root)) return root;
  if (!(root instanceof Map)) return refuse(where, 'a dictionary of tensors', 'something else');
  const wrapped = WRAPPERS.map(wrapper => root.get(wrapper)).find(hasTensors);
  return (
    wrapped ?? refuse(where, 'a dictionary of tensors', `one with ${[...root.keys()].map(String).join(', ')}`)
  );
}

/** Which dictionary of a PyTorch file is read, and which of its tensors. */
export interface TorchStateOptions {
  /** Path of the dictionary in the file, such as `state_dict`; by default it is looked for. */
  readonly key?: string;
  /** Reads only these tensors (each must be there), or those the test accepts. */
  readonly tensors?: readonly string[] | ((name: string) => boolean);
}

/**
 * Reads the tensors of a state dictionary, by name. Anything in the file but tensors, containers and plain values is refused by name.
 * @returns a TaskEither: run it with settle()
 */
export const readTorchState = (
  path: string,
  { key, tensors = () => true }: TorchStateOptions = {},
): TE.TaskEither<Failure, Record<string, NdArray>> =>
  withTorchArchive(path, async (archive, root) => {
    const content = readPickle(await archive.read(`${root}data.pkl`), {
      where: path,
      globals: knownGlobals(path),
      persistent: id => storageOf(path, id),
    });
    const entries = [...stateDict(content, key, path)].filter(
      (entry): entry is [string, TensorView] =>
        typeof entry[0] === 'string' && entry[1] instanceof TensorView,
    );
    const names = entries.map(([name]) => name);
    if (typeof tensors !== 'function') {
      const missing = tensors.find(name => !names.includes(name));
      if (missing !== undefined) {
        refuse(path, `a tensor ${missing}`, 'none of that name', { hint: suggestion(missing, names) });
      }
    }
    const wanted = typeof tensors === 'function' ? tensors : (name: string) => tensors.includes(name);
    const read = storageReader(archive, root, path);
    const state: Record<string, NdArray> = {};
    for (const [name, view] of entries) {
      if (wanted(name)) state[name] = { shape: view.shape, data: gather(view, await read(view.storage)) };
    }
    return state;
  });
