/** ONNX graphs run one number at a time, by the definitions of their operators: what an exported graph is tested with. */
import type { NdArray, OnnxModel, OnnxNode } from '../src/formats/index.ts';

interface Value {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}
type Attributes = NonNullable<OnnxNode['attributes']>;

const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** A value of this shape, its number at each place from `at`. */
function filled(shape: readonly number[], at: (place: number[]) => number): Value {
  const place = shape.map(() => 0);
  const data = Float64Array.from({ length: product(shape) }, () => {
    const value = at(place);
    for (let axis = shape.length - 1; axis >= 0 && ++place[axis] === shape[axis]; axis--) place[axis] = 0;
    return value;
  });
  return { shape, data };
}

/** The number of a value at a place of a shape it is broadcast to. */
const read = ({ shape, data }: Value, place: readonly number[]): number =>
  data[
    shape.reduce((index, n, axis) => index * n + (n === 1 ? 0 : place[axis + place.length - shape.length]), 0)
  ];

const broadcast =
  (f: (a: number, b: number) => number) =>
  ([a, b]: Value[]): Value => {
    const rank = Math.max(a.shape.length, b.shape.length);
    const sizes = (x: Value) => [...Array(rank - x.shape.length).fill(1), ...x.shape];
    const [left, right] = [sizes(a), sizes(b)];
    return filled(
      left.map((n, axis) => Math.max(n, right[axis])),
      place => f(read(a, place), read(b, place)),
    );
  };

const int = (attributes: Attributes, name: string, fallback: number) => {
  const found = attributes[name];
  return found && 'int' in found ? found.int : fallback;
};

/** Cross-correlation without padding. */
function conv([x, weight, bias]: Value[], attributes: Attributes): Value {
  const groups = int(attributes, 'group', 1);
  const [outputs, each, rows, columns] = weight.shape;
  const [batch, , height, width] = x.shape;
  return filled([batch, outputs, height - rows + 1, width - columns + 1], ([b, o, y, c]) => {
    let sum = bias ? bias.data[o] : 0;
    const first = Math.floor(o / (outputs / groups)) * each;
    for (let i = 0; i < each; i++)
      for (let r = 0; r < rows; r++)
        for (let k = 0; k < columns; k++)
          sum += read(weight, [o, i, r, k]) * read(x, [b, first + i, y + r, c + k]);
    return sum;
  });
}

function slice([x, from, to, axes]: Value[]): Value {
  const axis = axes.data[0];
  const size = x.shape[axis];
  const bound = (i: number) => Math.min(Math.max(i < 0 ? i + size : i, 0), size);
  const [start, end] = [bound(from.data[0]), bound(to.data[0])];
  const shape = x.shape.map((n, a) => (a === axis ? end - start : n));
  return filled(shape, place =>
    read(
      x,
      place.map((i, a) => (a === axis ? i + start : i)),
    ),
  );
}

function concat(parts: Value[], attributes: Attributes): Value {
  const axis = int(attributes, 'axis', 0);
  // Which part a place along the axis is in, and where in it.
  const places = parts.flatMap(part => Array.from({ length: part.shape[axis] }, (_, at) => ({ part, at })));
  const shape = parts[0].shape.map((n, a) => (a === axis ? places.length : n));
  return filled(shape, place => {
    const { part, at } = places[place[axis]];
    return read(
      part,
      place.map((i, a) => (a === axis ? at : i)),
    );
  });
}

const OPERATORS: Record<string, (inputs: Value[], attributes: Attributes) => Value> = {
  Identity: ([x]) => x,
  Relu: ([x]) => filled(x.shape, place => Math.max(0, read(x, place))),
  Clip: ([x, low, high]) =>
    filled(x.shape, place => Math.min(Math.max(read(x, place), low.data[0]), high.data[0])),
  Add: broadcast((a, b) => a + b),
  Mul: broadcast((a, b) => a * b),
  Conv: conv,
  Slice: slice,
  Concat: concat,
};

const plain = ({ shape, data }: NdArray<Float32Array | BigInt64Array>): Value => ({
  shape,
  data: Float64Array.from(data as ArrayLike<number | bigint>, Number),
});

/** The outputs of a model for inputs by name; every operator and name it uses must be known. */
export function runOnnx(
  { nodes, constants, inputs, outputs }: OnnxModel,
  given: Readonly<Record<string, Value>>,
): Record<string, Value> {
  const values = new Map(Object.entries(constants).map(([name, array]) => [name, plain(array)]));
  for (const { name } of inputs) values.set(name, given[name]);
  const find = (name: string) => {
    const found = values.get(name);
    if (!found) throw new Error(`no value ${name}`);
    return found;
  };
  for (const { op, inputs: names, outputs: made, attributes = {} } of nodes) {
    const operator = OPERATORS[op];
    if (!operator) throw new Error(`no operator ${op}`);
    values.set(made[0], operator(names.map(find), attributes));
  }
  return Object.fromEntries(outputs.map(({ name }) => [name, find(name)]));
}
