/** Kernels of `edgeMessage` in src/tensor/edge-message.ts. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { LoomGpuBackend } from './backend.ts';
import { linear, PRODUCTS } from './gemm.ts';
import { define } from './kernels.ts';
import { SUMS, sumMiddle } from './reduce.ts';
import { flat, perItem, type Shader, sizeOf, words } from './shader.ts';

/** y = relu(x + outer + inner). `numbers`: size, outers, inners, width, batch stride of outer and inner (0 where all share one). */
const finish = (outer: boolean, inner: boolean): Shader =>
  perItem(
    'edge message',
    { outputs: ['y'], inputs: ['x', ...(outer ? ['outer'] : []), ...(inner ? ['inner'] : [])] },
    `let width = numbers[3];
  let h = item % width;
  let i = (item / width) % numbers[2];
  let o = (item / (width * numbers[2])) % numbers[1];
  let b = item / (width * numbers[2] * numbers[1]);
  var v = x[item];
  ${outer ? 'v += outer[b * numbers[4] + o * width + h];' : ''}
  ${inner ? 'v += inner[b * numbers[5] + i * width + h];' : ''}
  y[item] = select(max(v, 0.0), v, (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u);`,
  );

/** By whether there is an outer and an inner end. */
const FINISH = [false, true].map(outer => [false, true].map(inner => finish(outer, inner)));

const apart = (end: TensorInfo | undefined) => (end && end.shape[0] > 1 ? end.shape[1] * end.shape[2] : 0);

define('LoomEdgeMessage', [...PRODUCTS, ...FINISH.flat()], ({ edges, weight, outer, inner }, _, backend) => {
  const [batch, outers, inners] = edges.shape;
  const width = weight.shape[1];
  const products = linear(backend, edges, weight);
  const y = backend.output([batch, outers, inners, width]);
  const size = sizeOf(y);
  const ends = [outer, inner].filter(end => end !== undefined);
  const numbers = words(size, outers, inners, width, apart(outer), apart(inner));
  backend.compute(FINISH[outer ? 1 : 0][inner ? 1 : 0], [products, ...ends], [y], numbers, flat(size));
  backend.drop(products);
  return y;
});

const SLOPE = perItem(
  'edge message gradient',
  { outputs: ['g'], inputs: ['dy', 'y'] },
  'g[item] = select(0.0, dy[item], y[item] > 0.0);',
);

/** The sum for an end over the other axis, and over the batch where all share it; one number where there is no such end. */
function endGradient(
  backend: LoomGpuBackend,
  g: TensorInfo,
  [outer, length, inner]: readonly [number, number, number],
  samples: number,
  [batch, count, width]: readonly [number, number, number],
): TensorInfo {
  if (samples === 0) return backend.output([1]);
  const own = sumMiddle(backend, g, outer, length, inner, [batch, count, width]);
  if (samples === batch) return own;
  const shared = sumMiddle(backend, own, 1, batch, count * width, [1, count, width]);
  backend.drop(own);
  return shared;
}

define('LoomEdgeMessageGradient', [SLOPE, ...SUMS], ({ dy, y }, { outerBatch, innerBatch }, backend) => {
  const [batch, outers, inners, width] = y.shape;
  const g = backend.output(y.shape);
  const size = sizeOf(g);
  backend.compute(SLOPE, [dy, y], [g], words(size), flat(size));
  return [
    g,
    endGradient(backend, g, [batch * outers, inners, width], outerBatch, [batch, outers, width]),
    endGradient(backend, g, [batch, outers, inners * width], innerBatch, [batch, inners, width]),
  ];
});
