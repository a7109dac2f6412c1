/**
 * The training of N NCAs on a GPU: pool, rollout, texture loss, gradients and optimiser stay there, and only the losses come back. It draws what
 * `NcaTrainer` draws, and their states are files of one kind: a training may change from one to the other.
 *
 * Samples are ordered slot by slot, N in each, so that a slot of the pool is one block.
 */
import type { Gpu, GpuBlock, GpuProgram } from '../../compute/gpu/index.ts';
import type { NdArray } from '../../formats/index.ts';
import { randomStream } from '../../tensor/index.ts';
import { keepEveryOf, padChannels } from '../engine.ts';
import { weightBlocks, weightCount } from '../layout.ts';
import type { NcaSpec } from '../spec.ts';
import type { PatchOptions } from '../texture-loss.ts';
import { type Adaptation, fullAdaptation, lowRankAdaptation } from '../training/adaptation.ts';
import { learningRateAt, NormalisedAdam } from '../training/optimiser.ts';
import {
  checkState,
  type NcaTrainingOptions,
  type Trainer,
  type TrainerState,
  type TrainingReport,
} from '../training/options.ts';
import { FilterSource } from './filters.ts';
import { GpuTextureLoss } from './loss.ts';
import { adamCode, normsCode, REPORT, SETTLE } from './optimiser-code.ts';
import { GpuRollout, NcaKernels } from './rollout.ts';

type Programs = Record<'norms' | 'adam' | 'settle' | 'report', GpuProgram>;

/** Bytes of states kept for the gradient when the training does not say. */
const MEMORY = 2 ** 32;

/** Targets [N, height, width, 3] as numbers. */
export interface TargetPictures {
  readonly data: Float32Array;
  readonly count: number;
  readonly height: number;
  readonly width: number;
}

/** Correction factors of Adam for t = 0, 1, ...: 1 / (1 - 0.9^t), 1 / sqrt(1 - 0.999^t). */
const corrections = (updates: number) =>
  Float32Array.from({ length: 2 * (updates + 1) }, (_, i) =>
    i < 2 ? 1 : i % 2 === 0 ? 1 / (1 - 0.9 ** (i / 2)) : 1 / Math.sqrt(1 - 0.999 ** ((i - 1) / 2)),
  );

export class GpuNcaTrainer implements Trainer {
  private done = 0;
  private readonly held: GpuBlock[] = [];
  private readonly pool: GpuBlock[];
  private readonly weights: GpuBlock;
  private readonly first: GpuBlock;
  private readonly second: GpuBlock;
  private readonly updates: GpuBlock;
  private readonly rates: GpuBlock;
  private readonly filters: FilterSource;
  /** Where a change of low rank is trained: its parameters and their optimiser are on the processor. */
  private readonly adapted:
    | { adaptation: Adaptation; parameters: Float32Array; optimiser: NormalisedAdam }
    | undefined;

  private constructor(
    private readonly gpu: Gpu,
    readonly spec: NcaSpec,
    readonly options: NcaTrainingOptions,
    private readonly patches: PatchOptions,
    readonly count: number,
    /** Weights that training started from, [N * D]. */
    private readonly start: Float32Array,
    private readonly kernels: NcaKernels,
    private readonly loss: GpuTextureLoss,
    private readonly programs: Programs,
  ) {
    const { pool, iterations, rank, seed } = options;
    this.filters = new FilterSource(loss, patches);
    const size = weightCount(spec);
    const zeros = (bytes: number, label: string) => {
      const block = this.hold(gpu.allocate(bytes, label));
      gpu.clear(block);
      return block;
    };
    this.pool = Array.from({ length: pool }, () => zeros(kernels.stateBytes(count), 'pool of states'));
    this.weights = this.hold(gpu.upload(start, 'weights'));
    this.first = zeros(4 * count * size, 'first moments');
    this.second = zeros(4 * count * size, 'second moments');
    this.updates = zeros(4 * count, 'updates');
    this.rates = this.hold(gpu.upload(Float32Array.of(0, ...corrections(iterations)), 'rates'));
    if (rank !== undefined) {
      const adaptation = lowRankAdaptation(spec, rank, seed);
      const parameters = new Float32Array(adaptation.count * count);
      for (let n = 0; n < count; n++) {
        parameters.set(adaptation.begin(start.subarray(n * size, (n + 1) * size)), n * adaptation.count);
      }
      this.adapted = { adaptation, parameters, optimiser: new NormalisedAdam(adaptation.blocks, parameters) };
    }
  }

