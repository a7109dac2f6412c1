/**
 * Builds a zoo: draws procedural textures, trains one base NCA on a mosaic of them, and fine-tunes an NCA for every texture from the base.
 *
 * All fine-tunings share every random draw but the texture itself, so that the weights are a smooth function of the texture. What is
 * finished is kept in a work folder that the configuration's hash names: a build that was stopped, however roughly, goes on where it was.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, type Failure, refuse, settle, suggestion } from '../../config/index.ts';
import { type NdArray, type Picture, readSafetensors, writeSafetensors } from '../../formats/index.ts';
import { type NcaSpec, type NcaTrainingOptions, patchSlicedWasserstein, trainNca } from '../../nca/index.ts';
import { randomStream, tf } from '../../tensor/index.ts';
import { renderNcas } from '../render.ts';
import { SHARED_RANGES, textureFamilies } from '../textures/index.ts';
import type { ZooEntry } from '../zoo.ts';
import { writeZoo } from '../zoo-write.ts';
import { specOf, type TrainingConfig, type ZooBuildConfig } from './config.ts';
import { baseMosaic, drawPlanned, type PlannedTexture, planTextures } from './plan.ts';

/** Where a build keeps what is finished, how much of it this process does, and how it is watched. */
export interface BuildOptions {
  /** Folder for what is finished so far; a folder for this configuration is made inside. */
  readonly work: string;
  /** Builds only the first few textures. */
  readonly limit?: number;
  /** Ends the build; what is finished stays in the work folder. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: BuildProgress) => void;
  /** This process's share of the textures, when several work in one work folder: those whose number is `index` modulo `count`. */
  readonly part?: { readonly index: number; readonly count: number };
  /** Ends when the base, or this process's share, is trained: another process writes the zoo. */
  readonly only?: 'base' | 'part';
  /** Kept in the manifest: how to make this zoo again. */
  readonly command?: string;
}

/** How far a stage of a build is, told after every iteration. */
export interface BuildProgress {
  /** `base`: the NCA that all are fine-tuned from; `zoo`: the fine-tunings. */
  readonly stage: 'base' | 'zoo';
  /** Iterations of one NCA each, those of earlier runs included. */
  readonly done: number;
  readonly total: number;
  /** Mean texture loss of the NCAs in training. */
  readonly loss: number;
}

/** How far a build has come. */
export interface BuildResult {
  /**
   * False when the signal ended the build early or other processes have not done their parts: nothing is written to `out` then, and
   * the same command goes on.
   */
  readonly finished: boolean;
  /** NCAs trained so far. */
  readonly trained: number;
  /** NCAs the zoo will have. */
  readonly total: number;
  /** Where what is finished lies. */
  readonly workFolder: string;
}

/** JSON with the keys of every object in order, so that equal values have equal texts. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );

/** A short name for everything that decides what the weights will be. */
export function configHash({ out: _, together: __, rendering: ___, ...decisive }: ZooBuildConfig): string {
  return createHash('sha256').update(canonical(decisive)).digest('hex').slice(0, 12);
}

function trainingOptions(training: TrainingConfig, seed: number): Partial<NcaTrainingOptions> {
  const { size, loss, ...rest } = training;
  return { ...rest, seed, height: size, width: size, loss: patchSlicedWasserstein(loss) };
}

const stackPictures = (pictures: readonly Float32Array[], size: number): tf.Tensor4D => {
  const data = new Float32Array(pictures.length * size * size * 3);
  for (const [i, picture] of pictures.entries()) data.set(picture, i * picture.length);
  return tf.tensor4d(data, [pictures.length, size, size, 3]);
};

const vector = (values: Float32Array): NdArray => ({ shape: [values.length], data: values });

async function readVector(path: string): Promise<Float32Array> {
  const { tensors } = await settle(readSafetensors(path, { names: ['weights'] }));
  return tensors.weights.data as Float32Array;
}

