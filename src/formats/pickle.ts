/**
 * Reads Python pickles (protocols 2 to 5) as inert data. Nothing is ever imported or called: the globals that it is given here build plain
 * values; any other stays a name, whose call is refused and whose objects are bags of attributes.
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
  /** Bytes of memory that it may take besides those that any may: as many as its tensors hold. */
  readonly memory?: number;
  /** What a persistent id (torch: a storage) stands for. */
  persistent(id: unknown): unknown;
}

/** A class that is none of the known globals: a name, and nothing that could be called. */
export class ForeignClass {
  constructor(readonly name: string) {}
}

/** A Python tuple; lists are plain arrays, dictionaries Maps, sets Sets. */
export class Tuple {
  constructor(readonly items: readonly unknown[]) {}
}

const MARK = Symbol('mark');

/** Bytes of memory that any pickle may take: one byte of it makes a dictionary of 200. What an operation makes is counted, roughly. */
const FREE = 48 * 2 ** 20;
const MOST_NAME = 300;
const SLOT = 8;
const OBJECT = 64;
const MAPPING = 200;

/** The bytes, and the machine that a pickle is a programme for. */
class Reader {
  readonly stack: unknown[] = [];
  readonly memo = new Map<number, unknown>();
  private left: number;

  constructor(
    readonly bytes: Buffer,
    readonly options: PickleOptions,
    public at = 0,
  ) {
    this.left = FREE + (options.memory ?? 0);
  }

  /** Counts memory; refuses a pickle that takes more than its length allows. */
  spend(bytes: number) {
    this.left -= bytes;
    if (this.left < 0) this.bad('one that makes more of its bytes than tensors need');
  }

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
    if (length === 0) return 0;
    const value = BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
    return Number(BigInt.asIntN(8 * length, value));
  }

  push(value: unknown) {
    this.spend(SLOT);
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
    this.push(value);
    this.push(value);
  }
  top<Kind>(kind: abstract new (...args: never[]) => Kind, name: string): Kind {
    const value = this.stack.at(-1);
    return value instanceof kind ? value : this.bad(`an operation for a ${name} on something else`);
  }
  remember(index: number) {
    this.spend(OBJECT);
    this.memo.set(index, this.stack.at(-1));
  }
  recall(index: number) {
    if (!this.memo.has(index)) this.bad('one that recalls what was not stored');
    this.push(this.memo.get(index));
  }
  setItems(pairs: readonly unknown[]) {
    if (pairs.length % 2 !== 0) this.bad('a key without a value');
    const map = this.top(Map, 'dictionary');
    this.spend(OBJECT * pairs.length);
    for (let i = 0; i < pairs.length; i += 2) map.set(pairs[i], pairs[i + 1]);
  }

  pushMap(pairs: readonly unknown[] = []) {
    this.spend(MAPPING);
    this.push(new Map());
    this.setItems(pairs);
  }
  pushSet(items: readonly unknown[] = []) {
    this.spend(MAPPING);
    this.push(new Set());
    this.addToSet(items);
  }
  pushList(items: unknown[] = []) {
    this.spend(OBJECT);
    this.push(items);
  }
  pushItems(items: readonly unknown[] = []) {
    this.spend(OBJECT);
    this.push(new Tuple(items));
  }
  pushPersistent() {
    this.spend(OBJECT);
    this.push(this.options.persistent(this.pop()));
  }
  pushTuple(length: number) {
    this.pushItems(Array.from({ length }, () => this.pop()).reverse());
  }
  append(items: readonly unknown[]) {
    const list = this.top(Array, 'list');
    this.spend(SLOT * items.length);
    for (const item of items) list.push(item);
  }
  addToSet(items: readonly unknown[]) {
    const set = this.top(Set, 'set');
    this.spend(OBJECT * items.length);
    for (const item of items) set.add(item);
  }

  /** A global whose names lie on the stack. */
  stackGlobal() {
    const [name, module] = [this.pop(), this.pop()];
    if (typeof name !== 'string' || typeof module !== 'string') this.bad('a global without a name');
    this.global(module as string, name as string);
  }
  global(module: string, name: string) {
    this.spend(OBJECT);
    if (module.length + name.length > MOST_NAME) this.bad('a global with a name of that length');
    this.push(this.options.globals.get(`${module} ${name}`) ?? new ForeignClass(`${module}.${name}`));
  }
  private notLoaded(name: string): never {
    return refuse(
      this.options.where,
      'a pickle of tensors and containers',
      `a call of the global ${name}, which is not loaded`,
      { hint: 'Save the tensors alone, as in torch.save(model.state_dict(), path).' },
    );
  }
  call() {
    const args = this.pop();
    const callable = this.pop();
    if (callable instanceof ForeignClass) return this.notLoaded(callable.name);
    if (!(args instanceof Tuple && callable instanceof KnownFunction)) {
      return this.bad('a call of something that is no known function');
    }
    const made = callable.call(args.items);
    const size =
      made instanceof Map || made instanceof Set ? made.size : Array.isArray(made) ? made.length : 0;
    this.spend(MAPPING + OBJECT * size);
    this.push(made);
  }
  /** A new object: of a class nobody knows it is a bag of attributes, which a module of a network is. */
  create() {
    const args = this.pop();
    const made = this.stack.at(-1);
    if (!(made instanceof ForeignClass && args instanceof Tuple)) {
      this.stack.push(args);
      return this.call();
    }
    if (args.items.length > 0) return this.notLoaded(made.name);
    this.pop();
    this.spend(MAPPING);
    this.push(new Attributes(made.name));
  }
  /** The state of an object: it fills what keeps attributes; those that containers and tensors carry besides are dropped. */
  build() {
    const state = this.pop();
    const target = this.stack.at(-1);
    if (!(target instanceof Attributes && state instanceof Map)) return;
    this.spend(OBJECT * state.size);
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
      ['}', r => r.pushMap()],
      [']', r => r.pushList()],
      [')', r => r.pushItems()],
      ['t', r => r.pushItems(r.sinceMark())],
      ['l', r => r.pushList(r.sinceMark())],
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
      ['Q', r => r.pushPersistent()],
      // PROTO
      [0x80, r => r.u8() <= 5 || r.bad('a newer protocol')],
      // NEWOBJ
      [0x81, r => r.create()],
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
      [0x8f, r => r.pushSet()],
      [0x90, r => r.addToSet(r.sinceMark())],
      [0x91, r => r.pushSet(r.sinceMark())],
      [0x93, r => r.stackGlobal()],
      [0x94, r => r.remember(r.memo.size)],
      // FRAME: a length that only helps readers of streams
      [0x95, r => r.u64()],
    ] as const satisfies readonly (readonly [string | number, (reader: Reader) => unknown])[]
  ).map(([code, operation]) => [typeof code === 'string' ? code.charCodeAt(0) : code, operation]),
);

/** What Python keeps as an object with attributes: argparse.Namespace, a module of a network. Nothing of its class is known but the name. */
export class Attributes extends Map<unknown, unknown> {
  constructor(readonly className: string) {
    super();
  }
}

/** Reads the pickle that begins at `start`; nothing that it names is loaded. */
export function readPickle(
  bytes: Buffer,
  options: PickleOptions,
  start = 0,
): { readonly value: unknown; readonly end: number } {
  const reader = new Reader(bytes, options, start);
  const value = reader.read();
  return { value, end: reader.at };
}
