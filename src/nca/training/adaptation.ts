/**
 * What of an NCA's weights is trained: all of them, or a change of low rank to those it starts from (Hu et al. 2021, "LoRA"):
 *   w1 = w1_0 + L1 R1,  w2 = w2_0 + L2 R2,  biases free,  L [rows, r], R [r, columns].
 */
import { randomStream } from '../../tensor/index.ts';
import { type NcaSpec, weightBlocks, weightCount } from '../spec.ts';

/** A run of numbers in a vector of parameters; the optimiser brings the gradient of each to unit length. */
export interface ParameterBlock {
  readonly offset: number;
  readonly size: number;
}

/** Parameters, the weights they stand for, and how a gradient goes back from these to those. */
export interface Adaptation {
  readonly blocks: readonly ParameterBlock[];
  /** Numbers of one vector of parameters. */
  readonly count: number;
  /** Parameters that stand for the weights `start` [D]: [count]. */
  begin(start: Float32Array): Float32Array;
  /** Writes to `weights` [D] what `parameters` [count] stand for, when training started from `start` [D]. */
  weights(parameters: Float32Array, start: Float32Array, weights: Float32Array): void;
  /** The gradient of the parameters [count] from that of the weights [D]. */
  pullBack(parameters: Float32Array, gradient: Float32Array): Float32Array;
}

/** All weights are trained as they are. */
export function fullAdaptation(spec: NcaSpec): Adaptation {
  return {
    blocks: weightBlocks(spec),
    count: weightCount(spec),
    begin: start => start.slice(),
    weights: (parameters, _, weights) => weights.set(parameters),
    pullBack: (_, gradient) => gradient.slice(),
  };
}

interface Factors {
  /** Of the weights. */
  readonly offset: number;
  readonly rows: number;
  readonly columns: number;
  /** Of L and R among the parameters. */
  readonly left: number;
  readonly right: number;
}

/**
 * Changes of rank `rank` to both layers. R starts at random, the same for every NCA of a seed, and L at zero: training begins at the weights
 * it starts from.
 */
export function lowRankAdaptation(spec: NcaSpec, rank: number, seed: number): Adaptation {
  const blocks: ParameterBlock[] = [];
  let count = 0;
  const take = (size: number) => {
    blocks.push({ offset: count, size });
    count += size;
    return count - size;
  };
  const layers: Factors[] = [];
  const free: { from: number; to: number; size: number }[] = [];
  for (const { shape, offset, size } of weightBlocks(spec)) {
    const [rows, columns] = shape;
    if (columns === undefined) free.push({ from: offset, to: take(size), size });
    else layers.push({ offset, rows, columns, left: take(rows * rank), right: take(rank * columns) });
  }
  return {
    blocks,
    count,
    begin(start) {
      const parameters = new Float32Array(count);
      const random = randomStream(seed, 'adaptation');
      for (const { right, columns } of layers) {
        parameters.set(random.normals(rank * columns, 0, 1 / Math.sqrt(columns)), right);
      }
      for (const { from, to, size } of free) parameters.set(start.subarray(from, from + size), to);
      return parameters;
    },
    weights(parameters, start, weights) {
      weights.set(start);
      for (const { from, to, size } of free) weights.set(parameters.subarray(to, to + size), from);
      for (const { offset, rows, columns, left, right } of layers) {
        for (let i = 0; i < rows; i++) {
          for (let k = 0; k < rank; k++) {
            const factor = parameters[left + i * rank + k];
            for (let j = 0; j < columns; j++) {
              weights[offset + i * columns + j] += factor * parameters[right + k * columns + j];
            }
          }
        }
      }
    },
    pullBack(parameters, gradient) {
      const back = new Float32Array(count);
      for (const { from, to, size } of free) back.set(gradient.subarray(from, from + size), to);
      for (const { offset, rows, columns, left, right } of layers) {
        for (let i = 0; i < rows; i++) {
          for (let k = 0; k < rank; k++) {
            const factor = parameters[left + i * rank + k];
            let sum = 0;
            for (let j = 0; j < columns; j++) {
              const slope = gradient[offset + i * columns + j];
              sum += slope * parameters[right + k * columns + j];
              back[right + k * columns + j] += factor * slope;
            }
            back[left + i * rank + k] = sum;
          }
        }
      }
      return back;
    },
  };
}
