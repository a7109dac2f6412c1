import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { MethodResult, PairMetric } from '../evaluation/index.ts';
import { goalRecord, goalTable, goalTimes, type Tuning } from './goal-times.ts';

const metric: PairMetric = {
  name: 'd',
  better: 'lower',
  compare: () => Promise.reject(new Error('measured')),
};
const result = (...values: number[]): MethodResult => ({
  name: '',
  kind: 'baseline',
  weights: new Float32Array(),
  pictures: new Float32Array(),
  health: [],
  values: { d: Float64Array.from(values) },
});
/** Three textures at iterations 0, 10 and 20. */
const tuning: Tuning = {
  checkpoints: [0, 10, 20],
  curves: [
    {
      start: 'slow',
      results: [result(4, 4, 4), result(4, 2, 4), result(2, 1, 4)],
      skipped: new Int32Array(3),
      seconds: 6,
    },
    {
      start: 'fast',
      results: [result(4, 4, 4), result(1, 1, 1), result(1, 1, 1)],
      skipped: new Int32Array(3),
      seconds: 6,
    },
  ],
  bound: result(1, 1, 1),
};
const goals = [
  { label: 'half', distances: [2, 2, 2] },
  { label: 'four', distances: [4, 4, 4] },
];

test('every texture has its time, the one that never arrives a bound, and starts are set against those that take part', () => {
  const [half, four] = goalTimes(tuning, goals, ['absent', 'slow'], metric);
  assert.equal(half.references, ['slow']);
  const [slow, fast] = half.starts;
  assert.equal(slow.times, [
    { low: 20, high: 20 },
    { low: 10, high: 10 },
    { low: 20, high: Infinity },
  ]);
  // From 4 to 1 in ten iterations, evenly in the logarithm: 2 after five.
  assert.equal(fast.median.value, { low: 5, high: 5 });
  assert.equal(fast.speedUp.slow.value, { low: 4, high: 4 });
  assert.equal(Object.keys(slow.speedUp), []);
  const table = goalTable(half, 20).source;
  assert.match(table, /2 of 3/);
  assert.match(table, /4x \[2, ∞\]/);
  assert.match(goalTable(four, 20).source, /both need none/);
});

test('an open end is null in the record, and the record is JSON', () => {
  const [half] = goalTimes(tuning, goals, ['slow'], metric);
  const record = goalRecord(half);
  assert.equal(record.starts.slow.iterations[2], { low: 20, high: null });
  assert.is(record.starts.slow.reached, 2);
  assert.equal(JSON.parse(JSON.stringify(record)), record);
});

test('nothing is claimed where nobody arrives', () => {
  const [never] = goalTimes(tuning, [{ label: 'never', distances: [0.5, 0.5, 0.5] }], ['slow'], metric);
  const table = goalTable(never, 20).source;
  assert.match(table, /0 of 3/);
  assert.match(table, /&gt; 20</);
  assert.match(table, /not known/);
});

test.run();
