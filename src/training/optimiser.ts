/** Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019) over named variables. */
import { fused, tf } from '../tensor/index.ts';

export type Variables = Readonly<Record<string, tf.Variable>>;
export type Gradients = Readonly<Record<string, tf.Tensor>>;

/** Parameters of Adam and AdamW. Default beta1 0.9, beta2 0.999, epsilon 1e-8, no weight decay. */
export interface AdamOptions {
  /** Decay of the first and of the second moment. */
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  /** Decoupled weight decay: each step takes learningRate * weightDecay * w off w. 0 is Adam. */
  readonly weightDecay?: number;
}

/** Updates variables by gradients, and holds what it needs for that. Dispose of it. */
export interface Optimiser {
  /** Moments by `first/NAME` and `second/NAME`: what a checkpoint saves beside `steps`. */
  readonly moments: Variables;
  /** Updates made so far: sets the bias correction. */
  steps: number;
  /**
   * One update by `scale` times the gradients (default 1); variables without a gradient keep their value. Gradients are not disposed. A scale that
   * nobody has read is a scalar of `fused.clipScale`.
   */
  update(gradients: Gradients, learningRate: number, scale?: number | tf.Scalar): void;
  dispose(): void;
}

/**
 * Adam (Kingma and Ba 2015), with weight decay AdamW (Loshchilov and Hutter 2019), over named variables, which it changes in place:
 * w -= learningRate (weightDecay w + m^ / (sqrt(v^) + epsilon)), moments corrected for their bias.
 */
export function adam(
  variables: Variables,
  { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 }: AdamOptions = {},
): Optimiser {
  const moments: Record<string, tf.Variable> = {};
  for (const [name, variable] of Object.entries(variables)) {
    moments[`first/${name}`] = zerosLike(variable);
    moments[`second/${name}`] = zerosLike(variable);
  }
  return {
    moments,
    steps: 0,
    update(gradients, learningRate, scale = 1) {
      this.steps++;
      const settings = {
        beta1,
        beta2,
        epsilon,
        scale,
        rate: learningRate / (1 - beta1 ** this.steps),
        correction: 1 / Math.sqrt(1 - beta2 ** this.steps),
        keep: 1 - learningRate * weightDecay,
      };
      const names = Object.keys(gradients);
      fused.adamStep(
        {
          variables: names.map(name => variables[name]),
          first: names.map(name => moments[`first/${name}`]),
          second: names.map(name => moments[`second/${name}`]),
          gradients: Object.values(gradients),
        },
        settings,
      );
    },
    dispose: () => tf.dispose(Object.values(moments)),
  };
}

/** A variable of the same shape, with memory of its own. */
export const zerosLike = (variable: tf.Tensor): tf.Variable =>
  tf.tidy(() => tf.variable(tf.zeros(variable.shape), false));

/** A scalar: the square of the norm of all gradients together. */
export const squaredNorm = (gradients: Gradients): tf.Scalar => fused.squaredNorm(Object.values(gradients));
