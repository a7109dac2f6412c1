import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import * as E from 'fp-ts/lib/Either.js';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pickle, zipOf } from '../../property-tests/crafted.ts';
import { describe, type Failure, settle } from '../config/index.ts';
import { bytesOf, type NumericArray, readTorchState, sizeOf } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'weightloom-torch-'));
const path = join(folder, 'x.pth');
const test = suite('torch state');
const { call, cat, dictionary, global, op, pickled, text, tuple, whole, wholes } = pickle;
test.after(() => rmSync(folder, { recursive: true }));

async function sentence(task: TE.TaskEither<Failure, unknown>): Promise<string> {
  const result = await task();
  return E.isLeft(result) ? describe(result.left) : 'no failure';
}

const storage = (type: string, key: string, count: number) =>
  cat(tuple(text('storage'), global('torch', type), text(key), text('cpu'), whole(count)), Buffer.from('Q'));
const tensor = (
  shape: readonly number[],
  stride: readonly number[],
  { type = 'FloatStorage', key = '0', count = 24, offset = 0 } = {},
) =>
  call(
    global('torch._utils', '_rebuild_tensor_v2'),
    storage(type, key, count),
    whole(offset),
    wholes(shape),
    wholes(stride),
    op(0x89),
    call(global('collections', 'OrderedDict')),
  );

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
    [global('torch.nn.modules.container', 'Sequential'), 'torch.nn.modules.container.Sequential'],
    // JavaScript's own names are no globals either.
    [global('constructor', 'prototype'), 'constructor.prototype'],
  ];
  for (const [pickle, name] of hostile) {
    torchSave(dictionary({ w: tensor([2], [1]), trap: pickle }));
    assert.match(await sentence(readTorchState(path)), `found the global ${name}, which is not loaded.`);
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
  assert.match(await sentence(readTorchState(path)), 'Files of PyTorch before 1.6 are no zip archives');
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
