/** One training step: batch -> loss -> gradients -> clipping -> Adam -> averages; and the state that all of it lives in. */

import type { Encoder } from '../conditioning/index.ts';
import type { Denoiser } from '../denoisers/index.ts';
import type { Diffusion } from '../diffusion/index.ts';
import { fused, tf } from '../tensor/index.ts';
import { type MovingAverage, movingAverage } from './averages.ts';
import type { Batch } from './batches.ts';
import {
  type AdamOptions,
  adam,
  type Gradients,
  type Optimiser,
  squaredNorm,
  type Variables,
} from './optimiser.ts';
import type { RolloutLoss } from './rollout-loss.ts';

/** The models of a training, and how they are updated. */
export interface TrainerOptions {
  readonly denoiser: Denoiser;
  /** Needed when there are features; its `project` is trained along. */
  readonly encoder: Encoder | null;
  readonly diffusion: Diffusion;
  readonly adam?: AdamOptions;
  /** Gradients are scaled down to this global norm; Infinity for never. */
  readonly clip: number;
  /** Widths of the moving averages. */
  readonly averages: readonly number[];
  /** At most so many samples go through the denoiser at once; gradients are summed over the parts of a batch. */
  readonly microBatch?: number;
  readonly rollout?: RolloutLoss;
}

/** What one update gave. */
export interface StepOutcome {
  /** The mean weighted denoising loss of the batch. */
  readonly loss: number;
  /** Per sample, in the batch's order. */
  readonly losses: Float32Array;
  /** Mean texture loss of the denoised weights' rollouts, before its weight; undefined where it does not act. */
  readonly rolloutLoss?: number;
  /** Global norm of the gradient before clipping. */
  readonly gradientNorm: number;
  /** The factor clipping applied: norm after = factor * norm before. */
  readonly clipFactor: number;
  /** False when loss or gradient is not finite: then nothing was updated. */
  readonly finite: boolean;
}

/** A step that was made, or not because its loss was not finite; its numbers may not have been read. Read it once. */
export interface MadeStep {
  read(): Promise<StepOutcome>;
}

/** Steps that may wait for their losses to be read. */
const UNREAD = 16;

/** One training as its single steps: variables, optimiser and moving averages. `trainDenoiser` is the loop about it. Dispose of it. */
export class Trainer {
  /** All that is trained: `denoiser/NAME` and `encoder/NAME`. */
  readonly variables: Variables;
  /** State that is saved but not trained. */
  readonly buffers: Variables;
  readonly optimiser: Optimiser;
  /** One for each width asked for. */
  readonly averages: readonly MovingAverage[];
  /** The factor of the last step's gradients, where nobody has read it. */
  private lastScale: tf.Scalar | undefined;

  constructor(private readonly options: TrainerOptions) {
    const { denoiser, encoder } = options;
    this.variables = {
      ...prefixed('denoiser/', denoiser.variables),
      ...prefixed('encoder/', encoder?.variables),
    };
    this.buffers = prefixed('denoiser/', denoiser.buffers);
    this.optimiser = adam(this.variables, options.adam);
    this.averages = options.averages.map(width => movingAverage(this.variables, width));
  }

  /** Updates made so far. */
  get step(): number {
    return this.optimiser.steps;
  }

  /** How many steps may be made before they are read. Running statistics would go on after one that was not made. */
  get unread(): number {
    return fused.stepsUnread() && Object.keys(this.buffers).length === 0 ? UNREAD : 1;
  }

