/** Plain readers of torch.save's files: pickletools.py, torch/serialization.py, torch/_utils.py. See plain-arrays.ts. */
import {
  demand,
  indices,
  natural,
  numberAt,
  type PlainArrays,
  plainZip,
  Unknown,
  viewOf,
  widthOf,
} from './plain-arrays.ts';

const TORCH: Record<string, string> = {
  FloatStorage: 'f4',
  DoubleStorage: 'f8',
  HalfStorage: 'f2',
  BFloat16Storage: 'bf16',
  LongStorage: 'i8',
  IntStorage: 'i4',
  ShortStorage: 'i2',
  CharStorage: 'i1',
  ByteStorage: 'u1',
  BoolStorage: 'b1',
};

interface Global {
  global: string;
}
interface StorageRef {
  storage: string;
  type: string;
  count: number;
}
interface TensorRef {
  of: StorageRef;
  offset: number;
  shape: number[];
  strides: number[];
  negative: boolean;
}
class PlainTuple {
  constructor(readonly items: unknown[]) {}
}

/** The pickle machine, for what torch.save writes of dictionaries of tensors. */
export function plainPickle(bytes: Buffer, start = 0): { value: unknown; end: number } {
  const MARK = {};
  const stack: unknown[] = [];
  const memo = new Map<number, unknown>();
  let at = start;
  const take = (n: number) => {
    demand(at + n <= bytes.length, 'truncated');
    at += n;
    return bytes.subarray(at - n, at);
  };
  const pop = () => {
    demand(stack.length > 0, 'empty stack');
    return stack.pop();
  };
  const marked = () => {
    const items: unknown[] = [];
    for (let item = pop(); item !== MARK; item = pop()) items.unshift(item);
    return items;
  };
  const line = () => {
    const end = bytes.indexOf(10, at);
    demand(end >= 0, 'line');
    const text = bytes.toString('utf8', at, end);
    at = end + 1;
    return text;
  };
  const setAll = (items: unknown[]) => {
    const map = stack.at(-1);
    demand(map instanceof Map && items.length % 2 === 0, 'dictionary');
    for (let i = 0; i < items.length; i += 2) map.set(items[i], items[i + 1]);
  };
  const call = (callable: unknown, args: unknown) => {
    const name = (callable as Global)?.global;
    demand(args instanceof PlainTuple && name, 'call');
    const [first] = args.items;
    if (name === 'collections.OrderedDict' || name === 'builtins.dict') {
      if (first instanceof Map) return new Map(first);
      const pairs = Array.isArray(first) ? first : [];
      return new Map(pairs.filter(pair => pair instanceof PlainTuple).map(({ items: [k, v] }) => [k, v]));
    }
    if (name === 'torch._utils._rebuild_parameter') return first;
    // Size, device, sets, typed views ...: called seldom, and each in its own way.
    if (name !== 'torch._utils._rebuild_tensor_v2') throw new Unknown(name);
    const [of, offset, shape, strides, , , flags] = args.items as [
      StorageRef,
      number,
      PlainTuple,
      PlainTuple,
      ...unknown[],
    ];
    demand(
      of?.storage !== undefined && shape instanceof PlainTuple && strides instanceof PlainTuple,
      'tensor',
    );
    demand(flags === undefined || flags === null || flags instanceof Map, 'flags');
    const [sizes, steps] = [shape.items.map(natural), strides.items.map(natural)];
    demand(sizes.length === steps.length, 'strides');
    const set = [...((flags as Map<string, unknown>) ?? [])];
    demand(
      set.every(([flag, value]) => value === false || flag === 'neg'),
      'flags',
    );
    const negative = set.some(([flag, value]) => flag === 'neg' && value === true);
    demand(!negative || ['f2', 'f4', 'f8', 'bf16'].includes((of as StorageRef).type), 'a sign flag');
    return { of, offset: natural(offset), shape: sizes, strides: steps, negative } satisfies TensorRef;
  };
  for (;;) {
    const code = take(1)[0];
    const letter = String.fromCharCode(code);
    if (letter === '.') return { value: pop(), end: at };
    if (code === 0x80) demand(take(1)[0] <= 5, 'protocol');
    else if (letter === '(') stack.push(MARK);
    else if (letter === '}') stack.push(new Map());
    else if (letter === ']') stack.push([]);
    else if (letter === ')') stack.push(new PlainTuple([]));
    else if (letter === 'N') stack.push(null);
    else if (code === 0x88 || code === 0x89) stack.push(code === 0x88);
    else if (letter === 'K') stack.push(take(1)[0]);
    else if (letter === 'M') stack.push(take(2).readUInt16LE());
    else if (letter === 'J') stack.push(take(4).readInt32LE());
    else if (letter === 'G') stack.push(take(8).readDoubleBE());
    else if (letter === 'X') stack.push(take(take(4).readUInt32LE()).toString('utf8'));
    else if (code === 0x8a) {
      const digits = take(take(1)[0]);
      let value = 0n;
      for (let i = digits.length - 1; i >= 0; i--) value = value * 256n + BigInt(digits[i]);
      stack.push(Number(BigInt.asIntN(8 * digits.length, value)));
    } else if (letter === 't') stack.push(new PlainTuple(marked()));
    else if (code >= 0x85 && code <= 0x87) {
      const items = Array.from({ length: code - 0x84 }, pop).reverse();
      demand(!items.includes(MARK), 'mark');
      stack.push(new PlainTuple(items));
    } else if (letter === 'u') setAll(marked());
    else if (letter === 's') {
      const [value, key] = [pop(), pop()];
      setAll([key, value]);
    } else if (letter === 'e' || letter === 'a') {
      const items = letter === 'e' ? marked() : [pop()];
      demand(Array.isArray(stack.at(-1)), 'list');
      (stack.at(-1) as unknown[]).push(...items);
    } else if (letter === 'q' || letter === 'r')
      memo.set(letter === 'q' ? take(1)[0] : take(4).readUInt32LE(), stack.at(-1));
    else if (letter === 'h' || letter === 'j') {
      const index = letter === 'h' ? take(1)[0] : take(4).readUInt32LE();
      demand(memo.has(index), 'memo');
      stack.push(memo.get(index));
    } else if (letter === 'c') stack.push({ global: `${line()}.${line()}` } satisfies Global);
    else if (letter === 'Q') {
      const id = pop();
      demand(id instanceof PlainTuple, 'persistent id');
      const [kind, type, key, , count] = id.items as [unknown, Global, string, unknown, number];
      const storage = /^torch(?:\.cuda)?\.(\w+)$/.exec(type?.global ?? '')?.[1] ?? '';
      demand(kind === 'storage' && Object.hasOwn(TORCH, storage) && typeof key === 'string', 'storage');
      stack.push({ storage: key, type: TORCH[storage], count: natural(count) } satisfies StorageRef);
    } else if (letter === 'R') {
      const args = pop();
      stack.push(call(pop(), args));
    } else if (letter === '0') pop();
    else if (letter === '1') marked();
    else if (letter === '2') stack.push(stack.at(-1));
    else if (letter === 'U' || letter === 'T')
      stack.push(take(letter === 'U' ? take(1)[0] : take(4).readUInt32LE()).toString('latin1'));
    else if (letter === 'C' || letter === 'B')
      stack.push(take(letter === 'C' ? take(1)[0] : take(4).readUInt32LE()));
    else if (letter === 'l') stack.push(marked());
    else if (letter === 'd') {
      const items = marked();
      stack.push(new Map());
      setAll(items);
    } else if (code === 0x8b) {
      take(take(4).readUInt32LE());
      stack.push(Number.NaN);
    } else if (code === 0x8c) stack.push(take(take(1)[0]).toString('utf8'));
    else if (code === 0x8d) stack.push(take(Number(take(8).readBigUInt64LE())).toString('utf8'));
    else if (code === 0x8e) stack.push(take(Number(take(8).readBigUInt64LE())));
    else if (code === 0x8f) stack.push(new Set());
    else if (code === 0x91) stack.push(new Set(marked()));
    else if (code === 0x94) memo.set(memo.size, stack.at(-1));
    else if (code === 0x95) take(8);
    // Objects and their state, names from the stack, sets filled.
    else if (letter === 'b' || code === 0x81 || code === 0x93 || code === 0x90) throw new Unknown(letter);
    else throw new Error(`operation ${code}`);
  }
}

