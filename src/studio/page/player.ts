/** NCAs on canvases, growing in step: played, paused, stepped, erased. */
import { ask, grow } from './engine.ts';
import type { Frame, GrowthRequest } from './protocol.ts';

/** Steps a frame, and milliseconds of computing it may take. */
const SPEEDS = {
  slow: { most: 1, budget: 14, every: 4 },
  normal: { most: 2, budget: 14, every: 1 },
  full: { most: 100_000, budget: 14, every: 1 },
} as const;
/** How fast NCAs are shown growing: `full` is as fast as the machine computes. */
export type Speed = keyof typeof SPEEDS;

/** NCAs that grow in step, each on a canvas of its own. */
export class Player {
  readonly canvases: readonly HTMLCanvasElement[];
  speed: Speed = 'normal';
  /** Which three channels are shown as red, green and blue. */
  channels: readonly number[] = [0, 1, 2];
  /** It pauses when it comes to this step. */
  target: number | null = null;
  playing = false;
  steps = 0;
  /** Steps a second of the clock, over the last half second; while it plays. */
  rate = 0;
  /** All steps done so far and the milliseconds the kernels took for them. */
  readonly busy = { steps: 0, milliseconds: 0 };
  /** Told after every picture. */
  onFrame: () => void = () => {};
  /** Told when playing begins and ends, and of steps done: while it plays ten times a second, for the page is slower to change than the picture. */
  onChange: () => void = () => {};
  /** Told what went wrong. */
  onError: (error: Error) => void = () => {};
  /** Told, in a sentence, that WebGPU failed and WebAssembly goes on. */
  onFallback: (fault: string) => void = () => {};
  private frame = 0;
  private queue: Promise<unknown> = Promise.resolve();
  private pending = 0;
  private since = { time: 0, steps: 0 };
  private told = 0;
  private gone = false;

  private constructor(
    private readonly ids: readonly number[],
    requests: readonly GrowthRequest[],
  ) {
    this.canvases = requests.flatMap(({ seeds, size }) =>
      seeds.map(() => {
        const canvas = document.createElement('canvas');
        canvas.width = size;
        canvas.height = size;
        return canvas;
      }),
    );
  }

  /** Makes them, and shows their seed state. */
  static async make(requests: readonly GrowthRequest[]): Promise<Player> {
    const player = new Player(await Promise.all(requests.map(grow)), requests);
    await player.inTurn(() => player.advance(0));
    return player;
  }

  play(): void {
    if (this.playing || this.gone) return;
    this.playing = true;
    this.since = { time: performance.now(), steps: this.steps };
    this.onChange();
    requestAnimationFrame(() => this.tick());
  }

  pause(): void {
    this.playing = false;
    this.rate = 0;
    this.onChange();
  }

  toggle(): void {
    if (this.playing) this.pause();
    else {
      if (this.target !== null && this.steps >= this.target) this.target = null;
      this.play();
    }
  }

  /** Exactly so many steps more. */
  async step(count: number): Promise<void> {
    this.pause();
    await this.inTurn(async () => {
      const target = this.steps + count;
      while (this.steps < target) await this.advance(target - this.steps);
    });
  }

  async reset(): Promise<void> {
    await this.inTurn(() => this.toSeed());
  }

  /** Plays to a step, from the seed where it is past that. */
  async playTo(step: number, speed: Speed = this.speed): Promise<void> {
    await this.inTurn(async () => {
      this.speed = speed;
      if (this.steps > step) await this.toSeed();
      this.target = step;
    });
    if (this.steps < step) this.play();
  }

  /** Erases a disc around a place in cells. */
  async erase(x: number, y: number, radius: number): Promise<void> {
    await this.inTurn(async () => {
      await ask('erase', { ids: this.ids, x, y, radius });
      if (!this.playing) await this.advance(0);
    });
  }

  /** Shows other channels, now. */
  async show(channels: readonly number[]): Promise<void> {
    this.channels = channels;
    if (!this.playing) await this.inTurn(() => this.advance(0));
  }

  /** Growths by number, as `difference` is asked of them. */
  get growths(): readonly number[] {
    return this.ids;
  }

  dispose(): void {
    this.gone = true;
    this.playing = false;
    this.onChange = () => {};
    const { ids } = this;
    this.inTurn(() => ask('drop', { ids })).catch(() => {});
  }

  /** One thing at a time, in the order in which it was asked for. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.pending++;
    const done = this.queue.then(work).finally(() => this.pending--);
    this.queue = done.catch(() => {});
    return done;
  }

  private tick(): void {
    if (!this.playing || this.gone) return;
    requestAnimationFrame(() => this.tick());
    const { most, every } = SPEEDS[this.speed];
    if (this.pending > 0 || ++this.frame % every !== 0) return;
    this.inTurn(async () => {
      const left = this.target === null ? Number.POSITIVE_INFINITY : this.target - this.steps;
      if (left > 0) await this.advance(Math.min(most, left));
      else this.pause();
    }).catch(error => {
      this.pause();
      this.onError(error as Error);
    });
  }

  private async toSeed(): Promise<void> {
    await ask('reset', { ids: this.ids });
    this.since = { time: performance.now(), steps: 0 };
    await this.advance(0);
  }

  private async advance(most: number): Promise<void> {
    const { budget } = SPEEDS[this.speed];
    this.draw(await ask('advance', { ids: this.ids, most, budget, channels: this.channels }));
  }

  private draw({ steps, done, busy, fault, pictures }: Frame): void {
    this.steps = steps;
    this.busy.steps += done;
    this.busy.milliseconds += busy;
    const now = performance.now();
    if (this.playing && now - this.since.time > 500) {
      this.rate = (1000 * (steps - this.since.steps)) / (now - this.since.time);
      this.since = { time: now, steps };
    }
    pictures.forEach((pixels, i) => {
      const { width } = this.canvases[i];
      this.canvases[i].getContext('2d')?.putImageData(new ImageData(pixels, width), 0, 0);
    });
    if (fault) this.onFallback(fault);
    this.onFrame();
    if (this.playing && now - this.told < 100) return;
    this.told = now;
    this.onChange();
  }
}
