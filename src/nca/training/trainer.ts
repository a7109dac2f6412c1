/**
 * Trains NCAs to grow textures (Niklasson et al. 2021, "Self-organising textures"): a pool of states, a few of them run for a
 * random number of steps, a texture loss on what they show, its gradient carried back through the steps.
 *
 * Several NCAs of one spec train side by side in one batch. They share every random draw (states taken, steps, masks, projections), so
 * that what differs between their weights comes from their targets alone; each gets exactly the weights it would get by itself.
 */
import { randomStream, tf } from '../../tensor/index.ts';
import { rollout } from '../rollout.ts';
import { type NcaSpec, weightCount } from '../spec.ts';
import type { PreparedTexture } from '../texture-loss.ts';
import { type Adaptation, fullAdaptation, lowRankAdaptation } from './adaptation.ts';
import { learningRateAt, NormalisedAdam } from './optimiser.ts';
import {
  checkOptions,
  checkState,
  type NcaTrainingOptions,
  startOf,
  TRAINING_DEFAULTS,
  type Trainer,
  type TrainerState,
  type TrainingReport,
} from './options.ts';

/** 10 sum |x - clamp(x, -1, 1)| would be three tfjs operations over the largest tensor there is; this is one loop. [B, ...] to [B]. */
function overflowOf(states: tf.Tensor4D): tf.Tensor1D {
  const beyond = tf.customGrad((x, save) => {
    (save as tf.GradSaveFunc)([x as tf.Tensor]);
    const values = (x as tf.Tensor).dataSync();
    const [count] = states.shape;
    const each = values.length / count;
    const sums = new Float32Array(count);
    for (let b = 0; b < count; b++) {
      let sum = 0;
      for (let i = b * each; i < (b + 1) * each; i++) {
        const excess = Math.abs(values[i]) - 1;
        if (excess > 0) sum += excess;
        else if (Number.isNaN(excess)) sum = Number.NaN;
      }
      sums[b] = sum;
    }
    return {
      value: tf.tensor1d(sums),
      gradFunc: (dy: tf.Tensor, [saved]: tf.Tensor[]) => {
        const slope = dy.dataSync();
        const from = saved.dataSync();
        const out = new Float32Array(from.length);
        for (let i = 0; i < out.length; i++) {
          if (from[i] > 1) out[i] = slope[Math.floor(i / each)];
          else if (from[i] < -1) out[i] = -slope[Math.floor(i / each)];
        }
        return tf.tensor(out, saved.shape);
      },
    };
  });
  return beyond(states) as tf.Tensor1D;
}

/** `toRgb` as one loop forward and one backward: the general slice and its gradient are slow on tensors this large. */
function picturesOf(spec: NcaSpec, states: tf.Tensor4D): tf.Tensor4D {
  const { scale, offset } = spec.rgb;
  const [batch, height, width, channels] = states.shape;
  const pictures = tf.customGrad(x => {
    const from = (x as tf.Tensor).dataSync();
    const out = new Float32Array(batch * height * width * 3);
    for (let i = 0, at = 0; at < out.length; i += channels, at += 3) {
      for (let c = 0; c < 3; c++) out[at + c] = scale * from[i + c] + offset;
    }
    return {
      value: tf.tensor4d(out, [batch, height, width, 3]),
      gradFunc: (dy: tf.Tensor) => {
        const slope = dy.dataSync();
        const back = new Float32Array(states.size);
        for (let i = 0, at = 0; at < slope.length; i += channels, at += 3) {
          for (let c = 0; c < 3; c++) back[i + c] = scale * slope[at + c];
        }
        return tf.tensor4d(back, states.shape);
      },
    };
  });
  return pictures(states) as tf.Tensor4D;
}

/** The training of N NCAs, iteration by iteration. Dispose of it. */
export class NcaTrainer implements Trainer {
  readonly options: NcaTrainingOptions;
  /** How many NCAs train side by side. */
  readonly count: number;
  /** [N * D], flat order. */
  readonly weights: Float32Array;
  /** Weights that training started from, [N * D]. */
  private readonly start: Float32Array;
  private readonly adaptation: Adaptation;
  /** What the optimiser changes, [N * P]. */
  private readonly parameters: Float32Array;
  private readonly target: PreparedTexture;
  private readonly optimiser: NormalisedAdam;
  /** [N, pool, height, width, channels] */
  private readonly states: Float32Array;
  private done = 0;

  /** @param targets [N, H, W, 3] in [0, 1], of any size: one NCA is trained on each */
  constructor(
    readonly spec: NcaSpec,
    targets: tf.Tensor4D,
    options: Partial<NcaTrainingOptions> = {},
  ) {
    this.options = { ...TRAINING_DEFAULTS, ...options };
    checkOptions(this.options);
    const { pool, height, width, seed, rank } = this.options;
    this.count = targets.shape[0];
    const size = weightCount(spec);
    this.weights = startOf(spec, this.options, this.count);
    this.start = this.weights.slice();
    this.adaptation = rank === undefined ? fullAdaptation(spec) : lowRankAdaptation(spec, rank, seed);
    const { count, blocks } = this.adaptation;
    this.parameters = new Float32Array(count * this.count);
    for (let n = 0; n < this.count; n++) {
      this.parameters.set(this.adaptation.begin(this.start.subarray(n * size, (n + 1) * size)), n * count);
    }
    this.optimiser = new NormalisedAdam(blocks, this.parameters);
    this.states = new Float32Array(this.count * pool * height * width * spec.channels);
    this.target = this.options.loss.prepare(targets);
  }

  /** Iterations done. */
  get iteration(): number {
    return this.done;
  }

