/** One face for whatever runs NCAs: the kernels on the processor, and those on a GPU in Node or in a page. Nothing here needs Node. */
import type { KernelSpec } from './gpu/plan.ts';

/** NCAs, what they start from, and how long they run. */
export interface NcaTask {
  readonly spec: KernelSpec;
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  /** [rows, D], flat order; sample b runs row b % rows, so one row is shared by all and `batch` rows are one each. */
  readonly weights: Float32Array;
  /** [batch, height, width, channels] to start from. */
  readonly state: Float32Array;
  readonly steps: number;
  /** The masks are those of steps firstStep, firstStep + 1, ...; default 0. */
  readonly firstStep?: number;
  /** 32-bit mask seeds, one per sample. */
  readonly seeds: readonly number[];
  /** Masks [steps, batch, height, width] of 0 and 1 instead of hashed ones. */
  readonly masks?: ArrayLike<number>;
  /** Whether a gradient will be wanted; default no. */
  readonly differentiable?: boolean;
  /** Bytes of states that may be kept for it; beyond, some are computed twice. Default 1 GiB. */
  readonly memory?: number;
}

/** Gradients of <last state, direction>. */
export interface NcaGradients {
  /** [rows, D] */
  readonly weights: Float32Array;
  /** [batch, height, width, channels] */
  readonly state: Float32Array;
}

/** What came of a task. Dispose of it. */
export interface NcaRun {
  /** [batch, height, width, channels] after the last step. */
  readonly last: Float32Array;
  /** The gradients from that of the last state, of its shape; only of a task that asked to be differentiable. */
  backward(lastGradient: Float32Array): Promise<NcaGradients>;
  dispose(): void;
}

/**
 * Runs NCAs on a torus. All engines give the same numbers but for the order of their sums, and each gives the same bits every time; masks are the same
 * bits everywhere; what is not finite stays so.
 */
export interface NcaEngine {
  /** What runs, for people. */
  readonly name: string;
  run(task: NcaTask): Promise<NcaRun>;
}

/** Every so manyth state is kept so that those of `steps` steps, of `bytes` each, fit `memory`. */
export const keepEveryOf = (steps: number, bytes: number, memory = 2 ** 30): number =>
  steps * bytes <= memory ? 1 : Math.ceil(Math.sqrt(steps));

/** States [cells, from] as [cells, to]: further channels are zeros, or are left off. */
export function padChannels(states: Float32Array, from: number, to: number): Float32Array {
  if (from === to) return states;
  const cells = states.length / from;
  const out = new Float32Array(cells * to);
  const both = Math.min(from, to);
  for (let i = 0; i < cells; i++) {
    for (let c = 0; c < both; c++) out[i * to + c] = states[i * from + c];
  }
  return out;
}
