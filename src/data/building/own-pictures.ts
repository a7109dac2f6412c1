/** Pictures that a zoo does not have, as it would have them: cut and scaled like its own, looked at like its own, with NCAs trained like its own. */
import { settle } from '../../config/index.ts';
import { decodeImage, encodePng } from '../../formats/index.ts';
import { weightCount } from '../../nca/index.ts';
import { buildConfigOf } from '../provenance.ts';
import { shortNames } from '../split.ts';
import type { Zoo } from '../zoo.ts';
import type { TrainingConfig, ZooBuildConfig } from './config.ts';
import { centre } from './pictures.ts';
import { judgeNcas, type Verdict } from './runaways.ts';
import { RANK, randomStarts, train, trainingOptions } from './session.ts';
import { CHECKS, doubtOf, look, type Seen } from './survey.ts';

/** How a zoo's pictures were cut and its NCAs trained. */
export interface ZooRecipe {
  /** Texels a side: what is shown and measured, and what is trained on. */
  readonly kept: number;
  readonly target: number;
  /** Pixels of a file to a texel; `fit`: as many as bring the shorter side to `target` texels. */
  readonly pixelsPerTexel: number | 'fit';
  readonly checks: { readonly flat: number | null; readonly uneven: number | null };
  /** The whole configuration: training, seed, rendering, what a runaway is known by. */
  readonly build: ZooBuildConfig;
  /** Whether the zoo itself says all this, or usual values had to be taken. */
  readonly told: boolean;
}

/**
 * How the pictures of a zoo were cut and its NCAs trained, by its manifest.
 * @param otherwise texels a side and training where the manifest does not tell: of a zoo that was imported
 */
export function recipeOf(
  zoo: Zoo,
  otherwise: { readonly size: number; readonly training: TrainingConfig; readonly steps: number },
): ZooRecipe {
  const found = buildConfigOf(zoo);
  const build = found ?? {
    spec: zoo.spec,
    out: zoo.folder,
    seed: 0,
    textures: [],
    picture: { kept: otherwise.size, target: otherwise.size },
    base: 'none',
    training: otherwise.training,
    together: 8,
    rendering: { steps: otherwise.steps, seed: 1 },
  };
  const { textures, picture } = build;
  const pictures = Array.isArray(textures) ? null : textures;
  const { flat, uneven } = { ...CHECKS, ...pictures?.checks };
  return {
    ...picture,
    pixelsPerTexel: pictures?.pixelsPerTexel ?? 'fit',
    checks: { flat, uneven },
    build,
    told: found !== null,
  };
}

/** A picture that was cut as a zoo's are. */
export interface OwnPicture extends Omit<Seen, 'file' | 'row' | 'layout' | 'tooSmall'> {
  readonly name: string;
  readonly path: string;
  /** [size, size, 3]: the centre of `target`, as the zoo keeps it. */
  readonly picture: Float32Array;
  /** [target, target, 3]: what an NCA is trained on. */
  readonly target: Float32Array;
  /** Why it is no good texture; it is taken all the same. */
  readonly doubt: string | null;
}

/**
 * Pictures cut by a recipe; those that cannot be read are left out, with the reason.
 * @param size side they are brought to: `kept`, unless what is conditioned on them was trained on another
 */
export async function drawOwnPictures(
  paths: readonly string[],
  { kept, target, pixelsPerTexel, checks }: ZooRecipe,
  size: number,
  { signal, onProgress }: { signal?: AbortSignal; onProgress?(done: number, total: number): void } = {},
): Promise<{ readonly taken: OwnPicture[]; readonly leftOut: { name: string; reason: string }[] }> {
  const names = shortNames(paths.map(path => path.replace(/\.[^./\\]*$/, '')));
  const taken: OwnPicture[] = [];
  const leftOut: { name: string; reason: string }[] = [];
  for (const [i, path] of paths.entries()) {
    signal?.throwIfAborted();
    const found = await look({ name: names[i], path }, null, { pixelsPerTexel }, target);
    onProgress?.(i + 1, paths.length);
    if (typeof found === 'string') {
      leftOut.push({ name: path, reason: found });
      continue;
    }
    const { seen, texels } = found;
    const { file: _, row: __, layout: ___, tooSmall: ____, ...statistics } = seen;
    taken.push({
      ...statistics,
      name: names[i],
      path,
      picture: await resized(centre(texels, target, kept), kept, size),
      target: texels,
      doubt: doubtOf(seen, checks),
    });
  }
  return { taken, leftOut };
}

/** As a zoo's picture is read at another size than it has. */
async function resized(data: Float32Array, side: number, size: number): Promise<Float32Array> {
  if (side === size) return data;
  const bytes = await encodePng({ width: side, height: side, data });
  return (await settle(decodeImage(bytes, 'picture', { size }))).data;
}

/** NCAs trained on pictures of one's own. */
export interface OwnNcas {
  /** [M * D] */
  readonly weights: Float32Array;
  /** Texture loss of each, and what is wrong with it. */
  readonly verdicts: readonly Verdict[];
  /** That the trainings took together. */
  readonly seconds: number;
}

/**
 * Trains an NCA on each picture as those of the zoo were trained: from its base (or a random start of its own, where it has none), with the same iterations,
 * learning rates and random draws. Throws the signal's reason when interrupted.
 */
export async function trainOwnNcas(
  { spec, base }: Pick<Zoo, 'spec' | 'base'>,
  { build, target }: ZooRecipe,
  pictures: readonly Pick<OwnPicture, 'name' | 'target'>[],
  { signal, onProgress }: { signal?: AbortSignal; onProgress?(done: number, total: number): void } = {},
): Promise<OwnNcas> {
  const { training, seed, together, adaptation, rank = RANK } = build;
  const size = weightCount(spec);
  const weights = new Float32Array(pictures.length * size);
  const began = performance.now();
  for (let start = 0; start < pictures.length; start += together) {
    const group = pictures.slice(start, start + together);
    const found = await train(
      spec,
      group.map(one => one.target),
      target,
      {
        ...trainingOptions(training, seed),
        initial: base ?? randomStarts(spec, group, seed),
        ...(adaptation === 'low-rank' && base ? { rank } : {}),
      },
      {
        signal,
        onIteration: done =>
          onProgress?.(
            start * training.iterations + done * group.length,
            pictures.length * training.iterations,
          ),
      },
    );
    if (!found) throw signal?.reason;
    weights.set(found, start * size);
  }
  const seconds = (performance.now() - began) / 1000;
  const verdicts = await judgeNcas(
    build,
    spec,
    weights,
    pictures.map(one => one.target),
  );
  return { weights, verdicts, seconds };
}