/** Trains one NCA on each picture; undefined when interrupted. */
async function train(
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

/** Texture loss of finished pictures against their targets, with projections of its own. */
function finalLosses(config: ZooBuildConfig, pictures: readonly Picture[], targets: readonly Float32Array[]) {
  return tf.tidy(() => {
    const loss = patchSlicedWasserstein(config.training.loss).prepare(
      stackPictures(targets, config.picture.target),
    );
    const shown = stackPictures(
      pictures.map(({ data }) => data),
      pictures[0].width,
    );
    return Array.from(loss.loss(shown, randomStream(config.seed, 'final loss')).dataSync());
  });
}

/** Ranges must name parameters that the family has. */
function checkRanges({ ranges: shared = {}, textures, base }: ZooBuildConfig): void {
  const check = (names: readonly string[], known: readonly string[], field: string) => {
    const stray = names.find(name => !known.includes(name));
    if (stray === undefined) return;
    refuse('zoo configuration', `one of ${known.join(', ')}`, `the unknown parameter ${stray}`, {
      field,
      hint: suggestion(stray, known),
    });
  };
  check(Object.keys(shared), Object.keys(SHARED_RANGES), 'ranges');
  for (const [where, list] of [
    ['textures', textures],
    ['base.textures', base.textures],
  ] as const) {
    list.forEach(({ family, ranges = {} }, i) => {
      check(Object.keys(ranges), Object.keys(textureFamilies[family].ranges), `${where}[${i}].ranges`);
    });
  }
}

/** Builds, or goes on building, the zoo of `config`, and writes it to `config.out`. @returns a TaskEither: run it with settle() */
export const buildZoo = (
  config: ZooBuildConfig,
  options: BuildOptions,
): TE.TaskEither<Failure, BuildResult> =>
  attempt(config.out, async () => {
    checkRanges(config);
    const spec = specOf(config);
    const planned = planTextures(config).slice(0, options.limit);
    const workFolder = join(options.work, configHash(config));
    const file = (name: string) => join(workFolder, `${name}.safetensors`);
    const { signal } = options;
    const interrupted = (trained: number) => ({
      finished: false,
      trained,
      total: planned.length,
      workFolder,
    });

    // The base.
    if (!existsSync(file('base'))) {
      const { side, data } = baseMosaic(config);
      const { iterations } = config.base.training;
      const trained = await train(spec, [data], side, trainingOptions(config.base.training, config.seed), {
        signal,
        onIteration: (done, loss) => options.onProgress?.({ stage: 'base', done, total: iterations, loss }),
      });
      if (!trained) return interrupted(0);
      await settle(writeSafetensors(file('base'), { weights: vector(trained) }));
    }
    if (options.only === 'base') return interrupted(0);
    const base = await readVector(file('base'));

    // The textures, several at a time.
    const { iterations } = config.training;
    const { index, count } = options.part ?? { index: 0, count: 1 };
    const isMine = new Set(planned.filter((_, i) => i % count === index));
    const isDone = ({ name }: PlannedTexture) => existsSync(file(name));
    for (;;) {
      const open = planned.filter(texture => !isDone(texture));
      if (open.length === 0) break;
      const group = open.filter(texture => isMine.has(texture)).slice(0, config.together);
      if (group.length === 0) return interrupted(planned.length - open.length);
      const before = planned.length - open.length;
      const weights = await train(
        spec,
        group.map(texture => drawPlanned(texture, config.picture.target)),
        config.picture.target,
        { ...trainingOptions(config.training, config.seed), initial: base },
        {
          signal,
          onIteration: (done, loss) =>
            options.onProgress?.({
              stage: 'zoo',
              done: before * iterations + done * group.length,
              total: planned.length * iterations,
              loss,
            }),
        },
      );
      if (!weights) return interrupted(before);
      for (const [i, { name }] of group.entries()) {
        const own = weights.slice(i * base.length, (i + 1) * base.length);
        await settle(writeSafetensors(file(name), { weights: vector(own) }));
      }
    }

    if (options.only === 'part') return interrupted(planned.length);

    // The zoo.
    const weights = new Float32Array(planned.length * base.length);
    for (const [i, { name }] of planned.entries()) {
      weights.set(await readVector(file(name)), i * base.length);
    }
    const entries: ZooEntry[] = [];
    const images: { path: string; content: Picture }[] = [];
    const { kept } = config.picture;
    for (let start = 0; start < planned.length; start += 16) {
      const part = planned.slice(start, start + 16);
      const shown = await renderNcas(
        spec,
        weights.subarray(start * base.length, (start + part.length) * base.length),
        {
          size: kept,
          ...config.rendering,
        },
      );
      const losses = finalLosses(
        config,
        shown,
        part.map(texture => drawPlanned(texture, config.picture.target)),
      );
      part.forEach((texture, i) => {
        const { name, family, parameters, split } = texture;
        const image = `images/${name}.png`;
        const rendering = `renderings/${name}.png`;
        images.push({
          path: image,
          content: { width: kept, height: kept, data: drawPlanned(texture, kept) },
        });
        images.push({ path: rendering, content: shown[i] });
        entries.push({
          name,
          split,
          image,
          rendering,
          seed: config.seed,
          provenance: { family, parameters, loss: losses[i] },
        });
      });
    }
    const provenance = { command: options.command ?? null, config, configHash: configHash(config) };
    await settle(
      writeZoo(config.out, { spec, entries, weights, base, provenance }, images, { replace: true }),
    );
    return { finished: true, trained: planned.length, total: planned.length, workFolder };
  });
