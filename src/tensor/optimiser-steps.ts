/**
 * What a training does with its gradients: their norm, clipping, Adam, moving averages. On loom Adam is one kernel a variable, on loom-gpu all of it is
 * done for as many variables at once as the device binds; elsewhere in tfjs operators.
 */
import * as tf from '@tensorflow/tfjs-core';
import { kernel, parallel } from '../compute/index.ts';
import { type LoomBackend, loomInCharge } from './loom/loom-backend.ts';
import { loomGpuWith } from './loom-gpu/start.ts';
import { type Named, run, runMany } from './run-kernel.ts';

/** Settings of one step of Adam. */
export interface AdamStep {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Learning rate / (1 - beta1^t). */
  readonly rate: number;
  /** 1 / sqrt(1 - beta2^t), multiplies the root of the second moment. */
  readonly correction: number;
  /** What is left of the variable before the step: 1 - learning rate * weight decay. */
  readonly keep: number;
  /** Multiplies the gradient first; a scalar only where `stepsUnread`, and NaN for no step. */
  readonly scale: number | tf.Scalar;
}

/** A scalar: the sum of the squares of all numbers of all tensors. */
export const squaredNorm = (tensors: readonly tf.Tensor[]): tf.Scalar =>
  loomGpuWith('LoomSquaredNorm')
    ? (run('LoomSquaredNorm', [...tensors] as unknown as Named) as tf.Scalar)
    : (tf.tidy(() => tf.addN(tensors.map(x => tf.sum(tf.square(x))))) as tf.Scalar);

/** The kernels with which a step is made without a number of it being read. */
const UNREAD = ['LoomAdam', 'LoomMovingAverage', 'LoomClip'] as const;

/** Whether a training may make steps on the backend that runs without knowing their losses: see `clipScale`. */
export const stepsUnread = (): boolean => loomGpuWith(...UNREAD) !== undefined;

/**
 * The factor of a step's gradients as a scalar that nobody has read: min(1, clip / norm). NaN when norm or loss is not finite, or `before`, the factor of
 * the step before, was NaN: a step with it changes nothing, so that a training stays at what it was before the first loss that was not finite.
 */
export const clipScale = (squared: tf.Scalar, loss: tf.Scalar, clip: number, before?: tf.Scalar): tf.Scalar =>
  run('LoomClip', { squared, loss, ...(before && { before }) }, { clip }) as tf.Scalar;

/** Variables and, by their places, moments and gradients. */
export interface AdamState {
  readonly variables: readonly tf.Variable[];
  readonly first: readonly tf.Variable[];
  readonly second: readonly tf.Variable[];
  readonly gradients: readonly tf.Tensor[];
}

/**
 * One step of Adam (Kingma and Ba 2015): updates moments and variables. On loom and loom-gpu in place, in one pass over the four of them; on the latter
 * in as few dispatches as its bindings allow.
 */
export function adamStep(
  { variables, first, second, gradients }: AdamState,
  { scale, ...settings }: AdamStep,
): void {
  const onGpu = loomGpuWith(...UNREAD);
  if (onGpu) {
    for (const variable of [...variables, ...first, ...second]) ownNumbers(variable, onGpu);
    const { beta1, beta2, rate, correction, epsilon, keep } = settings;
    tf.tidy(() => {
      const numbers = tf.tensor1d([beta1, beta2, rate, correction, epsilon, keep, 1 - beta1, 1 - beta2]);
      const factor = typeof scale === 'number' ? tf.scalar(scale) : scale;
      runMany('LoomAdam', [...variables, ...first, ...second, ...gradients, numbers, factor] as tf.Tensor[]);
    });
    return;
  }
  if (typeof scale !== 'number') throw new Error('this backend has no step of Adam with a factor of its own');
  variables.forEach((variable, i) => {
    stepOf(variable, first[i], second[i], gradients[i], { ...settings, scale });
  });
}

/** Adam for one variable, on the processor or of tfjs's operators. */
function stepOf(
  variable: tf.Variable,
  first: tf.Variable,
  second: tf.Variable,
  gradient: tf.Tensor,
  { beta1, beta2, epsilon, rate, correction, keep, scale }: AdamStep & { readonly scale: number },
): void {
  const backend = loomInCharge();
  if (backend) {
    const addresses = [variable, first, second].map(v => ownAddress(v, backend));
    const [value, m, v] = addresses;
    const length = variable.size;
    const each = Math.max(8192, Math.ceil(length / 64) * 4);
    const settings = [beta1, beta2, rate, correction, epsilon, keep, scale];
    const bands = Math.ceil(length / each);
    parallel(kernel('adam'), bands, value, backend.address(gradient), m, v, length, each, ...settings);
    return;
  }
  tf.tidy(() => {
    const g = scale === 1 ? gradient : tf.mul(gradient, scale);
    first.assign(tf.add(tf.mul(first, beta1), tf.mul(g, 1 - beta1)));
    second.assign(tf.add(tf.mul(second, beta2), tf.mul(tf.square(g), 1 - beta2)));
    const denominator = tf.add(tf.mul(tf.sqrt(second), correction), epsilon);
    variable.assign(tf.sub(tf.mul(variable, keep), tf.mul(tf.div(first, denominator), rate)));
  });
}

/**
 * averages += fresh (variables - averages), by their places. `scale`: the factor of the step that was made, where nobody has read it; NaN for none.
 */
export function averageStep(
  averages: readonly tf.Variable[],
  variables: readonly tf.Variable[],
  fresh: number,
  scale?: tf.Scalar,
): void {
  const onGpu = loomGpuWith(...UNREAD);
  if (onGpu) {
    for (const average of averages) ownNumbers(average, onGpu);
    tf.tidy(() => {
      const last = [tf.scalar(fresh), scale ?? tf.scalar(1)];
      runMany('LoomMovingAverage', [...averages, ...variables, ...last] as tf.Tensor[]);
    });
    return;
  }
  tf.tidy(() => {
    averages.forEach((average, i) => {
      average.assign(tf.add(average, tf.mul(tf.sub(variables[i], average), fresh)));
    });
  });
}

/** A step is encoded: a GPU may begin it. */
export const endStep = (): void => loomGpuWith(...UNREAD)?.submit();

/** One that shares its numbers (a clone, a reshape) gets numbers of its own. */
function ownNumbers(variable: tf.Variable, backend: Pick<LoomBackend, 'refCount'>): void {
  if (backend.refCount(variable.dataId) > 1) tf.tidy(() => variable.assign(tf.add(variable, 0)));
}

/** Address of a variable that nobody else reads. */
function ownAddress(variable: tf.Variable, backend: LoomBackend): number {
  ownNumbers(variable, backend);
  return backend.address(variable);
}
