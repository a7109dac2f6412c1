/**
 * Rollouts on the kernels of assembly/, by address in shared memory.
 *
 * A step is done in bands of rows. With as many samples as threads a thread takes a sample through all steps in one call; with fewer, the
 * threads share the bands of all samples, step after step, in one call too. A band computes the same numbers either way.
 */
import { allocate, f32, kernel, parallel, release, threadCount, u32 } from '../../compute/index.ts';
import type { NcaSpec } from '../spec.ts';
import { JOB_BYTES, type Job, writeJob } from './job.ts';

/** Numbers of a state that are laid out [batch, height, width, channels]; channels a multiple of 4 (`paddedChannels`). */
export interface Extent {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
}

export interface RolloutRequest extends Extent {
  readonly spec: NcaSpec;
  readonly steps: number;
  /** Whether every sample has weights of its own ([batch, D]) or all share one NCA ([1, D]). */
  readonly shared: boolean;
  /** 32-bit mask seeds, one per sample, and the step the first one is hashed as. */
  readonly seeds: readonly number[];
  readonly firstStep: number;
  /** Explicit masks [steps, batch, height, width], 0 or 1, instead of hashed ones. */
  readonly masks?: ArrayLike<number>;
  /** States are kept at multiples of this many steps: 1 for every step. */
  readonly keepEvery: number;
  /** Whether the hidden units of every step are kept too (only with `keepEvery` 1): the gradient need not compute them again. */
  readonly keepHidden: boolean;
}

/** What a request keeps for its gradient: addresses of `keptStates` states and of `keptHiddenLength` floats; unused ones are 0. */
export interface Kept {
  readonly states: number;
  readonly hidden: number;
}

const roundUp = (x: number, to: number) => Math.ceil(x / to) * to;

/** Channels of a state in memory: the vectors are four wide. */
export const paddedChannels = (spec: NcaSpec) => roundUp(spec.channels, 4);

/** Floats of one state of the whole batch. */
export const stateLength = ({ spec, batch, height, width }: RolloutRequest) =>
  batch * height * width * paddedChannels(spec);

/** How many states between the first and the last are kept for the gradient. */
export const keptStates = ({ steps, keepEvery }: RolloutRequest) =>
  Math.max(0, Math.ceil(steps / keepEvery) - 1);

/** Bands of a picture: a function of its size alone, for the order of sums must not depend on threads or batch. */
const bandsOf = (height: number, width: number) =>
  Math.max(1, Math.min(16, height, Math.floor((height * width) / 256)));

/** Room for hidden units, in blocks of a band: a band seldom has more active cells (4 standard deviations); if so, the rest is computed again. */
function hiddenBlocks({ height, width }: Extent): number {
  const cells = Math.ceil(height / bandsOf(height, width)) * width;
  return Math.ceil((cells / 2 + 2 * Math.sqrt(cells)) / kernel('ncaBlock').call());
}

/** Floats of the hidden units of all steps. */
export function keptHiddenLength(request: RolloutRequest): number {
  const { spec, batch, height, width, steps } = request;
  const block = kernel('ncaBlock').call() * roundUp(spec.hidden, 8);
  return steps * batch * bandsOf(height, width) * hiddenBlocks(request) * block;
}

/** Everything the kernels need for one request. Dispose of it when done. */
class Engine {
  private readonly blocks: number[] = [];
  private readonly jobAddress: number;
  private readonly table: Uint32Array;
  private readonly job: Job;
  private readonly bySample: boolean;

  constructor(
    private readonly request: RolloutRequest,
    flat: number,
    keptHidden: number,
  ) {
    const { spec, batch, height, width, steps, shared } = request;
    const channels = paddedChannels(spec);
    const hidden = roundUp(spec.hidden, 8);
    const bands = bandsOf(height, width);
    const threads = threadCount();
    this.bySample = batch % threads === 0 || batch >= 4 * threads;
    this.jobAddress = this.hold(JOB_BYTES);
    const states = this.hold(4 * (steps + 1));
    this.table = u32(states, steps + 1);
    const seeds = this.hold(4 * batch);
    u32(seeds, batch).set(request.seeds);
    const packed = 4 * kernel('ncaPackedLength').call(channels, hidden);
    const scratch = roundUp(kernel('ncaScratchBytes').call(channels, hidden), 64);
    this.job = {
      batch,
      height,
      width,
      channels,
      hidden,
      bands,
      firstStep: request.firstStep,
      states,
      weights: this.hold(packed * (shared ? 1 : batch)),
      weightStride: shared ? 0 : packed,
      seeds,
      masks: request.masks ? this.packMasks(request.masks) : 0,
      scratch: this.hold(scratch * threads),
      scratchStride: scratch,
      stateGradients: 0,
      stateGradientStride: 0,
      weightGradients: 0,
      filterScale: spec.filterScale,
      clipPerception: spec.clip.perception ?? Infinity,
      clipHidden: spec.clip.hidden ?? Infinity,
      clipUpdate: spec.clip.update ?? Infinity,
      clipState: spec.clip.state ?? Infinity,
      realChannels: spec.channels,
      realHidden: spec.hidden,
      outputBias: spec.outputBias ? 1 : 0,
      flat,
      flatGradient: 0,
      lastGradient: 0,
      firstGradient: 0,
      keptHidden,
      keptBlocks: hiddenBlocks(request),
      schedule: this.bySample ? 0 : this.hold(kernel('ncaScheduleBytes').call(batch, bands)),
    };
    writeJob(this.jobAddress, this.job);
    // Packed weights lie `weightStride` apart; the one shared NCA is item 0.
    parallel(kernel('ncaPack'), shared ? 1 : batch, this.jobAddress);
  }

