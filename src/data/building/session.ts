/** One build at work: what is done, what is open, the training of a few NCAs side by side, and the zoo at the end. */
import { refuse, settle } from '../../config/index.ts';
import type { Picture } from '../../formats/index.ts';
import {
  initialWeights,
  type NcaSpec,
  type NcaTrainingOptions,
  patchSlicedWasserstein,
  trainNca,
  weightCount,
} from '../../nca/index.ts';
import { randomStream } from '../../tensor/index.ts';
import { renderNcas } from '../render.ts';
import { fileNames } from '../split.ts';
import type { ZooEntry } from '../zoo.ts';
import { writeZoo } from '../zoo-write.ts';
import { specOf, type TrainingConfig, type ZooBuildConfig } from './config.ts';
import { configHash } from './hashes.ts';
import type { BuildOptions, BuildResult } from './options.ts';
import type { Part, Parts } from './parts.ts';
import { type Mosaic, type PlannedTexture, pixelHash } from './plan.ts';
import { judgeNcas, stackPictures, type Verdict } from './runaways.ts';

export function trainingOptions(training: TrainingConfig, seed: number): Partial<NcaTrainingOptions> {
  const { size, loss, ...rest } = training;
  return { ...rest, seed, height: size, width: size, loss: patchSlicedWasserstein(loss) };
}

/** Trains one NCA on each picture; undefined when interrupted. */
export async function train(
  spec: NcaSpec,
  pictures: readonly Float32Array[],
  side: number,
  options: Partial<NcaTrainingOptions>,
  { signal, onIteration }: { signal?: AbortSignal; onIteration: (done: number, loss: number) => void },
): Promise<Float32Array | undefined> {
  const targets = stackPictures(pictures, side);
  try {
    const { weights, finished } = await trainNca(spec, targets, {
      ...options,
      signal,
      onProgress: ({ iteration, losses }) =>
        onIteration(iteration, losses.reduce((a, b) => a + b, 0) / losses.length),
    });
    return finished ? weights : undefined;
  } finally {
    targets.dispose();
  }
}

/** Rank of a low-rank adaptation, unless the configuration says otherwise. */
export const RANK = 4;

