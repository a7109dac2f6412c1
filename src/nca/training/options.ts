/** How NCAs are trained, what an iteration gives, and what every trainer does, wherever it computes. */
import { type NdArray, shapeText } from '../../formats/index.ts';
import { type NcaSpec, weightCount } from '../spec.ts';
import { patchSlicedWasserstein, type TextureLoss } from '../texture-loss.ts';
import type { Adaptation } from './adaptation.ts';
import { initialWeights } from './initial.ts';
import type { Schedule } from './optimiser.ts';

/** How an NCA is trained on a texture; `TRAINING_DEFAULTS` has the published settings. */
export interface NcaTrainingOptions extends Schedule {
  /** Seed of everything drawn at random, the initial weights included. */
  readonly seed: number;
  /** Grid cells, which are the pixels of the NCA's picture. */
  readonly height: number;
  readonly width: number;
  readonly iterations: number;
  /** States kept per NCA, and how many of them an iteration takes. */
  readonly pool: number;
  readonly batch: number;
  /** Every so many iterations the first state of the batch is put back to the seed state. */
  readonly seedEvery: number;
  /** Steps per iteration: a whole number from the first to below the second. */
  readonly steps: readonly [number, number];
  /** Factor on the sum of |x - clamp(x, -1, 1)| over the states. */
  readonly overflow: number;
  /** Between what the NCA shows and its target. */
  readonly loss: TextureLoss;
  /** Weights to start from, [D] for all or [N * D]; random otherwise. */
  readonly initial?: Float32Array;
  /** Rank of the change to each layer of the weights it starts from; by default all weights are free. */
  readonly rank?: number;
}

/** Pool, unroll and optimiser as the published texture NCAs were trained; the texture loss is this library's default. */
export const TRAINING_DEFAULTS: NcaTrainingOptions = {
  seed: 0,
  height: 128,
  width: 128,
  iterations: 3000,
  pool: 256,
  batch: 4,
  seedEvery: 8,
  steps: [32, 128],
  overflow: 10,
  learningRate: 1e-3,
  milestones: [1000, 2000],
  decay: 0.5,
  loss: patchSlicedWasserstein({ projections: 64, factor: 100 }),
};

/** What one iteration gave. */
export interface TrainingReport {
  /** Iterations done. */
  readonly iteration: number;
  /** Texture loss of each NCA, mean over its batch, [N]. */
  readonly losses: Float32Array;
  /** NCAs whose gradient was not finite: their weights were left alone and their states put back to the seed. */
  readonly diverged: readonly number[];
}

/** Everything a later process needs to go on: tensors for a safetensors file. */
export type TrainerState = Record<string, NdArray>;

/** The training of N NCAs, iteration by iteration. Dispose of it. */
export interface Trainer {
  readonly options: NcaTrainingOptions;
  /** How many NCAs train side by side. */
  readonly count: number;
  /** Iterations done. */
  readonly iteration: number;
  /** One iteration. */
  step(): TrainingReport | Promise<TrainingReport>;
  /** A copy of the weights as they are now, [N * D], flat order. */
  currentWeights(): Float32Array | Promise<Float32Array>;
  state(): TrainerState | Promise<TrainerState>;
  /** Goes on from what `state` gave, of this or another kind of trainer. Throws when that belongs to another training. */
  restore(state: Readonly<TrainerState>): void;
  dispose(): void;
}

/** Throws when a state belongs to another training than that of `count` NCAs with these options. */
export function checkState(
  state: Readonly<TrainerState>,
  spec: NcaSpec,
  { pool, height, width }: NcaTrainingOptions,
  count: number,
  adaptation: Adaptation,
): void {
  const vectors = [count, adaptation.count];
  const shapes: Record<string, number[]> = {
    weights: vectors,
    first: vectors,
    second: vectors,
    updates: [count],
    pool: [count, pool, height, width, spec.channels],
    iteration: [1],
  };
  for (const [name, shape] of Object.entries(shapes)) {
    const found = state[name];
    if (!found || shapeText(found.shape) !== shapeText(shape)) {
      throw new Error(
        `training state: ${name}: expected shape ${shapeText(shape)}, found ${found ? shapeText(found.shape) : 'none'}`,
      );
    }
  }
}

/** Where the N NCAs of a training start: the given weights, [D] for all or [N * D], or random ones. */
export function startOf(spec: NcaSpec, { initial, seed }: NcaTrainingOptions, count: number): Float32Array {
  const size = weightCount(spec);
  const given = initial ?? initialWeights(spec, seed);
  if (given.length !== size && given.length !== size * count) {
    throw new Error(`${given.length} initial weights; expected ${size} or ${count} times as many`);
  }
  const start = new Float32Array(size * count);
  for (let n = 0; n < count; n++)
    start.set(given.length === size ? given : given.subarray(n * size, (n + 1) * size), n * size);
  return start;
}

/** Throws when options contradict each other. */
export function checkOptions({ pool, batch, steps }: NcaTrainingOptions): void {
  if (batch > pool) throw new Error(`a batch of ${batch} cannot be drawn from a pool of ${pool}`);
  if (!(steps[0] >= 1 && steps[1] > steps[0])) throw new Error(`steps ${steps} is not an interval`);
}
