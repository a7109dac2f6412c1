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

class Reader {
  private at = 0;
  private readonly stack: unknown[] = [];
  private readonly memo = new Map<number, unknown>();

  constructor(
    private readonly bytes: Buffer,
    private readonly options: PickleOptions,
  ) {}

  private bad(found: string): never {
    return refuse(this.options.where, 'a pickle of tensors and containers', found, {
      field: `byte ${this.at}`,
    });
  }

  private take(length: number): Buffer {
    if (!(length >= 0 && this.at + length <= this.bytes.length)) this.bad('a truncated one');
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
  private readonly u8 = () => this.take(1)[0];
  private readonly u16 = () => this.take(2).readUInt16LE();
  private readonly u32 = () => this.take(4).readUInt32LE();
  private readonly u64 = () => Number(this.take(8).readBigUInt64LE());
  private readonly text = (length: number) => this.take(length).toString('utf8');

  private line(): string {
    const end = this.bytes.indexOf(10, this.at);
    if (end < 0) this.bad('a truncated one');
    const text = this.text(end - this.at);
    this.at++;
    return text;
  }

  /** A little-endian two's complement number of any length. */
  private long(length: number): number {
    const bytes = this.take(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]);
    return Number(BigInt.asIntN(8 * length, value));
  }

  private push(value: unknown) {
    if (this.stack.length > LIMIT) this.bad('an endless one');
    this.stack.push(value);
  }
  private pop(): unknown {
    if (this.stack.length === 0 || this.stack.at(-1) === MARK) this.bad('one that takes what was not put');
    return this.stack.pop();
  }
  /** Everything above the last mark. */
  private sinceMark(): unknown[] {
    const mark = this.stack.lastIndexOf(MARK);
    if (mark < 0) this.bad('one without a mark');
    const items = this.stack.splice(mark);
    return items.slice(1);
  }
  private top<Kind>(kind: abstract new (...args: never[]) => Kind, name: string): Kind {
    const value = this.stack.at(-1);
    return value instanceof kind ? value : this.bad(`an operation for a ${name} on something else`);
  }
  private remember(index: number) {
    this.memo.set(index, this.stack.at(-1));
  }
  private recall(index: number) {
    if (!this.memo.has(index)) this.bad('one that recalls what was not stored');
    this.push(this.memo.get(index));
  }
  private setItems(pairs: readonly unknown[]) {
    if (pairs.length % 2 !== 0) this.bad('a key without a value');
    const map = this.top(Map, 'dictionary');
    for (let i = 0; i < pairs.length; i += 2) map.set(pairs[i], pairs[i + 1]);
  }

  private global(module: string, name: string) {
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
  private call() {
    const args = this.pop();
    const callable = this.pop();
    if (!(args instanceof Tuple && callable instanceof KnownFunction)) {
      return this.bad('a call of something that is no known function');
    }
    this.push(callable.call(args.items));
  }
  /** The state of an object: it fills what keeps attributes; those that containers and tensors carry besides are dropped. */
  private build() {
    const state = this.pop();
    const target = this.stack.at(-1);
    if (target instanceof Attributes && state instanceof Map)
      for (const [key, value] of state) target.set(key, value);
  }

  private step(code: number): boolean {
    switch (String.fromCharCode(code)) {
      case '.':
        return false;
      case '(':
        this.push(MARK);
        break;
      case '0':
        if (this.stack.at(-1) === MARK) this.stack.pop();
        else this.pop();
        break;
      case '1':
        this.sinceMark();
        break;
      case '2': {
        const value = this.pop();
        this.stack.push(value, value);
        break;
      }
      case 'N':
        this.push(null);
        break;
      case 'J':
        this.push(this.take(4).readInt32LE());
        break;
      case 'K':
        this.push(this.u8());
        break;
      case 'M':
        this.push(this.u16());
        break;
      case 'G':
        this.push(this.take(8).readDoubleBE());
        break;
      case 'X':
        this.push(this.text(this.u32()));
        break;
      case 'U':
        this.push(this.take(this.u8()).toString('latin1'));
        break;
      case 'T':
        this.push(this.take(this.u32()).toString('latin1'));
        break;
      case 'C':
        this.push(this.take(this.u8()));
        break;
      case 'B':
        this.push(this.take(this.u32()));
        break;
      case '}':
        this.push(new Map());
        break;
      case ']':
        this.push([]);
        break;
      case ')':
        this.push(new Tuple([]));
        break;
      case 't':
        this.push(new Tuple(this.sinceMark()));
        break;
      case 'l':
        this.push(this.sinceMark());
        break;
      case 'd': {
        const pairs = this.sinceMark();
        this.push(new Map());
        this.setItems(pairs);
        break;
      }
      case 'a': {
        const value = this.pop();
        this.top(Array, 'list').push(value);
        break;
      }
      case 'e': {
        const items = this.sinceMark();
        const list = this.top(Array, 'list');
        for (const item of items) list.push(item);
        break;
      }
      case 's': {
        const value = this.pop();
        this.setItems([this.pop(), value]);
        break;
      }
      case 'u':
        this.setItems(this.sinceMark());
        break;
      case 'q':
        this.remember(this.u8());
        break;
      case 'r':
        this.remember(this.u32());
        break;
      case 'h':
        this.recall(this.u8());
        break;
      case 'j':
        this.recall(this.u32());
        break;
      case 'c': {
        const module = this.line();
        this.global(module, this.line());
        break;
      }
      case 'R':
        this.call();
        break;
      case 'b':
        this.build();
        break;
      case 'Q':
        this.push(this.options.persistent(this.pop()));
        break;
      default:
        this.stepHigh(code);
    }
    return true;
  }

  /** Opcodes of protocol 2 and above. */
  private stepHigh(code: number) {
    switch (code) {
      case 0x80: // PROTO
        if (this.u8() > 5) this.bad('a newer protocol');
        break;
      case 0x81: // NEWOBJ
        this.call();
        break;
      case 0x85:
      case 0x86:
      case 0x87: {
        const items = Array.from({ length: code - 0x84 }, () => this.pop());
        this.push(new Tuple(items.reverse()));
        break;
      }
      case 0x88:
      case 0x89:
        this.push(code === 0x88);
        break;
      case 0x8a:
        this.push(this.long(this.u8()));
        break;
      case 0x8b:
        this.push(this.long(this.u32()));
        break;
      case 0x8c:
        this.push(this.text(this.u8()));
        break;
      case 0x8d:
        this.push(this.text(this.u64()));
        break;
      case 0x8e:
        this.push(this.take(this.u64()));
        break;
      case 0x8f:
        this.push(new Set());
        break;
      case 0x90: {
        const items = this.sinceMark();
        const set = this.top(Set, 'set');
        for (const item of items) set.add(item);
        break;
      }
      case 0x91:
        this.push(new Set(this.sinceMark()));
        break;
      case 0x93: {
        const name = this.pop();
        this.global(String(this.pop()), String(name));
        break;
      }
      case 0x94:
        this.remember(this.memo.size);
        break;
      case 0x95: // FRAME: a length that only helps readers of streams
        this.u64();
        break;
      default:
        this.bad(`the operation 0x${code.toString(16)}, which tensors do not need`);
    }
  }

  read(): unknown {
    while (this.step(this.u8()));
    return this.pop();
  }
}

/** A mapping whose entries Python keeps as attributes (argparse.Namespace and the like). */
export class Attributes extends Map<unknown, unknown> {}

/** Reads a pickle; every global that is not among the known ones is refused by name. */
export const readPickle = (bytes: Buffer, options: PickleOptions): unknown =>
  new Reader(bytes, options).read();