  /**
   * One update on a batch, of which nothing is read yet where the backend can make steps without (`fused.stepsUnread`): then several may follow each
   * other, and none is made after one whose loss or gradient was not finite.
   */
  async update(batch: Batch, learningRate: number): Promise<MadeStep> {
    const { gradients, losses, rollouts } = await this.partsOf(batch);
    const square = squaredNorm(gradients);
    const read = async () => {
      const numbers = (await Promise.all(
        [square, losses, ...(rollouts ? [rollouts] : [])].map(x => x.data()),
      )) as Float32Array[];
      tf.dispose([square, losses, ...(rollouts ? [rollouts] : [])]);
      return this.outcome(numbers);
    };
    const step = this.step + 1;
    if (fused.stepsUnread()) {
      const sum = tf.sum(losses) as tf.Scalar;
      const scale = fused.clipScale(square, sum, this.options.clip, this.lastScale);
      tf.dispose([sum, ...(this.lastScale ? [this.lastScale] : [])]);
      this.lastScale = scale;
      this.change(gradients, learningRate, scale);
      return { read: async () => this.settled(await read(), step) };
    }
    const outcome = await read();
    if (outcome.finite) this.change(gradients, learningRate, outcome.clipFactor);
    else tf.dispose(gradients);
    return { read: async () => outcome };
  }

  /** Optimiser and averages take the gradients, which are disposed of. */
  private change(gradients: Gradients, learningRate: number, scale: number | tf.Scalar): void {
    this.optimiser.update(gradients, learningRate, scale);
    for (const average of this.averages)
      average.update(this.step, typeof scale === 'number' ? undefined : scale);
    tf.dispose(Object.values(gradients));
    fused.endStep();
  }

  /** A step that turns out not to be made, and those after it, are not counted. */
  private settled(outcome: StepOutcome, step: number): StepOutcome {
    if (!outcome.finite) {
      this.optimiser.steps = Math.min(this.step, step - 1);
      this.lastScale?.dispose();
      this.lastScale = undefined;
    }
    return outcome;
  }

  private outcome([[squared], losses, rollouts]: Float32Array[]): StepOutcome {
    const gradientNorm = Math.sqrt(squared);
    const loss = mean(losses);
    const finite = Number.isFinite(loss) && Number.isFinite(gradientNorm);
    const clipFactor = Math.min(1, this.options.clip / Math.max(gradientNorm, 1e-12));
    return { loss, losses, rolloutLoss: rollouts && mean(rollouts), gradientNorm, clipFactor, finite };
  }

  /** Gradients of the batch's mean loss, summed over its parts; the caller disposes them. */
  async gradients(
    batch: Batch,
  ): Promise<{ gradients: Gradients; losses: Float32Array; rollouts?: Float32Array }> {
    const { gradients, losses, rollouts } = await this.partsOf(batch);
    const numbers = {
      losses: (await losses.data()) as Float32Array,
      rollouts: (await rollouts?.data()) as Float32Array | undefined,
    };
    tf.dispose([losses, ...(rollouts ? [rollouts] : [])]);
    return { gradients, ...numbers };
  }

  /** The same with losses that nobody has read. */
  private async partsOf(batch: Batch) {
    const rows = batch.indices.length;
    const part = this.options.microBatch ?? rows;
    const losses: tf.Tensor1D[] = [];
    const rollouts: tf.Tensor1D[] = [];
    let gradients: Record<string, tf.Tensor> = {};
    for (let from = 0; from < rows; from += part) {
      const piece = await this.partGradients(batch, from, Math.min(rows, from + part));
      losses.push(piece.losses);
      if (piece.rollouts) rollouts.push(piece.rollouts);
      gradients = from === 0 ? piece.gradients : added(gradients, piece.gradients);
    }
    return {
      gradients: gradients as Gradients,
      losses: joined(losses),
      rollouts: rollouts.length > 0 ? joined(rollouts) : undefined,
    };
  }

