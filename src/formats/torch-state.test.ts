import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  pickle,
  torchLegacy,
  torchPickled,
  torchStorage,
  torchTensor,
  zipOf,
} from '../../property-tests/crafted.ts';
import { sentence } from '../../property-tests/refusal.ts';
import { settle } from '../config/index.ts';
import { bytesOf, type NumericArray, readTorchState, sizeOf } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'weightloom-torch-'));
const path = join(folder, 'x.pth');
const test = suite('torch state');
const { call, cat, dictionary, global, op, pickled, text, tuple, whole } = pickle;
test.after(() => rmSync(folder, { recursive: true }));

const tensor = (
  shape: readonly number[],
  strides: readonly number[],
  { type = 'FloatStorage', key = '0', count = 24, offset = 0 } = {},
  ...flags: Uint8Array[]
) => torchTensor(torchStorage(type, key, count), { shape, strides, offset }, ...flags);

const latin = (bytes: string) => Buffer.from(bytes, 'latin1');
const numbers = new Float32Array(24).map((_, i) => i);
function torchSave(value: Uint8Array, storages: Readonly<Record<string, NumericArray>> = { 0: numbers }) {
  const data = Object.entries(storages).map(([key, array]) => [`x/data/${key}`, bytesOf(array)]);
  writeFileSync(
    path,
    zipOf({
      'x/data.pkl': pickled(value),
      'x/byteorder': Buffer.from('little'),
      ...Object.fromEntries(data),
    }),
  );
}

test('tensors of every type are read by name', async () => {
  torchSave(
    dictionary({
      'conv.weight': tensor([2, 3, 4], [12, 4, 1]),
      steps: tensor([], [], { type: 'LongStorage', key: '1', count: 1 }),
      mask: tensor([3], [1], { type: 'BoolStorage', key: '2', count: 3 }),
      parameter: call(
        global('torch._utils', '_rebuild_parameter'),
        tensor([2], [1], { offset: 5 }),
        op(0x88),
        Buffer.from('N'),
      ),
    }),
    { 0: numbers, 1: new Float64Array(new BigInt64Array([7n]).buffer), 2: new Uint8Array([1, 0, 1]) },
  );
  assert.equal(await settle(readTorchState(path)), {
    'conv.weight': { shape: [2, 3, 4], data: numbers },
    steps: { shape: [], data: new Float64Array([7]) },
    mask: { shape: [3], data: new Uint8Array([1, 0, 1]) },
    parameter: { shape: [2], data: new Float32Array([5, 6]) },
  });
  const some = await settle(readTorchState(path, { tensors: ['mask'] }));
  assert.equal(Object.keys(some), ['mask']);
  assert.match(
    await sentence(readTorchState(path, { tensors: ['conv.wieght'] })),
    'expected a tensor conv.wieght, found none of that name. Did you mean conv.weight?',
  );
});

test('any strided view is gathered in row-major order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.shuffledSubarray([0, 1, 2], { minLength: 3 }),
      fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 3, maxLength: 3 }),
      async (order, sizes) => {
        // A contiguous [a, b, c] with its axes permuted.
        const strides = [sizes[1] * sizes[2], sizes[2], 1];
        const [shape, stride] = [order.map(axis => sizes[axis]), order.map(axis => strides[axis])];
        torchSave(dictionary({ t: tensor(shape, stride, { count: sizeOf(sizes) }) }), {
          0: Float32Array.from({ length: sizeOf(sizes) }, (_, i) => i),
        });
        const { data } = (await settle(readTorchState(path))).t;
        let i = 0;
        for (let a = 0; a < shape[0]; a++)
          for (let b = 0; b < shape[1]; b++)
            for (let c = 0; c < shape[2]; c++)
              assert.is(data[i++], a * stride[0] + b * stride[1] + c * stride[2]);
      },
    ),
    { numRuns: 30 },
  );
});