  /** One iteration. */
  step(): TrainingReport {
    const { spec, count } = this;
    const { seed, pool, batch, seedEvery, steps, overflow, height, width } = this.options;
    // Every iteration has a stream of its own: a resumed training goes on as if it had not stopped.
    const random = randomStream(seed, `train/${this.done}`);
    const unroll = random.integer(steps[0], steps[1]);
    const slots = random.permutation(pool).subarray(0, batch);
    const masks = Array.from(slots, () => random.uint32());
    const each = height * width * spec.channels;
    const start = new Float32Array(count * batch * each);
    const slotOf = (sample: number) => (Math.floor(sample / batch) * pool + slots[sample % batch]) * each;
    for (let sample = 0; sample < count * batch; sample++) {
      if (sample % batch === 0 && this.done % seedEvery === 0) continue;
      start.set(this.states.subarray(slotOf(sample), slotOf(sample) + each), sample * each);
    }

    const size = weightCount(spec);
    // A row for each sample, so that gradients are summed in the same order however many NCAs train side by side.
    const rows = count * batch;
    const repeated = new Float32Array(rows * size);
    for (let row = 0; row < rows; row++) {
      const n = Math.floor((row * count) / rows);
      repeated.set(this.weights.subarray(n * size, (n + 1) * size), row * size);
    }
    const seeds = Array.from({ length: count * batch }, (_, sample) => masks[sample % batch]);
    let texture = new Float32Array();
    let final = new Float32Array();
    let slope = new Float32Array();
    tf.tidy(() => {
      const before = tf.tensor4d(start, [count * batch, height, width, spec.channels]);
      const total = (weights: tf.Tensor) => {
        const after = rollout(spec, weights as tf.Tensor2D, before, { steps: unroll, seeds });
        const losses = this.target.loss(picturesOf(spec, after), random.fork('loss'));
        texture = Float32Array.from(losses.dataSync());
        final = Float32Array.from(after.dataSync());
        // Mean over an NCA's batch, sum over NCAs: each NCA's gradient is its own.
        const loss = tf.add(tf.div(losses, batch), tf.mul(overflowOf(after), overflow));
        return tf.sum(loss) as tf.Scalar;
      };
      slope = Float32Array.from(
        tf
          .grad(total)(tf.tensor2d(repeated, [rows, size]))
          .dataSync(),
      );
    });

    const gradients = new Float32Array(count * size);
    for (let row = 0; row < rows; row++) {
      const at = Math.floor((row * count) / rows) * size;
      for (let i = 0; i < size; i++) gradients[at + i] += slope[row * size + i];
    }
    const diverged = this.optimiser.update(
      this.pulledBack(gradients),
      learningRateAt(this.options, this.done),
    );
    this.unfold();
    for (let sample = 0; sample < count * batch; sample++) {
      const lost = diverged.includes(Math.floor(sample / batch));
      const to = slotOf(sample);
      if (lost) this.states.fill(0, to, to + each);
      else this.states.set(final.subarray(sample * each, (sample + 1) * each), to);
    }
    this.done++;
    const losses = new Float32Array(count);
    texture.forEach((loss, sample) => {
      losses[Math.floor(sample / batch)] += loss / batch;
    });
    return { iteration: this.done, losses, diverged };
  }

  /** Gradients of the parameters [N * P] from those of the weights [N * D]. */
  private pulledBack(gradients: Float32Array): Float32Array {
    const { count } = this.adaptation;
    const size = weightCount(this.spec);
    const out = new Float32Array(count * this.count);
    for (let n = 0; n < this.count; n++) {
      const parameters = this.parameters.subarray(n * count, (n + 1) * count);
      out.set(this.adaptation.pullBack(parameters, gradients.subarray(n * size, (n + 1) * size)), n * count);
    }
    return out;
  }

  /** Brings the weights to what the parameters stand for. */
  private unfold(): void {
    const { count } = this.adaptation;
    const size = weightCount(this.spec);
    for (let n = 0; n < this.count; n++) {
      const [from, to] = [n * size, (n + 1) * size];
      const parameters = this.parameters.subarray(n * count, (n + 1) * count);
      this.adaptation.weights(parameters, this.start.subarray(from, to), this.weights.subarray(from, to));
    }
  }

  currentWeights(): Float32Array {
    return this.weights.slice();
  }

  /** Everything a later process needs to go on: tensors for a safetensors file. */
  state(): TrainerState {
    const { count, spec } = this;
    const { pool, height, width } = this.options;
    const vectors = [count, this.adaptation.count];
    return {
      weights: { shape: vectors, data: this.parameters.slice() },
      first: { shape: vectors, data: this.optimiser.first.slice() },
      second: { shape: vectors, data: this.optimiser.second.slice() },
      updates: { shape: [count], data: this.optimiser.updates.slice() },
      pool: { shape: [count, pool, height, width, spec.channels], data: this.states.slice() },
      iteration: { shape: [1], data: Int32Array.of(this.done) },
    };
  }

  /** Goes on from what `state` gave. Throws when that belongs to another training. */
  restore(state: Readonly<TrainerState>): void {
    checkState(state, this.spec, this.options, this.count, this.adaptation);
    this.parameters.set(state.weights.data as Float32Array);
    this.unfold();
    this.optimiser.first.set(state.first.data as Float32Array);
    this.optimiser.second.set(state.second.data as Float32Array);
    this.optimiser.updates.set(state.updates.data as Float32Array);
    this.states.set(state.pool.data as Float32Array);
    this.done = Number(state.iteration.data[0]);
  }

  /** Frees what the loss keeps of the targets. */
  dispose(): void {
    this.target.dispose();
  }
}
