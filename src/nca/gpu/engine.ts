/** The engine on a GPU: numbers go there and come back; training uses `GpuRollout`, which leaves them there. */
import type { Gpu } from '../../compute/gpu/index.ts';
import {
  keepEveryOf,
  type NcaEngine,
  type NcaGradients,
  type NcaRun,
  type NcaTask,
  padChannels,
} from '../engine.ts';
import { weightCount } from '../layout.ts';
import { GpuRollout, NcaKernels } from './rollout.ts';

/** Runs NCAs on `gpu`. */
export class GpuEngine implements NcaEngine {
  readonly name: string;

  constructor(
    readonly gpu: Gpu,
    private readonly options: { readonly unroll?: boolean } = {},
  ) {
    this.name = gpu.report.name;
  }

  /** @throws GpuError, also for an NCA too large for the device */
  async run(task: NcaTask): Promise<NcaRun> {
    const { spec, batch, height, width, steps, seeds, masks, firstStep = 0 } = task;
    const { gpu } = this;
    const torus = { height, width };
    const kernels = await NcaKernels.compile(gpu, spec, torus, batch, this.options);
    const padded = kernels.layout.channels;
    const rows = task.weights.length / weightCount(spec);
    const flat = gpu.upload(task.weights, 'NCA weights');
    const packed = kernels.pack(flat, rows);
    const first = gpu.upload(padChannels(task.state, spec.channels, padded), 'NCA state');
    const keepEvery = task.differentiable ? keepEveryOf(steps, kernels.stateBytes(batch), task.memory) : 0;
    const rollout = new GpuRollout(
      kernels,
      { batch, rows, steps, firstStep, seeds, masks, keepEvery },
      packed,
      first,
    );
    const dispose = () => {
      rollout.dispose();
      gpu.release(flat, packed, first);
    };
    try {
      const last = await gpu.numbers(rollout.last, kernels.stateBytes(batch) / 4);
      return {
        last: padChannels(last, padded, spec.channels),
        dispose,
        async backward(lastGradient): Promise<NcaGradients> {
          const slope = gpu.upload(padChannels(lastGradient, spec.channels, padded), 'NCA state gradient');
          const { weights, state } = rollout.backward(slope);
          try {
            return {
              weights: await gpu.numbers(weights, rows * weightCount(spec)),
              state: padChannels(
                await gpu.numbers(state, kernels.stateBytes(batch) / 4),
                padded,
                spec.channels,
              ),
            };
          } finally {
            gpu.release(slope, weights, state);
          }
        },
      };
    } catch (error) {
      dispose();
      throw error;
    }
  }
}