test('the state_dict of a Lightning checkpoint is found among everything else it holds', async () => {
  const state = call(
    global('collections', 'OrderedDict'),
    cat(
      Buffer.from(']('),
      tuple(text('net.w'), tensor([2, 2], [2, 1])),
      tuple(text('net.b'), tensor([2], [1], { offset: 4 })),
      Buffer.from('e'),
    ),
  );
  const one = { key: '1', count: 1 };
  torchSave(
    dictionary({
      epoch: whole(3),
      'pytorch-lightning_version': text('2.0.0'),
      hyper_parameters: call(
        global('pytorch_lightning.utilities.parsing', 'AttributeDict'),
        dictionary({ lr: cat(Buffer.from('G'), Buffer.alloc(8)) }),
      ),
      callbacks: dictionary({ best: tensor([], [], one) }),
      // Python's long 2 ** 40, a set and a default dictionary
      loops: tuple(
        op(0x8a, 6, 0, 0, 0, 0, 0, 1),
        call(global('__builtin__', 'set'), Buffer.from(']')),
        call(global('collections', 'defaultdict'), global('__builtin__', 'list')),
      ),
      state_dict: state,
    }),
    { 0: numbers, 1: new Float32Array(1) },
  );
  const expected = {
    'net.w': { shape: [2, 2], data: numbers.slice(0, 4) },
    'net.b': { shape: [2], data: numbers.slice(4, 6) },
  };
  assert.equal(await settle(readTorchState(path)), expected);
  assert.equal(await settle(readTorchState(path, { key: 'state_dict' })), expected);
  assert.equal(Object.keys(await settle(readTorchState(path, { key: 'callbacks' }))), ['best']);
  assert.match(
    await sentence(readTorchState(path, { key: 'nowhere' })),
    'nowhere: expected a dictionary of tensors',
  );
});

test('a pickle that names anything else is refused by that name, and nothing runs', async () => {
  const hostile: [Uint8Array, string][] = [
    [call(global('os', 'system'), text('touch /tmp/owned')), 'os.system'],
    [call(global('posix', 'system'), text('id')), 'posix.system'],
    [call(global('builtins', 'eval'), text('1')), 'builtins.eval'],
    [call(global('builtins', 'getattr'), text('a')), 'builtins.getattr'],
    [cat(text('os'), text('system'), op(0x93), tuple(), Buffer.from('R')), 'os.system'],
    [cat(global('os', 'system'), tuple(text('id')), op(0x81)), 'os.system'],
    // JavaScript's own names are no globals either.
    [call(global('constructor', 'prototype')), 'constructor.prototype'],
    [
      cat(text('__proto__'), text('constructor'), op(0x93), tuple(), Buffer.from('R')),
      '__proto__.constructor',
    ],
  ];
  for (const [pickle, name] of hostile) {
    torchSave(dictionary({ w: tensor([2], [1]), trap: pickle }));
    assert.match(
      await sentence(readTorchState(path)),
      `found a call of the global ${name}, which is not loaded.`,
    );
  }
});

test('broken pickles and tensors that leave their storage are refused', async () => {
  const says = async (value: Uint8Array, expected: string, storages?: Record<string, NumericArray>) => {
    torchSave(value, storages);
    assert.match(await sentence(readTorchState(path)), expected);
  };
  const one = (value: Uint8Array) => dictionary({ w: value });
  await says(
    one(tensor([5, 5], [5, 1])),
    'expected a tensor within its storage of 24 numbers, found shape 5x5 up to number 25',
  );
  await says(one(tensor([2, 2], [2, 1], { offset: 22 })), 'up to number 26');
  await says(one(tensor([1000, 1000], [0, 0])), 'expected a tensor no larger than its storage');
  await says(one(tensor([2], [-1])), 'found one whose storage, offset, size or stride is broken');
  await says(one(tensor([2, 2], [1])), 'found one whose storage, offset, size or stride is broken');
  await says(
    one(tensor([2], [1], { count: 30 })),
    'x/data/0: expected 120 bytes (30 numbers of f32), found 96',
  );
  await says(
    one(tensor([2], [1], { key: '../../../etc/passwd' })),
    'found no entry x/data/../../../etc/passwd',
  );
  await says(whole(3), 'expected a dictionary of tensors, found something else');
  await says(dictionary({ epoch: whole(1) }), 'found one with epoch');
  await says(Buffer.from('R'), 'found one that takes what was not put');
  await says(Buffer.from('X\xff\xff\xff\x7fabc', 'latin1'), 'found a truncated one');
  await says(Buffer.from('i'), 'found the operation 0x69, which tensors do not need');
  writeFileSync(path, 'not a zip');
  assert.match(await sentence(readTorchState(path)), 'found neither a zip archive nor a pickle');
});

