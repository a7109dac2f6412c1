/** What tensors and kernels hold: released when an operation throws, moved between backends, disposed on either. */
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loomOnly } from '../../../property-tests/loom-only.ts';
import { allocate, kernel, parallel, release, setThreadCount, statistics } from '../../compute/index.ts';
import { fused, onMemory, startBackend, tf } from '../index.ts';

await startBackend({ prefer: 'cpu' });
const loomTest = await loomOnly();

const held = () => {
  const { numTensors, numBytes } = tf.memory();
  const { held, blocks } = statistics();
  return { numTensors, numBytes, held, blocks };
};

/** Runs what must throw, and holds what is held afterwards to what was held before. */
function throwsAndReleases(name: string, work: () => unknown, message: RegExp): void {
  const before = held();
  let found: unknown;
  try {
    tf.dispose(work() as tf.TensorContainer);
  } catch (error) {
    found = error;
  }
  assert.instance(found, Error, `${name} does not throw`);
  assert.match((found as Error).message, message, name);
  assert.equal(held(), before, name);
}

loomTest('inputs that do not fit', () => {
  const inputs = [
    tf.ones([3, 4]),
    tf.ones([1, 2, 5]),
    tf.ones([2, 5, 5, 3]),
    tf.ones([3, 3, 4, 2]),
    tf.tensor1d([7], 'int32'),
    tf.ones([5]),
    tf.ones([6]),
  ];
  const [x, tokens, pictures, filter, seven, five, six] = inputs as never[];
  const wrong: Record<string, [() => unknown, RegExp]> = {
    matMul: [() => tf.matMul(x, x), /3,4/],
    'matMul in a batch': [() => tf.matMul(tokens, tokens), /1,2,5/],
    linear: [() => fused.linear(x, x, null), /does not fit weight/],
    'linear, bias': [() => fused.linear(tokens, tf.ones([5, 3]), five), /does not fit weight/],
    attention: [() => fused.attention(tokens, tokens, tokens, 2), /not a multiple/],
    'attention, keys': [() => fused.attention(tokens, tf.ones([2, 2, 5]), tokens, 1), /do not fit/],
    layerNorm: [() => fused.layerNorm(tokens, six, six), /layerNorm/],
    'fused.matMul': [() => tf.fused.matMul({ a: x, b: x, activation: 'relu' }), /inner|dimension/i],
    conv2d: [() => tf.conv2d(pictures, filter, 1, 'same'), /depth/],
    depthwise: [() => tf.depthwiseConv2d(pictures, filter, 1, 'same'), /inChannels/],
    add: [() => tf.add(five, six), /broadcast/],
    concat: [() => tf.concat([x, pictures]), /rank/i],
    gather: [() => tf.gather(x, seven), /not in/],
    slice: [() => tf.slice(x, [2, 3], [2, 2]), /slice/i],
    transpose: [() => tf.transpose(x, [0, 5]), /perm/],
    reshape: [() => tf.reshape(x, [5, 5]), /12|25/],
    topk: [() => tf.topk(x, 9), /k/],
    split: [() => tf.split(x, [1, 9]), /./],
    mirrorPad: [
      () =>
        tf.mirrorPad(
          x,
          [
            [5, 0],
            [0, 0],
          ],
          'reflect',
        ),
      /padding/i,
    ],
  };
  for (const [name, [work, message]] of Object.entries(wrong))
    throwsAndReleases(name, () => tf.tidy(work as never), message);
  tf.dispose(inputs);
});

