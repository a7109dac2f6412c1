/** NCAs that live: states that stay in the kernels' memory from step to step, for programs that show them as they grow. No tensors. */
import { allocate, f32, release } from '../compute/index.ts';
import { type NcaEngine, padChannels } from './engine.ts';
import { paddedChannels, type RolloutRequest, rollForward } from './kernel/index.ts';
import { maskBit } from './masks.ts';
import { type NcaSpec, weightCount } from './spec.ts';
import { actOnMask, type SymmetryElement } from './symmetries/index.ts';

/** How NCAs are grown: on which grid, under which masks. */
export interface GrowthOptions {
  /** Side of the grid. */
  readonly size: number;
  /** 32-bit mask seeds, one for each NCA: as those of `rollout`. */
  readonly seeds: readonly number[];
  /** Moves the masks as it moves the grid: what grows is then the turned picture of what grew without. */
  readonly turn?: SymmetryElement;
}

const NOTHING = { states: 0, hidden: 0 };

/**
 * B NCAs of one spec growing from the seed state: after n steps the states are those of `rollout`, number for number. Dispose of it.
 *
 *     const growth = new Growth(spec, flat, { size: 128, seeds: [1] });
 *     growth.step(400);
 *     growth.paint(0, pixels); // the bytes of the picture that `nca render` writes
 */
export class Growth {
  private readonly flat: number;
  private from: number;
  private to: number;
  private readonly batch: number;
  private readonly channels: number;
  private taken = 0;

  /** @param weights [B * D] @throws Error when numbers do not fit, UserError when there is no room */
  constructor(
    readonly spec: NcaSpec,
    weights: Float32Array,
    private readonly options: GrowthOptions,
  ) {
    this.batch = weights.length / weightCount(spec);
    if (options.seeds.length !== this.batch)
      throw new Error(`${options.seeds.length} seeds for ${this.batch} NCAs`);
    if (options.seeds.some(seed => seed >>> 0 !== seed))
      throw new Error('seeds are whole numbers below 2^32: see seedsFor and maskSeed');
    this.channels = paddedChannels(spec);
    const bytes = 4 * this.batch * options.size ** 2 * this.channels;
    this.flat = allocate(4 * weights.length);
    f32(this.flat, weights.length).set(weights);
    this.from = allocate(bytes);
    this.to = allocate(bytes);
    this.reset();
  }

  /** Steps done since the seed state. */
  get steps(): number {
    return this.taken;
  }

  /** The state [size, size, channels] of NCA `index`, a view: channels made up to a multiple of four. Valid until the next step. */
  state(index: number): Float32Array {
    const length = this.options.size ** 2 * this.channels;
    return f32(this.from + 4 * index * length, length);
  }

  /** Back to the seed state. */
  reset(): void {
    f32(this.from, this.batch * this.options.size ** 2 * this.channels).fill(0);
    this.taken = 0;
  }

  /** `count` steps of all NCAs. */
  step(count: number): void {
    if (count === 0) return;
    const { size, seeds, turn } = this.options;
    const request: RolloutRequest = {
      spec: this.spec,
      batch: this.batch,
      height: size,
      width: size,
      steps: count,
      shared: false,
      seeds,
      firstStep: this.taken,
      masks: turn && this.turnedMasks(turn, count),
      keepEvery: count,
      keepHidden: false,
    };
    rollForward(request, this.flat, this.from, this.to, NOTHING);
    [this.from, this.to] = [this.to, this.from];
    this.taken += count;
  }

  /**
   * `count` steps of all NCAs on another engine; the states come back here. When it fails the growth stands where it stood. Nothing else may be asked of it
   * meanwhile.
   * @throws what the engine throws
   */
  async stepOn(engine: NcaEngine, count: number): Promise<void> {
    if (count === 0) return;
    const { spec, batch, channels } = this;
    const { size, seeds, turn } = this.options;
    const length = batch * size ** 2 * channels;
    // Copies: this memory may be shared, and may move while the engine works.
    const run = await engine.run({
      spec,
      batch,
      height: size,
      width: size,
      weights: f32(this.flat, batch * weightCount(spec)).slice(),
      state: padChannels(f32(this.from, length).slice(), channels, spec.channels),
      steps: count,
      firstStep: this.taken,
      seeds,
      masks: turn && this.turnedMasks(turn, count),
    });
    f32(this.from, length).set(padChannels(run.last, spec.channels, channels));
    run.dispose();
    this.taken += count;
  }

  /** Masks [count, B, size, size] of the next steps, moved. */
  private turnedMasks(turn: SymmetryElement, count: number): Float32Array {
    const { size, seeds } = this.options;
    const masks = new Float32Array(count * this.batch * size * size);
    const plain = new Float32Array(size * size);
    for (let step = 0; step < count; step++) {
      seeds.forEach((seed, sample) => {
        for (let cell = 0; cell < plain.length; cell++) {
          plain[cell] = Number(maskBit(seed, this.taken + step, Math.floor(cell / size), cell % size));
        }
        const { data } = actOnMask(turn, { height: size, width: size, data: plain });
        masks.set(data, (step * this.batch + sample) * plain.length);
      });
    }
    return masks;
  }

  /** Sets all cells within `radius` of (x, y), on the torus, back to the seed state: in every NCA. */
  erase(x: number, y: number, radius: number): void {
    const { size } = this.options;
    const reach = Math.ceil(radius);
    for (let index = 0; index < this.batch; index++) {
      const state = this.state(index);
      for (let dy = -reach; dy <= reach; dy++) {
        for (let dx = -reach; dx <= reach; dx++) {
          if (dx * dx + dy * dy > radius * radius) continue;
          const row = (((Math.floor(y) + dy) % size) + size) % size;
          const column = (((Math.floor(x) + dx) % size) + size) % size;
          const at = (row * size + column) * this.channels;
          state.fill(0, at, at + this.channels);
        }
      }
    }
  }

  /**
   * Paints NCA `index` as bytes [size, size, 4]: three channels of its state as red, green and blue, by the spec's scale and offset, rounded as image files
   * are. A number that is not finite is painted black.
   * @param channels which three; default the picture's
   */
  paint(index: number, into: Uint8ClampedArray, channels: readonly number[] = [0, 1, 2]): void {
    const { scale, offset } = this.spec.rgb;
    const state = this.state(index);
    const cells = this.options.size ** 2;
    for (let cell = 0; cell < cells; cell++) {
      const at = cell * this.channels;
      for (let c = 0; c < 3; c++) {
        // In float32, as the picture's own way has it.
        const value = Math.fround(Math.fround(state[at + channels[c]] * scale) + offset);
        into[4 * cell + c] = Math.round(255 * Math.min(1, Math.max(0, value)));
      }
      into[4 * cell + 3] = 255;
    }
  }

  /** Gives the memory back. */
  dispose(): void {
    for (const address of [this.flat, this.from, this.to]) release(address);
  }
}
