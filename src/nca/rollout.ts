/** Rollouts of NCAs as differentiable operations on tensors. */
import { onMemory, tf } from '../tensor/index.ts';
import {
  keptHiddenLength,
  keptStates,
  paddedChannels,
  type RolloutRequest,
  rollBackward,
  rollForward,
  stateLength,
} from './kernel/index.ts';
import { type NcaSpec, weightCount } from './spec.ts';

/** How long NCAs run, and with which random masks. */
export interface RolloutOptions {
  /** Whole steps, 0 or more. */
  readonly steps: number;
  /** Mask seeds (32 bits), one per sample: see `seedsFor`. */
  readonly seeds: readonly number[];
  /** The masks are those of steps firstStep, firstStep + 1, ...; to continue a rollout give the steps done. Default 0. */
  readonly firstStep?: number;
  /** Masks [steps, B, H, W] of 0 and 1 to use instead of hashed ones. */
  readonly masks?: ArrayLike<number>;
  /** Bytes of states that may be kept for a gradient; beyond, some are computed twice. Default 1 GiB. */
  readonly memory?: number;
}

const DEFAULT_MEMORY = 2 ** 30;

/** The state every NCA grows from: zeros [batch, height, width, channels]. */
export const seedState = (spec: NcaSpec, batch: number, height: number, width: number): tf.Tensor4D =>
  tf.zeros([batch, height, width, spec.channels]);

/** The picture [B, H, W, 3] of a state: scale * (first three channels) + offset, not clipped. */
export const toRgb = (spec: NcaSpec, state: tf.Tensor4D): tf.Tensor4D =>
  tf.tidy(() => {
    const rgb = tf.slice(state, [0, 0, 0, 0], [-1, -1, -1, 3]);
    const scaled = spec.rgb.scale === 1 ? rgb : tf.mul(rgb, spec.rgb.scale);
    return tf.add(scaled, spec.rgb.offset);
  });

/**
 * Runs NCAs on a torus: `steps` steps from `state`. Differentiable with respect to weights and state; states are kept for that only inside tf.grads
 * and its like.
 * @param weights [B, D], one NCA per sample, or [1, D], one for all
 * @param state [B, H, W, C]
 * @returns [B, H, W, C]. Weights or states that are not finite give states that are not finite.
 * @throws Error when shapes, seeds or steps do not fit
 */
export function rollout(
  spec: NcaSpec,
  weights: tf.Tensor2D,
  state: tf.Tensor4D,
  options: RolloutOptions,
): tf.Tensor4D {
  check(spec, weights, state, options);
  const missing = paddedChannels(spec) - spec.channels;
  if (missing === 0) return run(spec, weights, state, options);
  return tf.tidy(() => {
    const padded = tf.pad(state, [
      [0, 0],
      [0, 0],
      [0, 0],
      [0, missing],
    ]);
    return tf.slice(run(spec, weights, padded, options), [0, 0, 0, 0], state.shape);
  });
}

/** What to keep for a gradient within so many bytes: states and hidden units, or states, or every so many-th state. */
function plan(request: RolloutRequest, memory: number): RolloutRequest {
  const states = 4 * stateLength(request) * request.steps;
  // On another backend than ours what is kept would be copied away and back: that takes longer than computing it again.
  const keepHidden = tf.getBackend() === 'loom' && states + 4 * keptHiddenLength(request) <= memory;
  return { ...request, keepEvery: states <= memory ? 1 : Math.ceil(Math.sqrt(request.steps)), keepHidden };
}

function run(spec: NcaSpec, weights: tf.Tensor2D, state: tf.Tensor4D, options: RolloutOptions): tf.Tensor4D {
  const [batch, height, width] = state.shape;
  const { steps, seeds, firstStep = 0, masks, memory = DEFAULT_MEMORY } = options;
  const shared = weights.shape[0] === 1;
  const common = { spec, batch, height, width, steps, shared, seeds, firstStep, masks };
  const nothing: RolloutRequest = { ...common, keepEvery: Math.max(steps, 1), keepHidden: false };
  const differentiating = tf.engine().state.gradientDepth > 0 && steps > 0;
  const request = differentiating ? plan(nothing, memory) : nothing;
  const states = keptStates(request);
  const keptShapes = [
    ...(states > 0 ? [[states, ...state.shape]] : []),
    ...(request.keepHidden ? [[keptHiddenLength(request)]] : []),
  ];
  const keptAt = (addresses: readonly number[]) => ({
    states: states > 0 ? addresses[0] : 0,
    hidden: request.keepHidden ? addresses[addresses.length - 1] : 0,
  });
  const operation = tf.customGrad((...inputs) => {
    const save = inputs.pop() as unknown as tf.GradSaveFunc;
    const [flat, first] = inputs as tf.Tensor[];
    const [last, ...kept] = onMemory(
      [flat, first],
      [first.shape, ...keptShapes].map(shape => ({ shape })),
      (from, [to, ...rest]) => rollForward(request, from[0], from[1], to, keptAt(rest)),
    );
    save([flat, first, ...kept]);
    tf.dispose(kept);
    const gradFunc = (gradient: tf.Tensor | tf.Tensor[], saved: tf.Tensor[]) =>
      onMemory(
        [gradient as tf.Tensor, ...saved],
        [{ shape: flat.shape }, { shape: first.shape }],
        ([after, weight, before, ...rest], to) =>
          rollBackward(request, weight, before, keptAt(rest), after, to[0], to[1]),
      );
    return { value: last, gradFunc };
  });
  return operation(weights, state) as tf.Tensor4D;
}

function check(spec: NcaSpec, weights: tf.Tensor2D, state: tf.Tensor4D, options: RolloutOptions): void {
  const [batch, height, width, channels] = state.shape;
  const { steps, seeds, masks, firstStep = 0 } = options;
  const wrong = (what: string, expected: string, found: unknown) =>
    new Error(`rollout of ${spec.name}: ${what}: expected ${expected}, found ${found}`);
  if (state.rank !== 4 || channels !== spec.channels || state.size === 0) {
    throw wrong('state', `[B, H, W, ${spec.channels}]`, `[${state.shape.join(', ')}]`);
  }
  if (Math.max(height, width) > 65535) throw wrong('state', 'at most 65535 rows and columns', state.shape);
  const parameters = weightCount(spec);
  const [rows, columns] = weights.shape;
  if (weights.rank !== 2 || columns !== parameters || (rows !== 1 && rows !== batch)) {
    throw wrong('weights', `[1 or ${batch}, ${parameters}]`, `[${weights.shape.join(', ')}]`);
  }
  if (!Number.isInteger(steps) || steps < 0) throw wrong('steps', 'a whole number, 0 or more', steps);
  if (!Number.isInteger(firstStep) || firstStep < 0)
    throw wrong('firstStep', 'a whole number, 0 or more', firstStep);
  if (seeds.length !== batch) throw wrong('seeds', `one for each of ${batch} samples`, seeds.length);
  const odd = seeds.find(seed => seed >>> 0 !== seed);
  if (odd !== undefined) throw wrong('seeds', 'whole numbers below 2^32 (see seedsFor and maskSeed)', odd);
  if (masks && masks.length !== steps * batch * height * width) {
    throw wrong('masks', `${steps} x ${batch} x ${height} x ${width} bits`, masks.length);
  }
}
