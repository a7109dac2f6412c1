/** Gradients of the operators that only move numbers, and of sums by index, beside differences of their float64 definitions. */
import { test } from 'uvu';
import { at, build, checkGradients, type Doubles, spread } from '../../../property-tests/differences.ts';
import { startBackend, tf } from '../index.ts';

await startBackend({ prefer: 'loom' });

const x = spread([3, 4, 5]);
const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
const check = (
  name: string,
  operation: (a: tf.Tensor3D) => tf.Tensor | tf.Tensor[],
  definition: (a: Doubles) => Doubles | Doubles[],
) => checkGradients(name, operation as never, definition, [x]);

test('transpose, slice, reverse, tile, split', () => {
  check(
    'transpose',
    a => tf.transpose(a, [2, 0, 1]),
    a => build([5, 3, 4], ([i, j, k]) => at(a, j, k, i)),
  );
  check(
    'slice',
    a => tf.slice(a, [1, 0, 2], [2, 3, 2]),
    a => build([2, 3, 2], ([i, j, k]) => at(a, i + 1, j, k + 2)),
  );
  check(
    'reverse',
    a => tf.reverse(a, [0, 2]),
    a => build(a.shape, ([i, j, k]) => at(a, 2 - i, j, 4 - k)),
  );
  check(
    'tile',
    a => tf.tile(a, [2, 1, 3]),
    a => build([6, 4, 15], ([i, j, k]) => at(a, i % 3, j, k % 5)),
  );
  check(
    'split',
    a => tf.split(a, [1, 3], 1),
    a => [
      build([3, 1, 5], ([i, j, k]) => at(a, i, j, k)),
      build([3, 3, 5], ([i, j, k]) => at(a, i, j + 1, k)),
    ],
  );
  check(
    'unstack',
    a => tf.unstack(a, 2),
    a => [0, 1, 2, 3, 4].map(k => build([3, 4], ([i, j]) => at(a, i, j, k))),
  );
});

/** Where an index beyond the ends of an axis is mirrored to. */
function mirrored(i: number, size: number, mode: 'reflect' | 'symmetric'): number {
  const edge = mode === 'reflect' ? 0 : 1;
  return i < 0 ? -i - edge : i >= size ? 2 * (size - 1) - i + edge : i;
}

test('padding by a number and by mirrors', () => {
  const margins: [number, number][] = [
    [1, 0],
    [0, 3],
    [2, 2],
  ];
  const inside = (i: number, j: number, k: number) => i >= 1 && j < 4 && k >= 2 && k < 7;
  check(
    'pad',
    a => tf.pad(a, margins, 0.5),
    a => build([4, 7, 9], ([i, j, k]) => (inside(i, j, k) ? at(a, i - 1, j, k - 2) : 0.5)),
  );
  for (const mode of ['reflect', 'symmetric'] as const)
    check(
      `mirrorPad, ${mode}`,
      a => tf.mirrorPad(a, margins, mode),
      a =>
        build([4, 7, 9], ([i, j, k]) =>
          at(a, mirrored(i - 1, 3, mode), mirrored(j, 4, mode), mirrored(k - 2, 5, mode)),
        ),
    );
});

test('gather, segment sums, running sums', () => {
  const rows = [2, 0, 2, 2];
  check(
    'gather rows',
    a => tf.gather(a, rows),
    a => build([4, 4, 5], ([i, j, k]) => at(a, rows[i], j, k)),
  );
  const columns = [3, 3, 1];
  check(
    'gather columns',
    a => tf.gather(a, columns, 1),
    a => build([3, 3, 5], ([i, j, k]) => at(a, i, columns[j], k)),
  );
  const ids = [1, 0, 1];
  check(
    'unsortedSegmentSum',
    a => tf.unsortedSegmentSum(a, tf.tensor1d(ids, 'int32'), 4),
    a => build([4, 4, 5], ([s, j, k]) => sum(ids.map((id, i) => (id === s ? at(a, i, j, k) : 0)))),
  );
  for (const axis of [0, 1, 2])
    for (const reverse of [false, true])
      for (const exclusive of [false, true])
        check(
          `cumsum over ${axis}${reverse ? ', reverse' : ''}${exclusive ? ', exclusive' : ''}`,
          a => tf.cumsum(a, axis, exclusive, reverse),
          a =>
            build(a.shape, index => {
              const before = Array.from({ length: a.shape[axis] }, (_, i) => i).filter(i =>
                reverse ? i > index[axis] : i < index[axis],
              );
              const seen = exclusive ? before : [...before, index[axis]];
              return sum(seen.map(i => at(a, ...index.map((place, d) => (d === axis ? i : place)))));
            }),
        );
});

test('concat, stack, select, addN', () => {
  checkGradients(
    'concat',
    (a: tf.Tensor3D, b: tf.Tensor3D) => tf.concat([a, b, a], 1),
    (a, b) =>
      build([3, 10, 5], ([i, j, k]) =>
        j < 4 ? at(a, i, j, k) : j < 6 ? at(b, i, j - 4, k) : at(a, i, j - 6, k),
      ),
    [x, spread([3, 2, 5], 2)],
  );
  const mask = Array.from({ length: 15 }, (_, i) => i % 2);
  checkGradients(
    'where, stack, addN',
    (a: tf.Tensor, b: tf.Tensor) => [
      tf.where(tf.tensor2d(mask, [3, 5], 'bool'), tf.square(a), b),
      tf.stack([a, b], 1),
      tf.addN([a, b, a]),
    ],
    (a, b) => [
      build([3, 5], ([i, j]) => (mask[5 * i + j] ? at(a, i, j) ** 2 : at(b, i, j))),
      build([3, 2, 5], ([i, j, k]) => at(j === 0 ? a : b, i, k)),
      build([3, 5], ([i, j]) => 2 * at(a, i, j) + at(b, i, j)),
    ],
    [spread([3, 5]), spread([3, 5], 2)],
  );
});

test.run();