  private async partGradients(batch: Batch, from: number, to: number) {
    const { diffusion, denoiser, rollout } = this.options;
    const trained = Object.entries(this.variables);
    const acting = rollout?.actsOn(batch, from, to)
      ? await rollout.prepare(batch, from, to, () => this.denoised(batch, from, to))
      : undefined;
    let losses: tf.Tensor1D | undefined;
    let rollouts: tf.Tensor1D | undefined;
    const { value, grads } = tf.variableGrads(
      () => {
        const { clean, noise, levels, condition } = this.tensors(batch, from, to);
        const objective = diffusion.objective(denoiser, clean, noise, levels, condition, { training: true });
        losses = tf.keep(objective.losses);
        let total = tf.div(tf.sum(objective.losses), batch.indices.length) as tf.Scalar;
        if (acting) {
          const term = acting.evaluate(objective.denoised);
          rollouts = tf.keep(term.values);
          total = tf.add(total, term.penalty);
        }
        return total;
      },
      trained.map(([, variable]) => variable),
    );
    acting?.release();
    const gradients: Record<string, tf.Tensor> = {};
    for (const [name, variable] of trained) {
      if (grads[variable.name]) gradients[name] = grads[variable.name];
    }
    value.dispose();
    return { gradients, losses: losses!, rollouts };
  }

  /** The denoised weights of rows from..to, as the step that follows will have them; running statistics stay as they are. */
  private denoised(batch: Batch, from: number, to: number): tf.Tensor2D {
    const { diffusion, denoiser } = this.options;
    return tf.tidy(() => {
      const before = Object.values(this.buffers).map(buffer => tf.clone(buffer));
      const { clean, noise, levels, condition } = this.tensors(batch, from, to);
      const { denoised } = diffusion.objective(denoiser, clean, noise, levels, condition, { training: true });
      Object.values(this.buffers).forEach((buffer, i) => {
        buffer.assign(before[i]);
      });
      return denoised;
    });
  }

  /** Rows from..to of a batch as tensors, the features projected to tokens. */
  tensors(batch: Batch, from = 0, to = batch.indices.length) {
    const { encoder, denoiser } = this.options;
    const rows = to - from;
    const slice = (values: Float32Array) => {
      const width = values.length / batch.indices.length;
      return values.subarray(from * width, to * width);
    };
    const matrix = (values: Float32Array) =>
      tf.tensor2d(slice(values), [rows, values.length / batch.indices.length]);
    if (batch.features && !encoder) throw new Error(`${denoiser.name}: features need their encoder`);
    const condition = batch.features
      ? {
          tokens: encoder!.project(
            tf.tensor3d(slice(batch.features), [rows, encoder!.tokens, encoder!.featureWidth]),
          ),
          present: tf.tensor1d(slice(batch.present)),
          complete: slice(batch.present).every(there => there === 1),
          ...(batch.means && { means: matrix(batch.means) }),
        }
      : null;
    return {
      clean: matrix(batch.clean),
      noise: matrix(batch.noise),
      levels: batch.levels.subarray(from, to),
      condition,
    };
  }

  /** Runs `work` with the variables of a moving average in place. */
  async withAverage<A>(average: MovingAverage | undefined, work: () => Promise<A>): Promise<A> {
    average?.swap();
    try {
      return await work();
    } finally {
      average?.swap();
    }
  }

  /** Frees moments and averages; the denoiser and its variables stay. */
  dispose(): void {
    this.lastScale?.dispose();
    this.optimiser.dispose();
    for (const average of this.averages) average.dispose();
  }
}

const prefixed = (prefix: string, variables: Variables = {}): Variables =>
  Object.fromEntries(Object.entries(variables).map(([name, variable]) => [prefix + name, variable]));

function added(a: Record<string, tf.Tensor>, b: Record<string, tf.Tensor>): Record<string, tf.Tensor> {
  const sum = { ...a };
  for (const [name, gradient] of Object.entries(b)) {
    sum[name] = a[name] ? tf.add(a[name], gradient) : gradient;
    if (a[name]) tf.dispose([a[name], gradient]);
  }
  return sum;
}

/** The parts of a batch as one; they are disposed of. */
function joined(parts: tf.Tensor1D[]): tf.Tensor1D {
  if (parts.length === 1) return parts[0];
  const whole = tf.concat(parts);
  tf.dispose(parts);
  return whole;
}

const mean = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
};