loomTest('out of memory: wherever it strikes, nothing stays, and the message says what is held', () => {
  // Inputs of 4 MiB, and all of the address space but 64 KiB to 12 MiB taken: some outputs fit and the scratch after them does not.
  const x = tf.ones([1024, 1024]) as tf.Tensor2D;
  const tokens = tf.reshape(x, [4, 256, 1024]) as tf.Tensor3D;
  const pictures = tf.reshape(x, [1, 128, 128, 64]) as tf.Tensor4D;
  const gain = tf.ones([1024]) as tf.Tensor1D;
  const filter = tf.ones([3, 3, 64, 64]) as tf.Tensor4D;
  const gradient = (f: (x: tf.Tensor) => tf.Tensor, y: tf.Tensor) => tf.grad(f)(y);
  const work: Record<string, () => tf.TensorContainer> = {
    add: () => tf.add(x, x),
    matMul: () => tf.matMul(x, x, true),
    'fused.matMul': () => tf.fused.matMul({ a: x, b: x, activation: 'sigmoid' }),
    layerNorm: () => gradient(y => fused.layerNorm(y, gain, gain), x),
    attention: () => gradient(y => fused.attention(y as never, tokens, tokens, 4), tokens),
    conv2d: () => gradient(y => tf.conv2d(y as never, filter, 1, 'same'), pictures),
    filter: () => gradient(w => tf.conv2d(pictures, w as never, 1, 'same'), filter),
    pool: () => gradient(y => tf.maxPool(y as never, 3, 2, 'same'), pictures),
    resize: () => gradient(y => tf.image.resizeBilinear(y as never, [64, 64]), pictures),
    reduce: () => tf.sum(tf.reshape(x, [2, 512, 1024]), 0),
    transpose: () => tf.transpose(x),
    split: () => tf.split(x, 4),
    unstack: () => tf.unstack(tf.reshape(x, [4, 512, 512])),
    topk: () => tf.topk(x, 1024),
    concat: () => tf.concat([x, x]),
    softmax: () => tf.softmax(x),
    'inherited: cumsum': () => tf.cumsum(x),
    tensor: () => tf.tensor(new Float32Array(2 ** 20)),
  };
  for (const operation of Object.values(work)) tf.dispose(operation());
  const before = statistics().held;
  const taken: number[] = [];
  // From large blocks to small ones until none is left: then give back some room.
  for (let size = 2 ** 30; size >= 2 ** 16; size /= 2) {
    try {
      for (;;) taken.push(allocate(size));
    } catch {
      // no room for this size
    }
  }
  const failures = new Map<string, number>();
  const roomTo = (bytes: number) => {
    let room = 0;
    while (room < bytes && taken.length > 0) {
      const block = taken.pop()!;
      const heldBefore = statistics().held;
      release(block);
      room += heldBefore - statistics().held;
    }
  };
  for (const room of [0, 2 ** 16, 2 ** 21, 2 ** 22, 2 ** 22, 2 ** 22]) {
    roomTo(room);
    for (const [name, operation] of Object.entries(work)) {
      const full = held();
      let message = '';
      try {
        tf.dispose(tf.tidy(operation));
      } catch (error) {
        message = (error as Error).message;
      }
      assert.equal(held(), full, `${name} keeps memory`);
      if (message === '') continue;
      assert.match(
        message,
        /^out of memory: asked for [\d.]+ MiB, [\d.]+ MiB held in \d+ blocks of [\d.]+ MiB in all$/,
        name,
      );
      failures.set(name, (failures.get(name) ?? 0) + 1);
    }
  }
  for (const name of Object.keys(work)) assert.ok(failures.get(name), `${name} never ran out of memory`);
  taken.forEach(release);
  assert.is(statistics().held, before);
  for (const operation of Object.values(work)) tf.dispose(operation());
  tf.dispose([x, tokens, pictures, gain, filter]);
});

loomTest('a kernel that traps in the middle of its bands', () => {
  const x = tf.ones([64]);
  for (const threads of [1, 2, 3]) {
    setThreadCount(threads);
    throwsAndReleases(
      `${threads} threads`,
      () =>
        onMemory([x], [{ shape: [1 << 16] }, { shape: [3], dtype: 'int32' }], (_, [out]) => {
          parallel(kernel('fill'), 8, out, 1 << 15, 1 << 13, 1);
          // Its first band writes across the end of the address space.
          parallel(kernel('fill'), 4, 2 ** 32 - 2, 1, 1, 1);
        }),
      /out of bounds|trapped/,
    );
    assert.equal(Array.from(tf.add(x, 1).dataSync().subarray(0, 3)), [2, 2, 2]);
  }
  setThreadCount(2);
  x.dispose();
});

test('tensors go back and forth between two backends, and either disposes them', () => {
  type Move = (list: tf.Tensor[], pick: number) => tf.Tensor;
  const at = (list: tf.Tensor[], pick: number) => list[pick % list.length];
  const moves: Move[] = [
    (list, n) => tf.add(at(list, n), at(list, n + 1)),
    (list, n) => tf.matMul(at(list, n) as tf.Tensor2D, at(list, n + 2) as tf.Tensor2D, true),
    (list, n) => tf.clone(at(list, n)),
    (list, n) => tf.reshape(tf.transpose(at(list, n)), [6, 6]),
    (list, n) => tf.tanh(at(list, n)),
    (list, n) => tf.cast(tf.cast(at(list, n), 'int32'), 'float32'),
    (list, n) => tf.where(tf.greater(at(list, n), 0), at(list, n), at(list, n + 1)),
  ];
  const steps = fc.array(
    fc.record({
      loom: fc.boolean(),
      move: fc.nat(moves.length - 1),
      pick: fc.nat(99),
      drop: fc.boolean(),
    }),
    { maxLength: 30 },
  );
  const run = (program: { loom: boolean; move: number; pick: number; drop: boolean }[], mixed: boolean) => {
    const list = [0, 1, 2].map(f =>
      tf.tensor(
        Float32Array.from({ length: 36 }, (_, i) => Math.sin(i * (f + 1))),
        [6, 6],
      ),
    );
    for (const { loom, move, pick, drop } of program) {
      void tf.setBackend(mixed && loom ? 'loom' : 'cpu');
      // Scaled down, that products of products stay finite.
      list.push(tf.tidy(() => tf.mul(moves[move](list, pick), 0.4)));
      if (drop && list.length > 3) list.splice(pick % list.length, 1)[0].dispose();
    }
    const values = list.map(t => Array.from(t.dataSync()));
    tf.dispose(list);
    return values;
  };
  const before = held();
  fc.assert(
    fc.property(steps, program => {
      const [expected, found] = [run(program, false), run(program, true)];
      // Thirty operations, each within a few units of 6e-8 of the other backend's; casts to whole numbers see no number near one but 0 itself.
      expected.forEach((values, t) => {
        values.forEach((value, i) => {
          assert.ok(Math.abs(found[t][i] - value) < 1e-4, `tensor ${t}[${i}]: ${found[t][i]}, not ${value}`);
        });
      });
    }),
    { numRuns: 60, seed: 1 },
  );
  void tf.setBackend('loom');
  assert.equal(held(), before);
});

test.run();