  dispose(): void {
    this.blocks.forEach(release);
    this.blocks.length = 0;
  }

  private hold(bytes: number): number {
    const address = allocate(Math.max(bytes, 16));
    this.blocks.push(address);
    return address;
  }

  private packMasks(masks: ArrayLike<number>): number {
    const { steps, batch, height, width } = this.request;
    const blocks = Math.ceil(width / 32);
    const rows = steps * batch * height;
    const address = this.hold(4 * rows * blocks);
    const words = u32(address, rows * blocks).fill(0);
    for (let row = 0; row < rows; row++) {
      for (let x = 0; x < width; x++) {
        if (masks[row * width + x]) words[row * blocks + (x >> 5)] |= 1 << (x & 31);
      }
    }
    return address;
  }

  private run(name: 'ncaForward' | 'ncaBackward', from: number, to: number): void {
    if (from >= to) return;
    const { batch, bands, schedule } = this.job;
    if (this.bySample) {
      parallel(kernel(name), batch, this.jobAddress, from, to);
      return;
    }
    const bytes = kernel('ncaScheduleBytes').call(batch, bands);
    u32(schedule, bytes / 4).fill(0);
    const team = threadCount();
    parallel(kernel(`${name}Team`), team, this.jobAddress, from, to, team);
  }

  private get stateBytes(): number {
    return 4 * stateLength(this.request);
  }

  /** From state `first` to `last`; the states at multiples of `keepEvery` go to `kept`, one after the other. */
  forward(first: number, last: number, kept: number): void {
    const { steps, keepEvery } = this.request;
    const passing = keepEvery > 1 && steps > 1 ? this.hold(2 * this.stateBytes) : 0;
    for (let t = 1; t < steps; t++) {
      this.table[t] =
        t % keepEvery === 0
          ? kept + (t / keepEvery - 1) * this.stateBytes
          : passing + (t % 2) * this.stateBytes;
    }
    this.table[0] = first;
    this.table[steps] = last;
    this.run('ncaForward', 0, steps);
  }

  /**
   * The gradients of the weights [1 or batch, D] and of the first state, from that of the last. States that were not kept are computed again,
   * `keepEvery` steps at a time.
   */
  backward(first: number, kept: number, lastGradient: number, flatGradient: number, firstGradient: number) {
    const { job, request } = this;
    const { steps, keepEvery, batch, height, width, shared } = request;
    const rowBytes = 4 * width * job.channels;
    job.stateGradientStride = (height + 2 * job.bands) * rowBytes;
    job.stateGradients = this.hold(2 * batch * job.stateGradientStride);
    const gradientLength = job.hidden * (5 * job.channels + 1) + job.channels;
    job.weightGradients = this.hold(4 * batch * job.bands * gradientLength);
    Object.assign(job, { lastGradient, flatGradient, firstGradient });
    writeJob(this.jobAddress, job);
    const items = batch * job.bands;
    parallel(kernel('ncaBeginGradient'), items, this.jobAddress, steps);
    const stateAt = (t: number) => (t === 0 ? first : kept + (t / keepEvery - 1) * this.stateBytes);
    if (keepEvery === 1) {
      for (let t = 0; t < steps; t++) this.table[t] = stateAt(t);
      this.run('ncaBackward', 0, steps);
    } else {
      const again = this.hold((keepEvery - 1) * this.stateBytes);
      for (let from = Math.floor((steps - 1) / keepEvery) * keepEvery; from >= 0; from -= keepEvery) {
        const to = Math.min(from + keepEvery, steps);
        this.table[from] = stateAt(from);
        for (let t = from + 1; t < to; t++) this.table[t] = again + (t - from - 1) * this.stateBytes;
        this.run('ncaForward', from, to - 1);
        this.run('ncaBackward', from, to);
      }
    }
    parallel(kernel('ncaEndGradient'), items, this.jobAddress);
    parallel(kernel('ncaSumGradients'), shared ? 1 : batch, this.jobAddress);
  }
}

/**
 * Rolls states out. Addresses: `flat` of the weights [1 or batch, D], `first` of the state to start from, `last` of the one to write.
 */
export function rollForward(
  request: RolloutRequest,
  flat: number,
  first: number,
  last: number,
  kept: Kept,
): void {
  if (request.steps === 0) {
    const length = stateLength(request);
    f32(last, length).set(f32(first, length));
    return;
  }
  const engine = new Engine(request, flat, kept.hidden);
  try {
    engine.forward(first, last, kept.states);
  } finally {
    engine.dispose();
  }
}

/** The transpose of `rollForward`: from the gradient of the last state to those of the weights and of the first state. */
export function rollBackward(
  request: RolloutRequest,
  flat: number,
  first: number,
  kept: Kept,
  lastGradient: number,
  flatGradient: number,
  firstGradient: number,
): void {
  const engine = new Engine(request, flat, kept.hidden);
  try {
    engine.backward(first, kept.states, lastGradient, flatGradient, firstGradient);
  } finally {
    engine.dispose();
  }
}
