/**
 * Reads Python pickles (protocols 2 to 5) as inert data. Nothing is ever imported or called: a pickle may name only the globals it is
 * given here, each of which builds plain values; any other is refused by its name before it could matter.
 */
import { refuse } from '../config/index.ts';

/** A function the reader knows: what calling it with these arguments gives. */
export class KnownFunction {
  constructor(readonly call: (args: readonly unknown[]) => unknown) {}
}

export interface PickleOptions {
  readonly where: string;
  /** Known globals by "module name"; what is no KnownFunction only stands for itself. */
  readonly globals: ReadonlyMap<string, object>;
  /** What a persistent id (torch: a storage) stands for. */
  persistent(id: unknown): unknown;
}

/** A Python tuple; lists are plain arrays, dictionaries Maps, sets Sets. */
export class Tuple {
  constructor(readonly items: readonly unknown[]) {}
}

const MARK = Symbol('mark');
const LIMIT = 50_000_000;

/** The bytes, and the machine that a pickle is a programme for. */
class Reader {
  at = 0;
  readonly stack: unknown[] = [];
  readonly memo = new Map<number, unknown>();

  constructor(
    readonly bytes: Buffer,
    readonly options: PickleOptions,
  ) {}

  bad(found: string): never {
    return refuse(this.options.where, 'a pickle of tensors and containers', found, {
      field: `byte ${this.at}`,
    });
  }

  take(length: number): Buffer {
    if (!(length >= 0 && this.at + length <= this.bytes.length)) this.bad('a truncated one');
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
  readonly u8 = () => this.take(1)[0];
  readonly u16 = () => this.take(2).readUInt16LE();
  readonly u32 = () => this.take(4).readUInt32LE();
  readonly u64 = () => Number(this.take(8).readBigUInt64LE());
  readonly text = (length: number) => this.take(length).toString('utf8');

  line(): string {
    const end = this.bytes.indexOf(10, this.at);
    if (end < 0) this.bad('a truncated one');
    const text = this.text(end - this.at);
    this.at++;
    return text;
  }

  /** A little-endian two's complement number of any length. */
  long(length: number): number {
    const bytes = this.take(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]);
    return Number(BigInt.asIntN(8 * length, value));
  }

  push(value: unknown) {
    if (this.stack.length > LIMIT) this.bad('an endless one');
    this.stack.push(value);
  }
  pop(): unknown {
    if (this.stack.length === 0 || this.stack.at(-1) === MARK) this.bad('one that takes what was not put');
    return this.stack.pop();
  }
  /** Everything above the last mark. */
  sinceMark(): unknown[] {
    const mark = this.stack.lastIndexOf(MARK);
    if (mark < 0) this.bad('one without a mark');
    const items = this.stack.splice(mark);
    return items.slice(1);
  }
  duplicate() {
    const value = this.pop();
    this.stack.push(value, value);
  }
  top<Kind>(kind: abstract new (...args: never[]) => Kind, name: string): Kind {
    const value = this.stack.at(-1);
    return value instanceof kind ? value : this.bad(`an operation for a ${name} on something else`);
  }
  remember(index: number) {
    this.memo.set(index, this.stack.at(-1));
  }
  recall(index: number) {
    if (!this.memo.has(index)) this.bad('one that recalls what was not stored');
    this.push(this.memo.get(index));
  }
  setItems(pairs: readonly unknown[]) {
    if (pairs.length % 2 !== 0) this.bad('a key without a value');
    const map = this.top(Map, 'dictionary');
    for (let i = 0; i < pairs.length; i += 2) map.set(pairs[i], pairs[i + 1]);
  }

  pushMap(pairs: readonly unknown[]) {
    this.push(new Map());
    this.setItems(pairs);
  }
  pushTuple(length: number) {
    this.push(new Tuple(Array.from({ length }, () => this.pop()).reverse()));
  }
  append(items: readonly unknown[]) {
    const list = this.top(Array, 'list');
    for (const item of items) list.push(item);
  }
  addToSet(items: readonly unknown[]) {
    const set = this.top(Set, 'set');
    for (const item of items) set.add(item);
  }