const median = (values: readonly number[]) => {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

/** [n * D] random weights that the names decide: where there is no base. */
export function randomStarts(
  spec: NcaSpec,
  group: readonly { readonly name: string }[],
  seed: number,
): Float32Array {
  const size = weightCount(spec);
  const all = new Float32Array(group.length * size);
  group.forEach(({ name }, i) => {
    all.set(initialWeights(spec, randomStream(seed, `start/${name}`).uint32()), i * size);
  });
  return all;
}

/** The NCA that all are fine-tuned from, and how well it shows what it was trained on. */
export interface TrainedBase extends Verdict {
  /** [D] */
  readonly weights: Float32Array;
  readonly mosaic: Mosaic;
}

/** One build: what every step of it needs. */
export class Session {
  readonly spec: NcaSpec;
  readonly files: ReadonlyMap<PlannedTexture, string>;
  readonly done = new Map<PlannedTexture, Part>();
  /** Hashes of what the NCAs are trained on and from: their pixels and the base. */
  private readonly hashes = new Map<PlannedTexture, string>();

  constructor(
    readonly config: ZooBuildConfig,
    readonly options: BuildOptions,
    readonly textures: readonly PlannedTexture[],
    readonly parts: Parts,
    /** Null: every NCA starts at random. */
    readonly base: TrainedBase | null,
  ) {
    this.spec = specOf(config);
    const names = fileNames(textures.map(({ name }) => name));
    this.files = new Map(textures.map((texture, i) => [texture, `nca-${names[i]}`]));
  }

  /** Looks for finished parts, those of other processes included; what is still to do. */
  async open(): Promise<PlannedTexture[]> {
    for (const texture of this.textures) {
      if (this.done.has(texture)) continue;
      let hash = this.hashes.get(texture);
      if (hash === undefined) {
        const pixels = await texture.draw(this.config.picture.target);
        hash = pixelHash(pixels, ...(this.base ? [this.base.weights] : []));
        this.hashes.set(texture, hash);
      }
      const part = await this.parts.read(this.files.get(texture)!, hash);
      if (part) this.done.set(texture, part);
    }
    return this.textures.filter(texture => !this.done.has(texture));
  }

  /** Weights to start from: the base, or random ones that the name decides. */
  private starts(group: readonly PlannedTexture[]): Float32Array {
    return this.base?.weights ?? randomStarts(this.spec, group, this.config.seed);
  }

  /** Trains a few NCAs side by side, those that ran away once more at a smaller rate; false when interrupted. */
  async trainGroup(group: readonly PlannedTexture[]): Promise<boolean> {
    const { config, options, spec } = this;
    const { target } = config.picture;
    const { iterations } = config.training;
    const pictures = new Map<PlannedTexture, Float32Array>();
    for (const texture of group) pictures.set(texture, await texture.draw(target));
    const size = weightCount(spec);
    const before = this.done.size;
    let waiting = group;
    for (let attempts = 1; waiting.length > 0 && attempts <= 2; attempts++) {
      const rate = attempts === 1 ? 1 : config.runaways!.retry;
      const again = waiting.length;
      const weights = await train(
        spec,
        waiting.map(texture => pictures.get(texture)!),
        target,
        {
          ...trainingOptions(
            { ...config.training, learningRate: rate * config.training.learningRate },
            config.seed,
          ),
          initial: this.starts(waiting),
          ...(config.adaptation === 'low-rank' ? { rank: config.rank ?? RANK } : {}),
        },
        {
          signal: options.signal,
          onIteration: (done, loss) =>
            options.onProgress?.(
              attempts === 1
                ? {
                    stage: 'zoo',
                    done: before * iterations + done * group.length,
                    total: this.textures.length * iterations,
                    loss,
                  }
                : { stage: 'again', done: done * again, total: iterations * again, loss },
            ),
        },
      );
      if (!weights) return false;
      const verdicts = await judgeNcas(
        config,
        spec,
        weights,
        waiting.map(texture => pictures.get(texture)!),
      );
      const faulty: PlannedTexture[] = [];
      for (const [i, texture] of waiting.entries()) {
        const { loss, fault } = verdicts[i];
        if (fault !== null && attempts === 1) {
          options.onNote?.(`${texture.name}: ${fault}; trained again at a smaller rate`);
          faulty.push(texture);
          continue;
        }
        const own = weights.slice(i * size, (i + 1) * size);
        const part = { weights: own, target: this.hashes.get(texture)!, attempts, fault, loss };
        await this.parts.write(this.files.get(texture)!, part);
        this.done.set(texture, part);
      }
      waiting = faulty;
    }
    return true;
  }

  /** Writes the zoo of everything that is fit for it. */
  async write(): Promise<Pick<BuildResult, 'leftOut' | 'medianLoss' | 'baseLoss'>> {
    const { config, spec, base } = this;
    const size = weightCount(spec);
    const { kept, format = 'png' } = config.picture;
    const fit = this.textures.filter(texture => this.done.get(texture)!.fault === null);
    const leftOut = this.textures.flatMap(texture => {
      const { fault } = this.done.get(texture)!;
      return fault === null ? [] : [{ name: texture.name, reason: fault }];
    });
    if (fit.length === 0) {
      refuse(
        config.out,
        'NCAs that show their textures',
        `none of ${leftOut.length}, such as ${leftOut[0].name}: ${leftOut[0].reason}`,
      );
    }
    const weights = new Float32Array(fit.length * size);
    fit.forEach((texture, i) => {
      weights.set(this.done.get(texture)!.weights, i * size);
    });
    const names = fileNames(fit.map(({ name }) => name));
    const entries = fit.map(({ name, group, split, provenance }, i): ZooEntry => {
      const { loss, attempts } = this.done.get(fit[i])!;
      return {
        name,
        split,
        group,
        image: `images/${names[i]}.${format}`,
        rendering: `renderings/${names[i]}.${format}`,
        seed: config.seed,
        provenance: { ...provenance, loss, ...(attempts > 1 ? { attempts } : {}) },
      };
    });
    const rendering = { size: kept, ...config.rendering };
    const basePicture = `base.${format}`;
    async function* images(): AsyncGenerator<{ path: string; content: Picture }> {
      if (base) {
        const { side, data } = base.mosaic;
        yield { path: basePicture, content: { width: side, height: side, data } };
      }
      for (let start = 0; start < fit.length; start += 16) {
        const rows = weights.subarray(start * size, Math.min(fit.length, start + 16) * size);
        const shown = await renderNcas(spec, rows, rendering);
        for (const [i, content] of shown.entries()) {
          const data = await fit[start + i].draw(kept);
          yield { path: entries[start + i].image!, content: { width: kept, height: kept, data } };
          yield { path: entries[start + i].rendering!, content };
        }
      }
    }
    const provenance = {
      command: this.options.command ?? null,
      config,
      configHash: configHash(config),
      leftOut,
      ...(base ? { base: { picture: basePicture, loss: base.loss, fault: base.fault } } : {}),
    };
    const draft = { spec, entries, weights, base: base?.weights ?? null, provenance };
    await settle(writeZoo(config.out, draft, images(), { replace: true }));
    return {
      leftOut,
      medianLoss: median(fit.map(texture => this.done.get(texture)!.loss)),
      baseLoss: base?.loss ?? null,
    };
  }
}
