import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Bounds, isReached, iterationsTo, medianTime, speedUp, typicalTime } from './iterations.ts';

const exactly = (time: number): Bounds => ({ low: time, high: time });
const beyond = (last: number): Bounds => ({ low: last, high: Infinity });

test('an exponential curve reaches a goal when it does, wherever the checkpoints lie', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.001, max: 0.1, noNaN: true }),
      fc.double({ min: 0.01, max: 0.99, noNaN: true }),
      fc.uniqueArray(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 6 }),
      (rate, share, inner) => {
        const iterations = [0, ...inner.sort((a, b) => a - b), 320];
        const curve = iterations.map(k => 3 * Math.exp(-rate * k));
        const time = share * 320;
        const found = iterationsTo(iterations, curve, 3 * Math.exp(-rate * time));
        // Logarithms of quotients near 1 at rates of 1e-3 lose some 1e-10 of 320.
        return found.low === found.high && Math.abs(found.low - time) < 1e-6;
      },
    ),
  );
});

test('a start that is there needs nothing; one that never arrives is known to need more than was done', () => {
  assert.equal(iterationsTo([0, 10, 20], [1, 0.5, 0.25], 1), exactly(0));
  assert.equal(iterationsTo([0, 10, 20], [1, 0.5, 0.25], 0.25), exactly(20));
  assert.equal(iterationsTo([0, 10, 20], [1, 0.5, 0.25], 0.2), beyond(20));
  // The first time counts, though the curve rises again.
  assert.equal(iterationsTo([0, 10, 20], [1, 0.5, 2], 0.5), exactly(10));
});

test('censored times move the median only when half of them are', () => {
  assert.equal(medianTime([exactly(1), exactly(5), beyond(20)]), exactly(5));
  assert.equal(medianTime([exactly(1), beyond(20), beyond(20)]), beyond(20));
  assert.equal(medianTime([exactly(4), beyond(20)]), { low: 12, high: Infinity });
});

test('what training longer would have shown lies within the bounds', () => {
  const times = fc.array(fc.double({ min: 1, max: 100, noNaN: true }), { minLength: 2, maxLength: 9 });
  fc.assert(
    fc.property(
      times,
      fc.double({ min: 1, max: 100, noNaN: true }),
      fc.double({ min: 0.2, max: 5 }),
      (all, last, factor) => {
        const censored = (values: number[]) =>
          values.map(time => (time <= last ? exactly(time) : beyond(last)));
        const other = all.map((time, i) => time * factor * (1 + 0.1 * (i % 3)));
        const holds = (wide: Bounds, { low }: Bounds) =>
          wide.low <= low * (1 + 1e-12) && low <= wide.high * (1 + 1e-12);
        return (
          holds(medianTime(censored(all)), medianTime(all.map(exactly))) &&
          holds(
            speedUp(censored(all), censored(other)).value,
            speedUp(all.map(exactly), other.map(exactly)).value,
          )
        );
      },
    ),
    { numRuns: 20 },
  );
});

test('the speed-up of a start that always takes half as long is two, and its interval holds it', () => {
  const slow = [10, 40, 12, 80, 33, 21].map(exactly);
  const found = speedUp(
    slow,
    slow.map(({ low }) => exactly(low / 2)),
  );
  assert.equal(found.value, exactly(2));
  assert.ok(found.interval.low <= 2 && found.interval.high >= 2);
  const many = Array.from({ length: 200 }, (_, i) => exactly(20 + (i % 7)));
  const { value, interval } = typicalTime(many);
  assert.equal(value, exactly(23));
  assert.ok(interval.low >= 22 && interval.high <= 24);
});

test('nothing is made of times that tell nothing', () => {
  const never = [beyond(20), beyond(20), beyond(20)];
  const there = [exactly(0), exactly(0), exactly(0)];
  assert.equal(speedUp(never, never).value, { low: 0, high: Infinity });
  assert.equal(speedUp(there, there).value, { low: 0, high: Infinity });
  assert.equal(speedUp(never, [exactly(5), exactly(5), exactly(5)]), {
    value: { low: 4, high: Infinity },
    interval: { low: 4, high: Infinity },
  });
  assert.ok(isReached(exactly(3)) && !isReached(beyond(3)));
  assert.throws(() => speedUp(never, never.slice(1)), /3 and 2 textures/);
});

test.run();