  /** A global whose names lie on the stack. */
  stackGlobal() {
    const name = this.pop();
    this.global(String(this.pop()), String(name));
  }
  global(module: string, name: string) {
    const known = this.options.globals.get(`${module} ${name}`);
    if (known) return this.push(known);
    return refuse(
      this.options.where,
      'a pickle of tensors and containers',
      `the global ${module}.${name}, which is not loaded`,
      {
        hint: 'Save the tensors alone, as in torch.save(model.state_dict(), path).',
      },
    );
  }
  call() {
    const args = this.pop();
    const callable = this.pop();
    if (!(args instanceof Tuple && callable instanceof KnownFunction)) {
      return this.bad('a call of something that is no known function');
    }
    this.push(callable.call(args.items));
  }
  /** The state of an object: it fills what keeps attributes; those that containers and tensors carry besides are dropped. */
  build() {
    const state = this.pop();
    const target = this.stack.at(-1);
    if (target instanceof Attributes && state instanceof Map)
      for (const [key, value] of state) target.set(key, value);
  }

  read(): unknown {
    for (let code = this.u8(); code !== STOP; code = this.u8()) {
      const operation = OPERATIONS.get(code);
      if (!operation) this.bad(`the operation 0x${code.toString(16)}, which tensors do not need`);
      operation(this);
    }
    return this.pop();
  }
}

const STOP = '.'.charCodeAt(0);

/** The operations that tensors and containers need: those of protocols 0 and 1 by their letter, later ones by their number. */
const OPERATIONS = new Map<number, (reader: Reader) => void>(
  (
    [
      ['(', r => r.push(MARK)],
      ['0', r => (r.stack.at(-1) === MARK ? r.stack.pop() : r.pop())],
      ['1', r => r.sinceMark()],
      ['2', r => r.duplicate()],
      ['N', r => r.push(null)],
      ['J', r => r.push(r.take(4).readInt32LE())],
      ['K', r => r.push(r.u8())],
      ['M', r => r.push(r.u16())],
      ['G', r => r.push(r.take(8).readDoubleBE())],
      ['X', r => r.push(r.text(r.u32()))],
      ['U', r => r.push(r.take(r.u8()).toString('latin1'))],
      ['T', r => r.push(r.take(r.u32()).toString('latin1'))],
      ['C', r => r.push(r.take(r.u8()))],
      ['B', r => r.push(r.take(r.u32()))],
      ['}', r => r.push(new Map())],
      [']', r => r.push([])],
      [')', r => r.push(new Tuple([]))],
      ['t', r => r.push(new Tuple(r.sinceMark()))],
      ['l', r => r.push(r.sinceMark())],
      ['d', r => r.pushMap(r.sinceMark())],
      ['a', r => r.append([r.pop()])],
      ['e', r => r.append(r.sinceMark())],
      ['s', r => r.setItems([r.pop(), r.pop()].reverse())],
      ['u', r => r.setItems(r.sinceMark())],
      ['q', r => r.remember(r.u8())],
      ['r', r => r.remember(r.u32())],
      ['h', r => r.recall(r.u8())],
      ['j', r => r.recall(r.u32())],
      ['c', r => r.global(r.line(), r.line())],
      ['R', r => r.call()],
      ['b', r => r.build()],
      ['Q', r => r.push(r.options.persistent(r.pop()))],
      // PROTO
      [0x80, r => r.u8() <= 5 || r.bad('a newer protocol')],
      // NEWOBJ
      [0x81, r => r.call()],
      [0x85, r => r.pushTuple(1)],
      [0x86, r => r.pushTuple(2)],
      [0x87, r => r.pushTuple(3)],
      [0x88, r => r.push(true)],
      [0x89, r => r.push(false)],
      [0x8a, r => r.push(r.long(r.u8()))],
      [0x8b, r => r.push(r.long(r.u32()))],
      [0x8c, r => r.push(r.text(r.u8()))],
      [0x8d, r => r.push(r.text(r.u64()))],
      [0x8e, r => r.push(r.take(r.u64()))],
      [0x8f, r => r.push(new Set())],
      [0x90, r => r.addToSet(r.sinceMark())],
      [0x91, r => r.push(new Set(r.sinceMark()))],
      [0x93, r => r.stackGlobal()],
      [0x94, r => r.remember(r.memo.size)],
      // FRAME: a length that only helps readers of streams
      [0x95, r => r.u64()],
    ] as const satisfies readonly (readonly [string | number, (reader: Reader) => unknown])[]
  ).map(([code, operation]) => [typeof code === 'string' ? code.charCodeAt(0) : code, operation]),
);

/** A mapping whose entries Python keeps as attributes (argparse.Namespace and the like). */
export class Attributes extends Map<unknown, unknown> {}

/** Reads a pickle; every global that is not among the known ones is refused by name. */
export const readPickle = (bytes: Buffer, options: PickleOptions): unknown =>
  new Reader(bytes, options).read();
