/**
 * Rollouts of a batch of NCAs on a GPU, from block to block of its memory: the contract of the CPU's engine (src/nca/kernel), masks bit for bit. States
 * are laid out [batch, height, width, padded channels]; sums have one order, so that runs repeat bit for bit.
 */
import {
  type Gpu,
  type GpuBinding,
  type GpuBlock,
  GpuError,
  type GpuProgram,
} from '../../compute/gpu/index.ts';
import { weightBlocks, weightCount } from '../layout.ts';
import { backwardCode, type FlatOffsets } from './backward-code.ts';
import { forwardCode } from './forward-code.ts';
import {
  type Cut,
  type CutChoice,
  cutsFor,
  type KernelSpec,
  type PackedLayout,
  packedLayout,
  type Torus,
  wordsOf,
} from './plan.ts';
import { gatherCode, masksCode, packCode, reduceCode } from './small-code.ts';
import { dimensionsOf, eachOf } from './wgsl.ts';

const offsetsOf = (spec: KernelSpec): FlatOffsets => {
  const at = Object.fromEntries(weightBlocks(spec).map(({ name, offset }) => [name, offset]));
  return { w1: at.w1, b1: at.b1, w2: at.w2, b2: at.b2 ?? -1, length: weightCount(spec) };
};

/** The compiled kernels of one spec on one torus. */
export class NcaKernels {
  private constructor(
    readonly gpu: Gpu,
    readonly spec: KernelSpec,
    readonly torus: Torus,
    readonly layout: PackedLayout,
    readonly cuts: { readonly forward: Cut; readonly backward: Cut },
    /** The torus as the kernels read it. */
    readonly dims: GpuBlock,
    readonly programs: Record<'masks' | 'pack' | 'forward' | 'backward' | 'gather' | 'reduce', GpuProgram>,
  ) {}

  /**
   * Compiles what is not compiled yet.
   * @param batch samples of the rollouts to come: their number decides how the work is cut
   * @param unroll whether loops are written out, as a card's compiler wants them; default: on cards
   * @param cuts sizes to try instead of those that were measured best
   * @throws GpuError `limit` for an NCA too large for the device, `refused` when a kernel does not compile
   */
  static async compile(
    gpu: Gpu,
    spec: KernelSpec,
    torus: Torus,
    batch: number,
    { unroll = !gpu.report.software, cuts: choice }: { unroll?: boolean; cuts?: CutChoice } = {},
  ): Promise<NcaKernels> {
    const cuts = cutsFor(spec, gpu.report, batch * torus.height * torus.width, choice);
    if (!cuts || Math.max(torus.height, torus.width) > 65535) {
      throw new GpuError(
        'limit',
        `an NCA of ${spec.channels} channels and ${spec.hidden} hidden units on ${torus.width} x ${torus.height} cells is too large for the workgroups of this GPU`,
      );
    }
    const layout = packedLayout(spec);
    const flat = offsetsOf(spec);
    const each = eachOf(unroll);
    const codes = {
      masks: masksCode,
      pack: packCode(spec, layout, flat),
      forward: forwardCode(spec, layout, cuts.forward, each),
      backward: backwardCode(spec, layout, cuts.backward, flat, each),
      gather: gatherCode(spec, layout),
      reduce: reduceCode(flat),
    };
    const compiled = await Promise.all(
      Object.entries(codes).map(async ([name, code]) => [name, await gpu.program(`NCA ${name}`, code)]),
    );
    const dims = gpu.constant(dimensionsOf(torus), 'NCA sizes');
    return new NcaKernels(gpu, spec, torus, layout, cuts, dims, Object.fromEntries(compiled));
  }

  /** Cells of one sample. */
  get cells(): number {
    return this.torus.height * this.torus.width;
  }

  /** Bytes of a state of `batch` samples. */
  stateBytes(batch: number): number {
    return 4 * batch * this.cells * this.layout.channels;
  }

  /** Packed weights of flat ones [rows, D]. */
  pack(flat: GpuBlock, rows: number): GpuBlock {
    const { gpu, layout } = this;
    const packed = gpu.allocate(4 * rows * layout.length, 'NCA weights');
    gpu.run(this.programs.pack, [flat, packed], Math.ceil(layout.length / 64), rows);
    return packed;
  }
}

/** What is rolled out. */
export interface GpuRolloutTask {
  readonly batch: number;
  /** Rows of weights: sample b runs row b % rows. */
  readonly rows: number;
  readonly steps: number;
  readonly firstStep: number;
  /** One a sample. */
  readonly seeds: readonly number[];
  /** Explicit masks [steps, batch, height, width] of 0 and 1. */
  readonly masks?: ArrayLike<number>;
  /** States are kept at multiples of this many steps for a gradient; 0: none are. */
  readonly keepEvery: number;
}

/** One rollout. `first` and `packed` belong to the caller and are needed until `dispose`. */
export class GpuRollout {
  /** The state after the last step. */
  readonly last: GpuBlock;
  private readonly held: GpuBlock[] = [];
  private readonly states: (GpuBlock | undefined)[] = [];
  private readonly masks: GpuBlock;
  private readonly stride: number;

