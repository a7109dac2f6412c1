/** The NCA kernels: rollouts and their gradients by address in shared memory. */
export { CpuEngine } from './cpu-engine.ts';
export {
  keptHiddenLength,
  keptStates,
  paddedChannels,
  type RolloutRequest,
  rollBackward,
  rollForward,
  stateLength,
} from './engine.ts';
