/** Where the weights of pretrained networks lie: in the cache that `weightloom encoders fetch` fills, or in a file the user names. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pipe } from 'fp-ts/lib/function.js';
import * as TE from 'fp-ts/lib/TaskEither.js';
import { type Failure, failure } from '../../config/index.ts';
import { verifyFetched } from '../../formats/index.ts';

/** The pretrained networks whose weights can be fetched: those of the encoders `gram`, `vit` and `clip`, of FID and of LPIPS. */
export const NETWORKS = [
  'vgg16',
  'vit-b-16',
  'clip-vit-b-32',
  'inception-fid',
  'lpips-alex',
  'lpips-vgg',
] as const;
/** The name of a pretrained network, as `weightloom encoders fetch` takes it. */
export type NetworkName = (typeof NETWORKS)[number];

/** WEIGHTLOOM_CACHE, or the user's cache folder. */
export const cacheFolder = (): string =>
  process.env.WEIGHTLOOM_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'weightloom');

/** The file that `weightloom encoders fetch NETWORK` writes. */
export const cachedWeights = (network: NetworkName, cache = cacheFolder()): string =>
  join(cache, 'encoders', `${network}.safetensors`);

/** Whether there is a file of a network's weights: `file` where one is named, else the cached one. What is in it is not looked at. */
export const hasWeights = (network: NetworkName, file: string | null = null): boolean =>
  existsSync(file ?? cachedWeights(network));

/**
 * The file to read, `file` if given, else the cached one, verified against its lock file; without either, a sentence that says what to do.
 * @returns a TaskEither: run it with settle()
 */
export function locateWeights(network: NetworkName, file: string | null): TE.TaskEither<Failure, string> {
  const path = file ?? cachedWeights(network);
  if (file && existsSync(file)) return TE.right(file);
  if (existsSync(path)) {
    return pipe(
      verifyFetched(path),
      TE.map(() => path),
    );
  }
  const hint = file
    ? undefined
    : `Run \`weightloom encoders fetch ${network}\`, or name a file that you have with encoder.weights=FILE.`;
  return TE.left(failure(path, `the weights of ${network}`, 'nothing there', { hint }));
}
