/** Adam (Kingma and Ba 2015) on several weight vectors at once, each block's gradient first brought to unit length. */
import type { ParameterBlock } from './adaptation.ts';

const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;

/** A learning rate that falls by a factor at each milestone. */
export interface Schedule {
  readonly learningRate: number;
  /** Iterations at which the learning rate is multiplied by `decay`. */
  readonly milestones: readonly number[];
  readonly decay: number;
}

/** learningRate * decay^k, k the milestones that lie at or before the iteration (the first iteration is 0). */
export const learningRateAt = ({ learningRate, milestones, decay }: Schedule, iteration: number): number =>
  learningRate * decay ** milestones.filter(milestone => iteration >= milestone).length;

/**
 * Adam on N weight vectors of one spec side by side, each block's gradient first brought to unit length; betas 0.9 and 0.999, epsilon 1e-8.
 */
export class NormalisedAdam {
  /** [N * P], the running means of gradients and of their squares. */
  readonly first: Float32Array;
  readonly second: Float32Array;
  /** Updates made of each vector. */
  readonly updates: Float32Array;
  private readonly count: number;

  constructor(
    /** Of one vector; together they are all of it. */
    private readonly blocks: readonly ParameterBlock[],
    /** [N * P], changed in place. */
    readonly weights: Float32Array,
  ) {
    this.count = blocks.reduce((sum, { size }) => sum + size, 0);
    this.first = new Float32Array(weights.length);
    this.second = new Float32Array(weights.length);
    this.updates = new Float32Array(weights.length / this.count);
  }

  /**
   * One update of every vector whose gradient is finite. The gradient of each block is divided by (its norm + 1e-8).
   * @param gradients [N * P]
   * @returns which of the N were left as they were because their gradient is not finite
   */
  update(gradients: Float32Array, learningRate: number): number[] {
    const { count, blocks } = this;
    const skipped: number[] = [];
    for (let n = 0; n < this.updates.length; n++) {
      const norms = blocks.map(({ offset, size }) => norm(gradients, n * count + offset, size));
      if (!norms.every(Number.isFinite)) {
        skipped.push(n);
        continue;
      }
      const t = ++this.updates[n];
      const rate = learningRate / (1 - BETA1 ** t);
      const correction = 1 / Math.sqrt(1 - BETA2 ** t);
      blocks.forEach(({ offset, size }, block) => {
        const scale = 1 / (norms[block] + 1e-8);
        for (let i = n * count + offset; i < n * count + offset + size; i++) {
          const slope = gradients[i] * scale;
          this.first[i] = BETA1 * this.first[i] + (1 - BETA1) * slope;
          this.second[i] = BETA2 * this.second[i] + (1 - BETA2) * slope * slope;
          this.weights[i] -= (rate * this.first[i]) / (Math.sqrt(this.second[i]) * correction + EPSILON);
        }
      });
    }
    return skipped;
  }
}

function norm(values: Float32Array, start: number, length: number): number {
  let sum = 0;
  for (let i = start; i < start + length; i++) sum += values[i] * values[i];
  return Math.sqrt(sum);
}
