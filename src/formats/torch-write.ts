/**
 * Writes state dictionaries as torch.save does (zip format, PyTorch 1.6 and newer), such that `torch.load(path, weights_only=True)` takes
 * them: ROOT/data.pkl is a dictionary of tensors, ROOT/data/0, 1, ... are their numbers, uncompressed.
 */
import { buffer } from 'node:stream/consumers';
import { ZipFile } from 'yazl';
import { bytesOf, type ElementType, elementType, type NdArray, sizeOf } from './arrays.ts';

/** Torch's names of storages. */
const STORAGES: Partial<Record<ElementType, string>> = {
  f32: 'FloatStorage',
  f64: 'DoubleStorage',
  i32: 'IntStorage',
  i16: 'ShortStorage',
  i8: 'CharStorage',
  u8: 'ByteStorage',
};

/** The operations of a pickle (protocol 2) that a dictionary of tensors needs. */
const op = (text: string) => Buffer.from(text, 'latin1');
const global = (module: string, name: string) => op(`c${module}\n${name}\n`);
const number = (value: number) => {
  const bytes = Buffer.alloc(5);
  bytes.write('J', 'latin1');
  bytes.writeInt32LE(value, 1);
  return bytes;
};
const text = (value: string) => {
  const utf8 = Buffer.from(value);
  const head = Buffer.alloc(5);
  head.write('X', 'latin1');
  head.writeUInt32LE(utf8.length, 1);
  return Buffer.concat([head, utf8]);
};
const tuple = (...items: Buffer[]) => Buffer.concat([op('('), ...items, op('t')]);

/** torch._utils._rebuild_tensor_v2(storage, offset, shape, stride, requires_grad, hooks). */
function tensor(key: string, { shape, data }: NdArray): Buffer {
  const type = elementType(data);
  const storage = STORAGES[type];
  if (storage === undefined) throw new RangeError(`PyTorch has no storage of ${type}`);
  const strides = shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
  const reference = tuple(
    text('storage'),
    global('torch', storage),
    text(key),
    text('cpu'),
    number(data.length),
  );
  return Buffer.concat([
    global('torch._utils', '_rebuild_tensor_v2'),
    tuple(
      Buffer.concat([reference, op('Q')]),
      number(0),
      tuple(...shape.map(number)),
      tuple(...strides.map(number)),
      op('\x89'),
      Buffer.concat([global('collections', 'OrderedDict'), tuple(), op('R')]),
    ),
    op('R'),
  ]);
}

/** The bytes of a .pt file with a state dictionary; the same tensors give the same bytes. */
export async function encodeTorchState(tensors: Readonly<Record<string, NdArray>>): Promise<Uint8Array> {
  const entries = Object.entries(tensors);
  const pickle = Buffer.concat([
    op('\x80\x02}('),
    ...entries.flatMap(([name, array], i) => [text(name), tensor(String(i), array)]),
    op('u.'),
  ]);
  const zip = new ZipFile();
  // PyTorch reads storages in place; a zip's time of change starts in 1980.
  const options = { compress: false, mtime: new Date(1980, 0, 1), forceDosTimestamp: true };
  const add = (name: string, bytes: Uint8Array) =>
    zip.addBuffer(Buffer.from(bytes), `archive/${name}`, options);
  add('data.pkl', pickle);
  add('byteorder', op('little'));
  entries.forEach(([, { data }], i) => {
    add(`data/${i}`, bytesOf(data));
  });
  add('version', op('3\n'));
  zip.end();
  return buffer(zip.outputStream as NodeJS.ReadableStream);
}
