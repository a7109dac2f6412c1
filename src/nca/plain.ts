/**
 * The NCA in plain TypeScript, one number at a time: the definition that the kernels are tested against. In float32 every stored number is rounded;
 * in float64 it is exact enough for finite differences.
 */
import { type NcaSpec, weightBlocks } from './spec.ts';

type Numbers = Float32Array | Float64Array;

/** The 3x3 filters in the order of FILTERS, for cross-correlation. */
export const FILTER_KERNELS: readonly (readonly number[])[] = [
  [0, 0, 0, 0, 1, 0, 0, 0, 0],
  [-1, 0, 1, -2, 0, 2, -1, 0, 1],
  [-1, -2, -1, 0, 0, 0, 1, 2, 1],
  [1, 2, 1, 2, -12, 2, 1, 2, 1],
];

const clip = (x: number, limit: number | null, low = limit === null ? 0 : -limit) =>
  limit === null ? x : x < low ? low : x > limit ? limit : x;

export interface Grid {
  readonly height: number;
  readonly width: number;
}

/** Perception of one state [H, W, C] on a torus: [H, W, 4C], index 4c + f. */
export function plainPerception(spec: NcaSpec, state: Numbers, { height, width }: Grid): Numbers {
  const { channels, filterScale } = spec;
  const out = like(state, height * width * 4 * channels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) {
        for (let f = 0; f < 4; f++) {
          let sum = 0;
          for (let k = 0; k < 9; k++) {
            const row = (y + Math.floor(k / 3) - 1 + height) % height;
            const column = (x + (k % 3) - 1 + width) % width;
            if (FILTER_KERNELS[f][k] !== 0)
              sum += FILTER_KERNELS[f][k] * state[(row * width + column) * channels + c];
          }
          out[(y * width + x) * 4 * channels + 4 * c + f] = clip(
            f === 0 ? sum : sum * filterScale,
            spec.clip.perception,
          );
        }
      }
    }
  }
  return out;
}

/**
 * One step of one NCA on one state [H, W, C].
 * @param weights [D] flat
 * @param active whether cell (y, x) is updated
 */
export function plainStep(
  spec: NcaSpec,
  weights: ArrayLike<number>,
  state: Numbers,
  grid: Grid,
  active: (y: number, x: number) => boolean,
): Numbers {
  const { channels, hidden } = spec;
  const offset = Object.fromEntries(weightBlocks(spec).map(block => [block.name, block.offset]));
  const perception = plainPerception(spec, state, grid);
  const next = state.slice();
  const inputs = 4 * channels;
  const activations = like(state, hidden);
  for (let cell = 0; cell < grid.height * grid.width; cell++) {
    if (!active(Math.floor(cell / grid.width), cell % grid.width)) continue;
    for (let j = 0; j < hidden; j++) {
      let sum = weights[offset.b1 + j];
      for (let k = 0; k < inputs; k++) {
        sum += weights[offset.w1 + j * inputs + k] * perception[cell * inputs + k];
      }
      activations[j] = clip(sum < 0 ? 0 : sum, spec.clip.hidden, 0);
    }
    for (let c = 0; c < channels; c++) {
      let sum = spec.outputBias ? weights[offset.b2 + c] : 0;
      for (let j = 0; j < hidden; j++) sum += weights[offset.w2 + c * hidden + j] * activations[j];
      next[cell * channels + c] += clip(sum, spec.clip.update);
    }
  }
  return spec.clip.state === null ? next : next.map(x => clip(x, spec.clip.state));
}

/** `steps` steps of one NCA. `active` is asked with the index of the step, from 0. */
export function plainRollout(
  spec: NcaSpec,
  weights: ArrayLike<number>,
  state: Numbers,
  grid: Grid,
  steps: number,
  active: (step: number, y: number, x: number) => boolean,
): Numbers {
  let now = state;
  for (let step = 0; step < steps; step++) {
    now = plainStep(spec, weights, now, grid, (y, x) => active(step, y, x));
  }
  return now;
}

const like = (numbers: Numbers, length: number): Numbers =>
  numbers instanceof Float64Array ? new Float64Array(length) : new Float32Array(length);