test('tensors that share a storage: equal views are one array, repetition has a limit, the sign flag is honoured', async () => {
  const negative = call(
    global('builtins', 'dict'),
    cat(Buffer.from(']('), tuple(text('neg'), op(0x88)), Buffer.from('e')),
  );
  const conjugate = dictionary({ conj: op(0x88) });
  torchSave(
    dictionary({
      tied: tensor([4, 6], [6, 1]),
      again: tensor([4, 6], [6, 1]),
      transposed: tensor([6, 4], [1, 6]),
      minus: tensor([3], [2], { offset: 1 }, negative),
    }),
  );
  const { tied, again, transposed, minus } = await settle(readTorchState(path));
  assert.is(tied.data, again.data);
  assert.equal(minus.data, new Float32Array([-1, -3, -5]));
  assert.equal([...transposed.data.slice(0, 5)], [0, 6, 12, 18, 1]);
  torchSave(dictionary({ w: tensor([3], [1], {}, conjugate) }));
  assert.match(await sentence(readTorchState(path)), 'found one with the flag conj');
  // 1,500 windows on one storage of 4 MB would be 6 GB.
  const count = 1_000_000;
  const windows = Object.fromEntries(
    Array.from({ length: 1500 }, (_, i) => [`w${i}`, tensor([count - 1500], [1], { count, offset: i })]),
  );
  torchSave(dictionary(windows), { 0: new Float32Array(count) });
  assert.match(await sentence(readTorchState(path)), 'found 1500 views of one');
  torchSave(dictionary({ a: tensor([24], [1]), b: tensor([12], [1], { type: 'DoubleStorage', count: 12 }) }));
  assert.match(await sentence(readTorchState(path)), '0: expected storages of one type and length');
});

test('a whole module gives the tensors of its state dictionary', async () => {
  const made = (module: string, name: string, state: Uint8Array) =>
    cat(global(module, name), tuple(), op(0x81), state, Buffer.from('b'));
  const layer = made(
    'torch.nn.modules.conv',
    'Conv2d',
    dictionary({
      training: op(0x88),
      _parameters: dictionary({ weight: tensor([4, 5], [5, 1]), bias: Buffer.from('N') }),
      _buffers: dictionary({ seen: tensor([2], [1]) }),
      _modules: dictionary({}),
    }),
  );
  torchSave(
    made('__main__', 'CA', dictionary({ _modules: dictionary({ w1: layer }), _parameters: dictionary({}) })),
  );
  assert.equal(Object.keys(await settle(readTorchState(path))), ['w1.weight', 'w1.seen']);
});

test('dictionaries in dictionaries: one for each layer, or several to choose from', async () => {
  const layers = dictionary({
    a: dictionary({ w: tensor([2], [1]) }),
    b: dictionary({ w: tensor([3], [1]) }),
  });
  torchSave(dictionary({ epoch: whole(1), checkpoint: dictionary({ model: layers }), optimizer: layers }));
  assert.equal(Object.keys(await settle(readTorchState(path))), ['a.w', 'b.w']);
  assert.equal(Object.keys(await settle(readTorchState(path, { key: 'checkpoint.model.b' }))), ['w']);
  assert.equal(Object.keys(await settle(readTorchState(path, { key: 'a' }))), ['w']);
});

