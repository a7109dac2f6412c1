/** The NCA kernels: rollouts and their gradients by address in shared memory. */
export { keptStates, paddedChannels, type RolloutRequest, rollBackward, rollForward } from './engine.ts';