  /**
   * @param start [N * D] to start from
   * @throws GpuError when a kernel does not compile here or the NCA is too large for the device
   */
  static async create(
    gpu: Gpu,
    spec: NcaSpec,
    targets: TargetPictures,
    options: NcaTrainingOptions,
    patches: PatchOptions,
    start: Float32Array,
  ): Promise<GpuNcaTrainer> {
    const { height, width, batch, overflow } = options;
    const kernels = await NcaKernels.compile(gpu, spec, { height, width }, targets.count * batch);
    const shape = {
      settings: patches,
      channels: kernels.layout.channels,
      realChannels: spec.channels,
      rgb: spec.rgb,
      batch,
      overflow,
    };
    const blocks = weightBlocks(spec);
    const codes: Record<keyof Programs, string> = {
      norms: normsCode(blocks, weightCount(spec)),
      adam: adamCode(blocks, weightCount(spec)),
      settle: SETTLE,
      report: REPORT,
    };
    const compiled = await Promise.all(
      Object.entries(codes).map(async ([name, code]) => [
        name,
        await gpu.program(`NCA training ${name}`, code),
      ]),
    );
    const loss = await GpuTextureLoss.prepare(gpu, shape, options, targets);
    const programs = Object.fromEntries(compiled) as Programs;
    return new GpuNcaTrainer(gpu, spec, options, patches, targets.count, start, kernels, loss, programs);
  }

  private hold(block: GpuBlock): GpuBlock {
    this.held.push(block);
    return block;
  }

  /** Iterations done. */
  get iteration(): number {
    return this.done;
  }

  /** One iteration. @throws GpuError */
  async step(): Promise<TrainingReport> {
    const { gpu, count, kernels, loss, programs } = this;
    const { seed, pool, batch, seedEvery, steps } = this.options;
    const random = randomStream(seed, `train/${this.done}`);
    const unroll = random.integer(steps[0], steps[1]);
    const slots = random.permutation(pool).subarray(0, batch);
    const masks = Array.from(slots, () => random.uint32());
    const samples = count * batch;
    const each = kernels.stateBytes(count);
    const start = gpu.allocate(batch * each, 'NCA state');
    for (let b = 0; b < batch; b++) {
      if (b === 0 && this.done % seedEvery === 0) gpu.clear(start, 0, each);
      else gpu.copy(this.pool[slots[b]], start, each, 0, b * each);
    }
    const seeds = Array.from({ length: samples }, (_, sample) => masks[Math.floor(sample / count)]);
    const packed = kernels.pack(this.weights, count);
    const keepEvery = keepEveryOf(unroll, batch * each, MEMORY);
    const rollout = new GpuRollout(
      kernels,
      { batch: samples, rows: count, steps: unroll, firstStep: 0, seeds, keepEvery },
      packed,
      start,
    );
    const { responses, chosen, release } = this.filters.draw(random.fork('loss'));
    const { stateGradient, losses } = loss.measure(rollout.last, samples, responses, chosen);
    release();
    const { weights: gradient, state: unused } = rollout.backward(stateGradient);

    const norms = gpu.allocate(16 * count, 'gradient norms');
    const diverged = gpu.allocate(4 * count, 'diverged');
    gpu.run(programs.norms, [gradient, norms, this.updates, diverged], count);
    if (!this.adapted) this.update(gradient, norms, diverged);
    for (let b = 0; b < batch; b++) {
      const task = gpu.constant(Uint32Array.of(b * count, each / 4 / count), 'slot');
      const across = Math.ceil(each / 4 / count / 64);
      gpu.run(programs.settle, [rollout.last, diverged, task, this.pool[slots[b]]], across, count);
    }
    const report = gpu.allocate(8 * count, 'report');
    const { scales, projections } = this.patches;
    const sizes = gpu.constant(Uint32Array.of(count, batch, scales * projections), 'report');
    gpu.run(programs.report, [losses, diverged, sizes, report], Math.ceil(count / 64));
    const held = [start, packed, stateGradient, losses, gradient, unused, norms, diverged, report];
    rollout.dispose();
    try {
      const numbers = await gpu.numbers(report, 2 * count);
      if (this.adapted) await this.updateAdapted(gradient);
      this.done++;
      const lost = Array.from({ length: count }, (_, n) => n).filter(n => numbers[count + n] !== 0);
      return { iteration: this.done, losses: numbers.slice(0, count), diverged: lost };
    } finally {
      gpu.release(...held);
    }
  }

