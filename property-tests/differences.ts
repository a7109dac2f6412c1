/** Gradients of float32 operators beside central differences of the same function computed in float64. */
import * as assert from 'uvu/assert';
import { tf } from '../src/tensor/index.ts';

/** An array in float64, row-major. */
export interface Doubles {
  readonly shape: readonly number[];
  readonly values: Float64Array;
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** The array whose element at `index` is f(index). */
export function build(shape: readonly number[], f: (index: readonly number[]) => number): Doubles {
  const index = shape.map(() => 0);
  const values = new Float64Array(sizeOf(shape));
  for (let i = 0; i < values.length; i++) {
    values[i] = f(index);
    for (let d = shape.length - 1; d >= 0 && ++index[d] === shape[d]; d--) index[d] = 0;
  }
  return { shape, values };
}

export function at({ shape, values }: Doubles, ...index: readonly number[]): number {
  let place = 0;
  for (let d = 0; d < shape.length; d++) place = place * shape[d] + index[d];
  return values[place];
}

/**
 * Numbers in [-2, 2] that float32 holds exactly, no two alike and none near 0: maxima and kinks stay where they are when one of
 * them moves by a small step. Another `seed`, another order and offset.
 */
export function spread(shape: readonly number[], seed = 1): Doubles {
  const size = sizeOf(shape);
  const offset = 0.37 + 0.11 * (seed % 3);
  const step = [7919, 104729, 1299709, 15485863][seed % 4];
  let i = 0;
  return build(shape, () =>
    Math.fround((((i++ * step + seed) % size) - Math.floor(size / 2) + offset) * (4 / size)),
  );
}

const STEP = 2 ** -12;

type Results<T> = T | readonly T[];
const listOf = <T extends object>(results: Results<T>): readonly T[] =>
  Array.isArray(results) ? results : [results as T];

/** Weights of the outputs' sum, so that no two elements' gradients can be taken for each other. */
const weight = (output: number, i: number) => Math.fround(Math.sin(1 + 1.7 * i + output) + 0.25);

function loss(outputs: readonly Doubles[]): number {
  let sum = 0;
  outputs.forEach(({ values }, o) => {
    for (let i = 0; i < values.length; i++) sum += weight(o, i) * values[i];
  });
  return sum;
}

/**
 * Holds the values and all gradients of `operation` to those of `plain`, its definition in float64. The differences themselves are good to
 * STEP^2 / 6 (about 1e-8) times the third derivative, which leaves float32's rounding: some tens of units of 6e-8 for
 * sums of up to a hundred terms and polynomials of a few units' error. Hence the default tolerance, relative to the largest number compared (or 1).
 */
export function checkGradients(
  name: string,
  operation: (...inputs: never[]) => Results<tf.Tensor>,
  plain: (...inputs: Doubles[]) => Results<Doubles>,
  inputs: readonly Doubles[],
  tolerance = 1e-5,
): void {
  const before = tf.memory().numTensors;
  const expected = listOf(plain(...inputs));
  const tensors = inputs.map(({ values, shape }) => tf.tensor(Float32Array.from(values), [...shape]));
  const outputs = tf.tidy(() => {
    const found = listOf(operation(...(tensors as never[])));
    assert.equal(
      found.map(x => x.shape),
      expected.map(x => [...x.shape]),
      name,
    );
    return found.map(x => x.dataSync());
  });
  outputs.forEach((found, o) => {
    near(`${name}, output ${o}`, found, expected[o].values, tolerance);
  });
  const weighted = (...x: tf.Tensor[]) =>
    tf.addN(
      listOf(operation(...(x as never[]))).map((y, o) =>
        tf.sum(
          tf.mul(
            y,
            tf.tensor(
              Float32Array.from({ length: y.size }, (_, i) => weight(o, i)),
              y.shape,
            ),
          ),
        ),
      ),
    );
  const gradients = tf.tidy(() =>
    tf
      .grads(weighted)(tensors)
      .map(g => g.dataSync()),
  );
  inputs.forEach((input, which) => {
    const slopes = Float64Array.from(input.values, (value, i) => {
      const moved = (to: number) => {
        const values = input.values.slice();
        values[i] = to;
        return loss(listOf(plain(...inputs.map((x, j) => (j === which ? { shape: x.shape, values } : x)))));
      };
      return (moved(value + STEP) - moved(value - STEP)) / (2 * STEP);
    });
    near(`${name}, gradient to input ${which}`, gradients[which], slopes, tolerance);
  });
  tf.dispose(tensors);
  assert.is(tf.memory().numTensors, before, `${name} leaks`);
}

function near(what: string, found: ArrayLike<number>, expected: Float64Array, tolerance: number): void {
  assert.is(found.length, expected.length, what);
  const scale = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 1);
  expected.forEach((e, i) => {
    const error = Math.abs(found[i] - e);
    assert.ok(error <= tolerance * scale, `${what}[${i}]: ${found[i]}, not ${e}`);
  });
}