  constructor(
    private readonly kernels: NcaKernels,
    private readonly task: GpuRolloutTask,
    private readonly packed: GpuBlock,
    first: GpuBlock,
  ) {
    const { gpu, torus } = kernels;
    const { batch, steps, keepEvery } = task;
    this.stride = Math.ceil((batch * wordsOf(torus).all) / 64) * 64;
    this.masks = this.hold(4 * this.stride * Math.max(steps, 1), 'NCA masks');
    this.writeMasks();
    this.states[0] = first;
    if (steps === 0) {
      this.last = this.hold(kernels.stateBytes(batch), 'NCA state');
      gpu.copy(first, this.last, kernels.stateBytes(batch));
      return;
    }
    const passing = [0, 1].map(() => undefined as GpuBlock | undefined);
    let before = first;
    for (let t = 1; t <= steps; t++) {
      const keep = t === steps || (keepEvery > 0 && t % keepEvery === 0);
      let after: GpuBlock;
      if (keep) {
        after = this.hold(kernels.stateBytes(batch), 'NCA state');
        this.states[t] = after;
      } else {
        passing[t % 2] ??= this.hold(kernels.stateBytes(batch), 'NCA state');
        after = passing[t % 2]!;
      }
      this.step(t - 1, before, after);
      before = after;
    }
    this.last = before;
  }

  private hold(bytes: number, label: string): GpuBlock {
    const block = this.kernels.gpu.allocate(bytes, label);
    this.held.push(block);
    return block;
  }

  private writeMasks(): void {
    const { gpu, torus, programs, dims } = this.kernels;
    const { batch, steps, firstStep, seeds, masks } = this.task;
    const { row, all } = wordsOf(torus);
    if (masks) {
      const words = new Uint32Array(this.stride * Math.max(steps, 1));
      for (let line = 0; line < steps * batch * torus.height; line++) {
        const start =
          Math.floor(line / (batch * torus.height)) * this.stride + (line % (batch * torus.height)) * row;
        for (let x = 0; x < torus.width; x++) {
          if (masks[line * torus.width + x]) words[start + (x >> 5)] |= 1 << (x & 31);
        }
      }
      gpu.write(this.masks, words);
      return;
    }
    const task = gpu.upload(Uint32Array.of(firstStep, batch * all, this.stride, ...seeds), 'NCA seeds');
    gpu.run(programs.masks, [task, this.masks, dims], Math.ceil((batch * all) / 64), steps);
    gpu.release(task);
  }

  private maskOf(t: number): GpuBinding {
    return { block: this.masks, offset: 4 * this.stride * t, bytes: 4 * this.stride };
  }

  private regions(cut: Cut): number {
    return Math.ceil(wordsOf(this.kernels.torus).all / cut.words);
  }

  private step(t: number, before: GpuBlock, after: GpuBlock): void {
    const { gpu, programs, cuts, dims } = this.kernels;
    gpu.run(
      programs.forward,
      [before, this.packed, this.maskOf(t), after, dims],
      this.regions(cuts.forward),
      this.task.batch,
    );
  }

  /**
   * The gradients of the flat weights [rows, D] and of the first state from that of the last, which is overwritten. The caller releases both.
   */
  backward(lastGradient: GpuBlock): { weights: GpuBlock; state: GpuBlock } {
    const { kernels, task, held } = this;
    const { gpu, programs, cuts, layout, spec, dims } = kernels;
    const { batch, rows, steps, keepEvery } = task;
    const bytes = kernels.stateBytes(batch);
    const regions = this.regions(cuts.backward);
    const count = weightCount(spec);
    const begun = held.length;
    const part = this.hold(4 * batch * regions * count, 'NCA weight gradients');
    gpu.clear(part);
    const perceptions = this.hold(4 * bytes, 'NCA perception gradients');
    const slopes = [this.hold(bytes, 'NCA state gradient'), this.hold(bytes, 'NCA state gradient')];
    const again = Array.from({ length: Math.max(0, Math.min(keepEvery, steps) - 1) }, () =>
      this.hold(bytes, 'NCA state'),
    );
    let after = lastGradient;
    for (let t = steps - 1; t >= 0; t--) {
      const from = t - (t % keepEvery);
      // The states of a stretch are computed again when its last step is reached.
      if (keepEvery > 1 && (t === steps - 1 || (t + 1) % keepEvery === 0)) {
        for (let s = from + 1; s <= t; s++)
          this.step(s - 1, s === from + 1 ? this.states[from]! : again[s - from - 2], again[s - from - 1]);
      }
      const before = t === from ? this.states[t]! : again[t - from - 1];
      const to = slopes[t % 2];
      gpu.run(
        programs.backward,
        [before, this.packed, this.maskOf(t), after, perceptions, part, dims],
        regions,
        batch,
      );
      gpu.run(
        programs.gather,
        [after, perceptions, this.maskOf(t), to, dims],
        Math.ceil((kernels.cells * layout.channels) / 192),
        batch,
      );
      after = to;
    }
    const weights = gpu.allocate(4 * rows * count, 'NCA weight gradients');
    const sizes = gpu.upload(Uint32Array.of(batch, regions, rows), 'NCA sizes');
    gpu.run(programs.reduce, [part, sizes, weights], Math.ceil(count / 64), rows);
    const state = gpu.allocate(bytes, 'NCA state gradient');
    gpu.copy(after, state, bytes);
    gpu.release(sizes, ...held.splice(begun));
    return { weights, state };
  }

  /** Gives back everything but `first` and `packed`. */
  dispose(): void {
    this.kernels.gpu.release(...this.held.splice(0));
  }
}
