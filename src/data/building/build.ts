/**
 * Builds a zoo: one base NCA is trained on a mosaic of textures, and an NCA for every texture is fine-tuned from it.
 *
 * All fine-tunings share every random draw but the texture itself, so that the weights are a smooth function of the texture. What is
 * finished is kept in a work folder that the configuration's hash names: a build that was stopped, however roughly, goes on where it was
 * and ends with the same bytes.
 */
import { basename, dirname, join, resolve } from 'node:path';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { attempt, type Failure, refuse, show } from '../../config/index.ts';
import { lock, removeLeftovers } from '../../formats/index.ts';
import { weightCount } from '../../nca/index.ts';
import { type BaseConfig, specOf, type ZooBuildConfig } from './config.ts';
import { configHash } from './hashes.ts';
import type { BuildOptions, BuildResult } from './options.ts';
import { Parts } from './parts.ts';
import { planPictures } from './pictures.ts';
import { type Mosaic, mosaicOf, type PlannedTexture, pixelHash, type ZooPlan } from './plan.ts';
import { planProcedural } from './procedural.ts';
import { judgeNcas } from './runaways.ts';
import { Session, type TrainedBase, train, trainingOptions } from './session.ts';
import { surveyPictures } from './survey.ts';

/** The plan of a configuration; pictures are surveyed first. */
async function planZoo(config: ZooBuildConfig, options: BuildOptions): Promise<ZooPlan> {
  const { textures } = config;
  if (Array.isArray(textures)) return planProcedural(config, textures);
  const survey = await surveyPictures(textures, config.picture.target, {
    signal: options.signal,
    onProgress: (done, total) => options.onProgress?.({ stage: 'pictures', done, total }),
  });
  options.onSurvey?.(survey);
  return planPictures(config, survey);
}

/** The textures of a configuration, in the order they are trained in. */
export const planTextures = async (
  config: ZooBuildConfig,
  options: Pick<BuildOptions, 'signal' | 'onProgress' | 'onSurvey'> = {},
): Promise<readonly PlannedTexture[]> => (await planZoo(config, { work: '', ...options })).textures;

/** The base of a plan: what was trained before, or trained now; undefined when interrupted. It is judged by its mosaic, as the others are by their textures. */
async function trainBase(
  config: ZooBuildConfig & { readonly base: BaseConfig },
  parts: Parts,
  mosaic: Mosaic,
  { signal, onProgress, onNote }: BuildOptions,
): Promise<TrainedBase | undefined> {
  const { training } = config.base;
  const target = pixelHash(mosaic.data);
  const found = await parts.read('base', target);
  const weights =
    found?.weights ??
    (await train(specOf(config), [mosaic.data], mosaic.side, trainingOptions(training, config.seed), {
      signal,
      onIteration: (done, loss) => onProgress?.({ stage: 'base', done, total: training.iterations, loss }),
    }));
  if (!weights) return undefined;
  const [verdict] = await judgeNcas(config, specOf(config), weights, [mosaic.data], mosaic.side);
  if (!found) await parts.write('base', { weights, target, attempts: 1, ...verdict });
  const { loss, fault } = verdict;
  onNote?.(
    `the base: loss ${loss.toPrecision(3)} on its own picture${fault === null ? '' : `, which an NCA of the zoo would be left out for (${fault}); they all start from it`}`,
  );
  return { weights, mosaic, loss, fault };
}

/** Builds, or goes on building, the zoo of `config`, and writes it to `config.out`. @returns a TaskEither: run it with settle() */
export const buildZoo = (
  config: ZooBuildConfig,
  options: BuildOptions,
): TE.TaskEither<Failure, BuildResult> =>
  attempt(config.out, async () => {
    const { part } = options;
    const share = part ? `-${part.index + 1}-of-${part.count}` : '';
    const out = resolve(config.out);
    const unlock = await lock(
      join(dirname(out), `.${basename(out)}.build${share}.lock`),
      `the zoo ${config.out}`,
    );
    try {
      return await build(config, options);
    } finally {
      await unlock();
    }
  });

async function build(config: ZooBuildConfig, options: BuildOptions): Promise<BuildResult> {
  const plan = await planZoo(config, options);
  const textures = plan.textures.slice(0, config.limit ?? undefined);
  if (textures.length === 0)
    refuse('zoo configuration', 'textures', show(config.textures), { field: 'textures' });
  if (config.adaptation === 'low-rank' && config.base === 'none') {
    refuse('zoo configuration', 'full (there is no base to adapt)', 'low-rank', { field: 'adaptation' });
  }
  const tile = config.picture.kept;
  const mosaic = mosaicOf(await plan.baseTiles(tile), tile);
  const workFolder = join(options.work, configHash(config));
  await removeLeftovers(workFolder);
  const parts = new Parts(workFolder, weightCount(specOf(config)), options.onNote);
  const unfinished = (trained: number): BuildResult => ({
    finished: false,
    trained,
    total: textures.length,
    workFolder,
    leftOut: [],
    medianLoss: Number.NaN,
    baseLoss: null,
  });

  const { base: wanted } = config;
  const base =
    wanted === 'none' ? null : await trainBase({ ...config, base: wanted }, parts, mosaic, options);
  if (base === undefined || options.only === 'base') return unfinished(0);
  const work = new Session(config, options, textures, parts, base);
  const { index, count } = options.part ?? { index: 0, count: 1 };
  const isMine = new Set(textures.filter((_, i) => i % count === index));
  for (;;) {
    const open = await work.open();
    if (open.length === 0) break;
    const group = open.filter(texture => isMine.has(texture)).slice(0, config.together);
    if (group.length === 0 || !(await work.trainGroup(group))) return unfinished(work.done.size);
  }
  if (options.only === 'part') return unfinished(textures.length);
  const written = await work.write();
  return { finished: true, trained: textures.length, total: textures.length, workFolder, ...written };
}
