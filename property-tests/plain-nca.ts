/** The NCA step written out as its definition reads, in float64 with the masks given: what fast code and symmetries are held against. */
import { type Grid, type NcaSpec, weightBlocks } from '../src/nca/index.ts';

type Grid64 = Grid<Float64Array>;

const SOBEL_X = [-1, 0, 1, -2, 0, 2, -1, 0, 1];
const SOBEL_Y = [-1, -2, -1, 0, 0, 0, 1, 2, 1];
const LAPLACIAN = [1, 2, 1, 2, -12, 2, 1, 2, 1];

const clamp = (x: number, low: number | null, high: number | null) =>
  high === null ? x : Math.min(Math.max(x, low ?? -high), high);

/** The four filters' cross-correlations [4 channels] at one cell of a torus. */
function perceive(spec: NcaSpec, { height, width, data }: Grid64, y: number, x: number): Float64Array {
  const { channels, filterScale } = spec;
  const seen = new Float64Array(4 * channels);
  for (let c = 0; c < channels; c++) {
    seen[4 * c] = data[(y * width + x) * channels + c];
    for (let k = 0; k < 9; k++) {
      const row = (y + Math.floor(k / 3) - 1 + height) % height;
      const column = (x + (k % 3) - 1 + width) % width;
      const value = filterScale * data[(row * width + column) * channels + c];
      seen[4 * c + 1] += SOBEL_X[k] * value;
      seen[4 * c + 2] += SOBEL_Y[k] * value;
      seen[4 * c + 3] += LAPLACIAN[k] * value;
    }
  }
  return seen.map(v => clamp(v, null, spec.clip.perception));
}

/** One step. @param state [H, W, C]  @param mask [H, W] of 0 and 1  @returns the next state */
export function plainStep(spec: NcaSpec, weights: ArrayLike<number>, state: Grid64, mask: Grid64): Grid64 {
  const { channels, hidden, clip } = spec;
  const inputs = 4 * channels;
  const [w1, b1, w2, b2] = weightBlocks(spec).map(({ offset }) => offset);
  const next = Float64Array.from(state.data);
  for (let cell = 0; cell < mask.data.length; cell++) {
    if (mask.data[cell] !== 0) {
      const seen = perceive(spec, state, Math.floor(cell / state.width), cell % state.width);
      const update = Float64Array.from({ length: channels }, (_, c) =>
        spec.outputBias ? weights[b2 + c] : 0,
      );
      for (let i = 0; i < hidden; i++) {
        let unit = weights[b1 + i];
        for (let j = 0; j < inputs; j++) unit += weights[w1 + i * inputs + j] * seen[j];
        unit = clamp(Math.max(unit, 0), 0, clip.hidden);
        for (let c = 0; c < channels; c++) update[c] += weights[w2 + c * hidden + i] * unit;
      }
      for (let c = 0; c < channels; c++) next[cell * channels + c] += clamp(update[c], null, clip.update);
    }
  }
  return { ...state, data: next.map(v => clamp(v, null, clip.state)) };
}

/** The state after a step for each mask. */
export const plainRollout = (
  spec: NcaSpec,
  weights: ArrayLike<number>,
  state: Grid64,
  masks: readonly Grid64[],
): Grid64 => masks.reduce((now, mask) => plainStep(spec, weights, now, mask), state);

/** [H, W, 3], not clipped. */
export const plainPicture = (spec: NcaSpec, { height, width, data }: Grid64): Grid64 => ({
  height,
  width,
  data: Float64Array.from(
    { length: height * width * 3 },
    (_, i) => spec.rgb.offset + spec.rgb.scale * data[Math.floor(i / 3) * spec.channels + (i % 3)],
  ),
});