/** The tensors of a dictionary, each number at its place in its storage. */
function tensorsOf(content: unknown, storages: (ref: StorageRef) => Uint8Array): PlainArrays {
  if (!(content instanceof Map)) throw new Unknown('no dictionary');
  const arrays: PlainArrays = new Map();
  for (const [name, tensor] of content as Map<unknown, TensorRef>) {
    if (typeof name !== 'string' || tensor?.of === undefined) continue;
    const { of, offset, shape, strides, negative } = tensor;
    const bytes = storages(of);
    demand(bytes.length === of.count * widthOf(of.type), 'storage');
    const values = [...indices(shape)].map(index => {
      const place = index.reduce((sum, n, axis) => sum + n * strides[axis], offset);
      demand(place < of.count, 'a place in the storage');
      const value = numberAt(viewOf(bytes), of.type, place * widthOf(of.type), true);
      return negative ? -value : value;
    });
    arrays.set(name, { shape, values });
  }
  // Dictionaries in dictionaries are searched for, which is no rule of the format.
  if (arrays.size === 0) throw new Unknown('no tensors');
  return arrays;
}

export function plainTorchZip(bytes: Uint8Array): PlainArrays {
  const entries = plainZip(bytes);
  const pickles = [...entries.keys()].filter(name => /(^|\/)data\.pkl$/.test(name));
  demand(pickles.length === 1, 'one pickle');
  const root = pickles[0].slice(0, -8);
  const order = entries.get(`${root}byteorder`);
  demand(!order || Buffer.from(order).toString('latin1').trim() === 'little', 'byte order');
  const pickle = Buffer.from(entries.get(pickles[0])!);
  const { value, end } = plainPickle(pickle);
  demand(end === pickle.length, 'one pickle');
  return tensorsOf(value, ({ storage }) => {
    const found = entries.get(`${root}data/${storage}`);
    demand(found, 'storage');
    return found;
  });
}

export function plainTorchLegacy(bytes: Uint8Array): PlainArrays {
  const buffer = Buffer.from(bytes);
  let at = 0;
  const next = () => {
    const { value, end } = plainPickle(buffer, at);
    at = end;
    return value;
  };
  demand(next() === Number(0x1950a86a20f9469cfc6cn) && next() === 1001, 'magic');
  const machine = next();
  demand(machine instanceof Map && machine.get('little_endian') === true, 'byte order');
  const content = next();
  const keys = next() as string[];
  const widths = new Map<string, number>();
  for (const tensor of (content as Map<string, TensorRef>).values())
    if (tensor?.of) widths.set(tensor.of.storage, widthOf(tensor.of.type));
  const storages = new Map<string, Uint8Array>();
  for (const key of keys) {
    const count = Number(buffer.readBigInt64LE(at));
    const length = count * widths.get(key)!;
    demand(at + 8 + length <= buffer.length, 'truncated');
    storages.set(key, buffer.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  demand(at === buffer.length, 'rest');
  return tensorsOf(content, ({ storage }) => storages.get(storage)!);
}
