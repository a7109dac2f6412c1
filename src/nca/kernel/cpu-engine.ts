/** The engine on the processor: `rollForward` and `rollBackward` behind the face that all engines have. */
import { allocate, f32, release, threadCount } from '../../compute/index.ts';
import { keepEveryOf, type NcaEngine, type NcaRun, type NcaTask, padChannels } from '../engine.ts';
import { weightCount } from '../layout.ts';
import type { NcaSpec } from '../spec.ts';
import {
  keptStates,
  paddedChannels,
  type RolloutRequest,
  rollBackward,
  rollForward,
  stateLength,
} from './engine.ts';

/** Runs NCAs on the kernels of all threads. */
export class CpuEngine implements NcaEngine {
  readonly name = `processor, ${threadCount()} threads`;

  async run(task: NcaTask): Promise<NcaRun> {
    const { batch, height, width, steps, seeds, masks, firstStep = 0 } = task;
    const spec = task.spec as NcaSpec;
    const count = weightCount(spec);
    const rows = task.weights.length / count;
    if (rows !== 1 && rows !== batch) throw new Error(`${rows} rows of weights for ${batch} samples`);
    const padded = paddedChannels(spec);
    const bytes = 4 * batch * height * width * padded;
    const request: RolloutRequest = {
      ...{ spec, batch, height, width, steps, seeds, masks, firstStep, shared: rows === 1 },
      keepEvery: task.differentiable ? keepEveryOf(steps, bytes, task.memory) : Math.max(steps, 1),
      keepHidden: false,
    };
    const length = stateLength(request);
    const held: number[] = [];
    const hold = (floats: number) => {
      const address = allocate(Math.max(4 * floats, 16));
      held.push(address);
      return address;
    };
    const put = (numbers: Float32Array) => {
      const address = hold(numbers.length);
      f32(address, numbers.length).set(numbers);
      return address;
    };
    const dispose = () => held.splice(0).forEach(release);
    try {
      const flat = put(task.weights);
      const first = put(padChannels(task.state, spec.channels, padded));
      const last = hold(length);
      const kept = { states: hold(keptStates(request) * length), hidden: 0 };
      rollForward(request, flat, first, last, kept);
      const numbers = (address: number, floats: number) => f32(address, floats).slice();
      return {
        last: padChannels(numbers(last, length), padded, spec.channels),
        dispose,
        async backward(lastGradient) {
          const slope = put(padChannels(lastGradient, spec.channels, padded));
          const [weights, state] = [hold(task.weights.length), hold(length)];
          rollBackward(request, flat, first, kept, slope, weights, state);
          return {
            weights: numbers(weights, task.weights.length),
            state: padChannels(numbers(state, length), padded, spec.channels),
          };
        },
      };
    } catch (error) {
      dispose();
      throw error;
    }
  }
}
