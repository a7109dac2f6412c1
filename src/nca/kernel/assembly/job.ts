// What a rollout is told: a block of words in shared memory, written by src/nca/kernel/job.ts (keep the two lists the same).
// Every thread has its own instance of this module, so the globals below are a thread's own copy.

export let batch: i32 = 0;
export let height: i32 = 0;
export let width: i32 = 0;
/** Channels, a multiple of 4, and hidden units, a multiple of 8: padded with zero weights where the spec has other numbers. */
export let channels: i32 = 0;
export let hidden: i32 = 0;
export let bands: i32 = 0;
export let firstStep: i32 = 0;
/** Addresses of the states 0 .. steps, each [batch, height, width, channels]. */
export let states: usize = 0;
/** Packed weights of the first sample; the next sample's lie `weightStride` bytes on (0: one NCA for all). */
export let weights: usize = 0;
export let weightStride: usize = 0;
/** One 32-bit seed per sample. */
export let seeds: usize = 0;
/** Mask words [step, batch, height, ceil(width / 32)], or 0: the masks are hashed. */
export let masks: usize = 0;
/** Each thread's own working space. */
export let scratch: usize = 0;
export let scratchStride: usize = 0;
/** Two buffers of state gradients (see backward.ts) and one of weight gradients, of the first sample, and the distance to the next's. */
export let stateGradients: usize = 0;
export let stateGradientStride: usize = 0;
export let weightGradients: usize = 0;
export let filterScale: f32 = 0;
/** Infinity where there is no clip. */
export let clipPerception: f32 = 0;
export let clipHidden: f32 = 0;
export let clipUpdate: f32 = 0;
export let clipState: f32 = 0;
/** The spec's own numbers, before padding. */
export let realChannels: i32 = 0;
export let realHidden: i32 = 0;
export let outputBias: i32 = 0;
/** The weights as they came [1 or batch, D], their gradient (same shape), and the gradients of the last and first state. */
export let flat: usize = 0;
export let flatGradient: usize = 0;
export let lastGradient: usize = 0;
export let firstGradient: usize = 0;
/** Where the hidden units of every step's active cells are kept for the gradient: `keptBlocks` blocks for each band; 0 where they are not. */
export let keptHidden: usize = 0;
export let keptBlocks: i32 = 0;
/** Who does which band of which step when (see team.ts). */
export let schedule: usize = 0;

/** Reads the job. Cheap enough to be done at the start of every kernel call. */
export function open(job: usize): void {
  batch = load<i32>(job);
  height = load<i32>(job, 4);
  width = load<i32>(job, 8);
  channels = load<i32>(job, 12);
  hidden = load<i32>(job, 16);
  bands = load<i32>(job, 20);
  firstStep = load<i32>(job, 24);
  states = load<u32>(job, 28);
  weights = load<u32>(job, 32);
  weightStride = load<u32>(job, 36);
  seeds = load<u32>(job, 40);
  masks = load<u32>(job, 44);
  scratch = load<u32>(job, 48);
  scratchStride = load<u32>(job, 52);
  stateGradients = load<u32>(job, 56);
  stateGradientStride = load<u32>(job, 60);
  weightGradients = load<u32>(job, 64);
  filterScale = load<f32>(job, 68);
  clipPerception = load<f32>(job, 72);
  clipHidden = load<f32>(job, 76);
  clipUpdate = load<f32>(job, 80);
  clipState = load<f32>(job, 84);
  realChannels = load<i32>(job, 88);
  realHidden = load<i32>(job, 92);
  outputBias = load<i32>(job, 96);
  flat = load<u32>(job, 100);
  flatGradient = load<u32>(job, 104);
  lastGradient = load<u32>(job, 108);
  firstGradient = load<u32>(job, 112);
  keptHidden = load<u32>(job, 116);
  keptBlocks = load<i32>(job, 120);
  schedule = load<u32>(job, 124);
}

/** Bytes of one cell's state. */
// @ts-ignore: decorator
@inline
export function cellBytes(): i32 {
  return channels << 2;
}

/** First row of a band; that of band `bands` is the height. */
// @ts-ignore: decorator
@inline
export function firstRow(band: i32): i32 {
  return band * height / bands;
}

/** The state of a sample before step t of this job. */
// @ts-ignore: decorator
@inline
export function stateOf(sample: i32, t: i32): usize {
  return load<u32>(states + (t << 2)) + sample * height * width * cellBytes();
}
