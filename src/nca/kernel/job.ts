/** What the kernels are told, written to shared memory: the words of assembly/job.ts, in the same order. */
import { f32, memory } from '../../compute/index.ts';

export interface Job {
  batch: number;
  height: number;
  width: number;
  channels: number;
  hidden: number;
  bands: number;
  firstStep: number;
  states: number;
  weights: number;
  weightStride: number;
  seeds: number;
  masks: number;
  scratch: number;
  scratchStride: number;
  stateGradients: number;
  stateGradientStride: number;
  weightGradients: number;
  filterScale: number;
  clipPerception: number;
  clipHidden: number;
  clipUpdate: number;
  clipState: number;
  realChannels: number;
  realHidden: number;
  outputBias: number;
  flat: number;
  flatGradient: number;
  lastGradient: number;
  firstGradient: number;
  keptHidden: number;
  keptBlocks: number;
  schedule: number;
}

const INTEGERS = [
  'batch',
  'height',
  'width',
  'channels',
  'hidden',
  'bands',
  'firstStep',
  'states',
  'weights',
  'weightStride',
  'seeds',
  'masks',
  'scratch',
  'scratchStride',
  'stateGradients',
  'stateGradientStride',
  'weightGradients',
] as const;
const FLOATS = ['filterScale', 'clipPerception', 'clipHidden', 'clipUpdate', 'clipState'] as const;
const MORE_INTEGERS = [
  'realChannels',
  'realHidden',
  'outputBias',
  'flat',
  'flatGradient',
  'lastGradient',
  'firstGradient',
  'keptHidden',
  'keptBlocks',
  'schedule',
] as const;

/** Bytes of a job. */
export const JOB_BYTES = 4 * (INTEGERS.length + FLOATS.length + MORE_INTEGERS.length);

export function writeJob(address: number, job: Job): void {
  const words = new Uint32Array(memory.buffer, address, JOB_BYTES / 4);
  const floats = f32(address, JOB_BYTES / 4);
  INTEGERS.forEach((name, i) => {
    words[i] = job[name];
  });
  FLOATS.forEach((name, i) => {
    floats[INTEGERS.length + i] = job[name];
  });
  MORE_INTEGERS.forEach((name, i) => {
    words[INTEGERS.length + FLOATS.length + i] = job[name];
  });
}
