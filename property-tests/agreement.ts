/** For tests: the same operation on loom and on tfjs-backend-cpu, compared. */
import { tf } from '../src/tensor/index.ts';

export interface Given {
  readonly values: ArrayLike<number>;
  readonly shape: readonly number[];
  readonly dtype?: 'float32' | 'int32' | 'bool';
}

type Result = { values: number[]; shape: number[]; dtype: string };

function on(
  backend: string,
  given: readonly Given[],
  op: (...inputs: never[]) => tf.Tensor | tf.Tensor[],
): Result[] {
  void tf.setBackend(backend);
  const before = tf.memory().numTensors;
  const results = tf.tidy(() => {
    const inputs = given.map(({ values, shape, dtype = 'float32' }) =>
      tf.tensor(Array.from(values), [...shape], dtype),
    );
    const out = op(...(inputs as never[]));
    return (Array.isArray(out) ? out : [out]).map(t => ({
      values: Array.from(t.dataSync()),
      shape: [...t.shape],
      dtype: t.dtype,
    })) as never;
  }) as unknown as Result[];
  if (tf.memory().numTensors !== before)
    throw new Error(`${backend} leaks ${tf.memory().numTensors - before} tensors`);
  return results;
}

const same = (x: number, y: number, tolerance: number) =>
  Object.is(x, y) || x === y || Math.abs(x - y) <= tolerance * Math.max(1, Math.abs(y));

/**
 * Throws unless both backends give the same shapes, types and (to `tolerance`, absolute below 1 and relative above) numbers.
 * NaN and infinities must be the same in both.
 */
export function agree(
  given: readonly Given[],
  op: (...inputs: never[]) => tf.Tensor | tf.Tensor[],
  tolerance = 1e-6,
): void {
  const expected = on('cpu', given, op);
  const found = on('loom', given, op);
  if (expected.length !== found.length) throw new Error(`${found.length} outputs, not ${expected.length}`);
  expected.forEach((e, o) => {
    const f = found[o];
    if (String(e.shape) !== String(f.shape)) throw new Error(`shape [${f.shape}], not [${e.shape}]`);
    if (e.dtype !== f.dtype) throw new Error(`${f.dtype}, not ${e.dtype}`);
    for (let i = 0; i < e.values.length; i++) {
      if (!same(f.values[i], e.values[i], tolerance)) {
        throw new Error(`output ${o} element ${i} of [${e.shape}]: ${f.values[i]}, not ${e.values[i]}`);
      }
    }
  });
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Numbers in [-1, 1] for a shape, the same every time. */
export const wave = (shape: readonly number[], frequency: number): Given => ({
  shape,
  values: Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(frequency * i + 0.3)),
});

// biome-ignore lint/suspicious/noExplicitAny: operators of many signatures
type Op = (...inputs: any[]) => any;

/** f and the gradients of a weighted sum of it. */
export const withGradients =
  (f: Op): Op =>
  (...x) => {
    const { value, grads } = tf.valueAndGrads((...y: tf.Tensor[]) => {
      const out = f(...y);
      return tf.sum(tf.mul(out, tf.sin(tf.reshape(tf.range(0, out.size), out.shape))));
    })(x);
    return [value, ...grads];
  };