  private update(gradient: GpuBlock, norms: GpuBlock, diverged: GpuBlock): void {
    const { gpu, programs, first, second, weights, updates, rates, count } = this;
    gpu.write(rates, Float32Array.of(learningRateAt(this.options, this.done)));
    const across = Math.ceil(weightCount(this.spec) / 64);
    gpu.run(
      programs.adam,
      [gradient, norms, updates, diverged, rates, first, second, weights],
      across,
      count,
    );
  }

  private async updateAdapted(gradient: GpuBlock): Promise<void> {
    const { adaptation, parameters, optimiser } = this.adapted!;
    const size = weightCount(this.spec);
    const slopes = await this.gpu.numbers(gradient, this.count * size);
    const pulled = new Float32Array(parameters.length);
    for (let n = 0; n < this.count; n++) {
      const own = parameters.subarray(n * adaptation.count, (n + 1) * adaptation.count);
      pulled.set(adaptation.pullBack(own, slopes.subarray(n * size, (n + 1) * size)), n * adaptation.count);
    }
    optimiser.update(pulled, learningRateAt(this.options, this.done));
    this.unfold();
  }

  /** Brings the weights to what the parameters stand for. */
  private unfold(): void {
    const { adaptation, parameters } = this.adapted!;
    const size = weightCount(this.spec);
    const weights = new Float32Array(this.count * size);
    for (let n = 0; n < this.count; n++) {
      const own = parameters.subarray(n * adaptation.count, (n + 1) * adaptation.count);
      const [from, to] = [n * size, (n + 1) * size];
      adaptation.weights(own, this.start.subarray(from, to), weights.subarray(from, to));
    }
    this.gpu.write(this.weights, weights);
  }

  /** [N * D] */
  currentWeights(): Promise<Float32Array> {
    return this.gpu.numbers(this.weights, this.count * weightCount(this.spec));
  }

  async state(): Promise<TrainerState> {
    const { gpu, spec, count, adapted, kernels } = this;
    const { pool, height, width } = this.options;
    const size = adapted ? adapted.adaptation.count : weightCount(spec);
    const vectors = [count, size];
    const each = height * width * spec.channels;
    const states = new Float32Array(count * pool * each);
    for (const [slot, block] of this.pool.entries()) {
      const padded = await gpu.numbers(block, kernels.stateBytes(count) / 4);
      const own = padChannels(padded, kernels.layout.channels, spec.channels);
      for (let n = 0; n < count; n++)
        states.set(own.subarray(n * each, (n + 1) * each), (n * pool + slot) * each);
    }
    const moments = adapted
      ? [adapted.parameters.slice(), adapted.optimiser.first.slice(), adapted.optimiser.second.slice()]
      : await Promise.all(
          [this.weights, this.first, this.second].map(block => gpu.numbers(block, count * size)),
        );
    const updates = adapted
      ? adapted.optimiser.updates.slice()
      : Float32Array.from(new Uint32Array(await gpu.read(this.updates, 4 * count)));
    return {
      weights: { shape: vectors, data: moments[0] },
      first: { shape: vectors, data: moments[1] },
      second: { shape: vectors, data: moments[2] },
      updates: { shape: [count], data: updates },
      pool: { shape: [count, pool, height, width, spec.channels], data: states },
      iteration: { shape: [1], data: Int32Array.of(this.done) },
    };
  }

  restore(state: Readonly<Record<string, NdArray>>): void {
    const { gpu, spec, count, adapted, kernels } = this;
    checkState(state, spec, this.options, count, adapted?.adaptation ?? fullAdaptation(spec));
    const floats = (name: string) => state[name].data as Float32Array;
    if (adapted) {
      adapted.parameters.set(floats('weights'));
      adapted.optimiser.first.set(floats('first'));
      adapted.optimiser.second.set(floats('second'));
      adapted.optimiser.updates.set(floats('updates'));
      this.unfold();
    } else {
      gpu.write(this.weights, floats('weights'));
      gpu.write(this.first, floats('first'));
      gpu.write(this.second, floats('second'));
    }
    gpu.write(this.updates, Uint32Array.from(floats('updates')));
    const { pool, height, width } = this.options;
    const each = height * width * spec.channels;
    for (const [slot, block] of this.pool.entries()) {
      const own = new Float32Array(count * each);
      for (let n = 0; n < count; n++) {
        own.set(floats('pool').subarray((n * pool + slot) * each, (n * pool + slot + 1) * each), n * each);
      }
      gpu.write(block, padChannels(own, spec.channels, kernels.layout.channels));
    }
    this.done = Number(state.iteration.data[0]);
  }

  dispose(): void {
    this.filters.dispose();
    this.loss.dispose();
    this.gpu.release(...this.held.splice(0));
  }
}
