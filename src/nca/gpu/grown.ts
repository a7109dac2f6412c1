/**
 * How far what NCAs grow is from their textures, with the gradient, on a GPU: rollout, texture loss and the way back through the steps, from block to
 * block of its memory.
 */
import type { Gpu, GpuBlock, GpuProgram } from '../../compute/gpu/index.ts';
import type { RandomStream } from '../../tensor/index.ts';
import { keepEveryOf } from '../engine.ts';
import type { NcaSpec } from '../spec.ts';
import type { PatchOptions } from '../texture-loss.ts';
import { FilterSource } from './filters.ts';
import { GpuTextureLoss } from './loss.ts';
import { grownCode } from './loss-code.ts';
import { GpuRollout, NcaKernels } from './rollout.ts';

/** NCAs that grow from the seed state, one towards each target. */
export interface GrownTask {
  readonly spec: NcaSpec;
  readonly patches: PatchOptions;
  /** [rows, height, width, 3]; the states have their size. */
  readonly targets: Float32Array;
  readonly rows: number;
  readonly height: number;
  readonly width: number;
  readonly steps: number;
  /** Mask seeds, one a row. */
  readonly seeds: readonly number[];
  /** Weight of the mean of |x - clip(x, -1, 1)| over a final state in the gradient. */
  readonly overflow: number;
  /** Bytes of states that may be kept for the gradient. Default 1 GiB. */
  readonly memory?: number;
}

/** What is measured of every row, as blocks that the caller releases. */
export interface GrownBlocks {
  /** Texture losses and mean overflow, [rows] each. */
  readonly texture: GpuBlock;
  readonly overflow: GpuBlock;
  /** [rows, D]: of texture loss + weight * overflow, each row's own. */
  readonly gradient: GpuBlock;
}

/** Compiled and with its targets on the device, so that measuring only encodes. Dispose of it. */
export class GpuGrown {
  private readonly filters: FilterSource;

  private constructor(
    readonly gpu: Gpu,
    private readonly task: GrownTask,
    private readonly kernels: NcaKernels,
    private readonly loss: GpuTextureLoss,
    private readonly summary: GpuProgram,
  ) {
    this.filters = new FilterSource(loss, task.patches);
  }

  /** @throws GpuError when a kernel does not compile here or the NCA is too large for the device */
  static async prepare(gpu: Gpu, task: GrownTask): Promise<GpuGrown> {
    const { spec, patches, targets, rows, height, width, overflow } = task;
    const kernels = await NcaKernels.compile(gpu, spec, { height, width }, rows);
    const { channels } = kernels.layout;
    const summary = await gpu.program('NCA texture losses', grownCode(channels, spec.channels));
    const shape = {
      settings: patches,
      channels,
      realChannels: spec.channels,
      rgb: spec.rgb,
      batch: 1,
      overflow: overflow / (height * width * spec.channels),
    };
    const pictures = { data: targets, height, width };
    const loss = await GpuTextureLoss.prepare(gpu, shape, { height, width }, pictures);
    return new GpuGrown(gpu, task, kernels, loss, summary);
  }

  /** @param weights [rows, D]  @param random of the texture loss's filters */
  measure(weights: GpuBlock, random: RandomStream): GrownBlocks {
    const { gpu, kernels, loss } = this;
    const { rows, steps, seeds, memory, patches } = this.task;
    const bytes = kernels.stateBytes(rows);
    const start = gpu.allocate(bytes, 'NCA state');
    gpu.clear(start);
    const packed = kernels.pack(weights, rows);
    const keepEvery = keepEveryOf(steps, bytes, memory);
    const rollout = new GpuRollout(
      kernels,
      { batch: rows, rows, steps, firstStep: 0, seeds, keepEvery },
      packed,
      start,
    );
    const filters = this.filters.draw(random);
    const { stateGradient, losses } = loss.measure(rollout.last, rows, filters.responses, filters.chosen);
    filters.release();
    const [texture, overflow] = ['texture losses', 'overflow'].map(label => gpu.allocate(4 * rows, label));
    const sizes = gpu.constant(Uint32Array.of(patches.scales * patches.projections, kernels.cells), 'sizes');
    gpu.run(this.summary, [rollout.last, losses, sizes, texture, overflow], rows);
    const { weights: gradient, state } = rollout.backward(stateGradient);
    rollout.dispose();
    gpu.release(start, packed, stateGradient, losses, state);
    return { texture, overflow, gradient };
  }

  dispose(): void {
    this.filters.dispose();
    this.loss.dispose();
  }
}