test('legacy files: every type, and storages that are windows on others', async () => {
  const { state, storages } = torchPickled({
    half: {
      shape: [2],
      data: new Uint8Array(new Uint16Array([0x3e00, 0xc000]).buffer),
      storage: 'HalfStorage',
    },
    w: { shape: [2, 3], data: numbers.slice(0, 6), strides: [1, 2] },
    n: { shape: [], data: new BigInt64Array([9n]) },
  });
  // Two bytes each: the crafted count is of bytes.
  storages[0].count = 2;
  const patched = Buffer.from(state);
  patched.writeInt32LE(2, patched.indexOf('cpu') + 4);
  writeFileSync(path, torchLegacy(patched, storages));
  assert.equal(await settle(readTorchState(path)), {
    half: { shape: [2], data: new Float32Array([1.5, -2]) },
    w: { shape: [2, 3], data: new Float32Array([0, 2, 4, 1, 3, 5]) },
    n: { shape: [], data: new Float64Array([9]) },
  });
  const window = tuple(text('v'), whole(4), whole(3));
  const seen = torchTensor(torchStorage('FloatStorage', '0', 24, window), {
    shape: [2],
    strides: [1],
    offset: 1,
  });
  const all = { 0: { bytes: bytesOf(numbers), count: 24 } };
  writeFileSync(path, torchLegacy(dictionary({ seen }), all));
  assert.equal((await settle(readTorchState(path))).seen.data, new Float32Array([5, 6]));
  const says = async (bytes: Uint8Array, expected: string) => {
    writeFileSync(path, bytes);
    assert.match(await sentence(readTorchState(path)), expected);
  };
  const whole24 = torchLegacy(dictionary({ seen }), all);
  await says(whole24.subarray(0, whole24.length - 4), 'bytes, found');
  await says(Buffer.concat([whole24, Buffer.alloc(3)]), 'bytes, found');
  await says(
    torchLegacy(dictionary({ seen }), { 0: { ...all[0], count: 23 } }),
    'storage 0: expected 24 numbers, found 23',
  );
  await says(torchLegacy(dictionary({ seen }), { 1: all[0] }), 'found a storage that no tensor has');
  await says(pickled(whole(3)), 'found a pickle that torch.save did not write');
});

test('a small pickle that would fill the memory is refused, in linear time', async () => {
  const says = async (value: Uint8Array) => {
    torchSave(value);
    return sentence(readTorchState(path));
  };
  const many = (piece: Uint8Array, times: number) =>
    Buffer.concat(Array.from({ length: times }, () => piece));
  assert.match(await says(many(latin('}'), 2_000_000)), 'found one that makes more of its bytes');
  // A list of 10,000 copied 100,000 times, by six bytes each.
  const filled = cat(global('builtins', 'list'), latin('q\x01'));
  const list = cat(latin(']q\x02('), many(latin('N'), 10_000), latin('e'));
  const copies = many(latin('h\x01h\x02\x85R'), 100_000);
  assert.match(await says(cat(filled, list, copies)), 'found one that makes more of its bytes');
  // A number of a million digits.
  const digits = Buffer.alloc(1_000_000, 0x77);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(digits.length);
  assert.match(
    await says(cat(op(0x8b), length, digits)),
    'expected a dictionary of tensors, found something else',
  );
  // Keys nested 100,000 deep, and a dictionary that holds itself.
  const deep = cat(many(latin('('), 100_000), many(latin('t'), 100_000));
  assert.match(await says(cat(latin('}'), deep, latin('Ns'))), 'found one with object');
  assert.match(await says(cat(latin('}q\x00X\x01\x00\x00\x00ah\x00s'))), 'found one with a');
  assert.match(
    await says(dictionary({ '\x1b[31mred\nline': whole(1) })),
    'found one with \ufffd[31mred line',
  );
  const one = cat(text('x'.repeat(1_000_000)), latin('q\x00'));
  assert.match(
    await says(cat(one, many(latin('h\x00h\x00\x93'), 10_000))),
    'found a global with a name of that length',
  );
});

test('any bytes as a pickle end in one sentence', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async bytes => {
      torchSave(Buffer.from(bytes));
      assert.match(await sentence(readTorchState(path)), /^.*x\.pth: .*expected .*found/s);
    }),
    { numRuns: 300 },
  );
});

test.run();
