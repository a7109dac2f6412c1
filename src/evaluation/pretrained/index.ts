/** The pretrained networks that published metrics are defined with, from the cache or from a file of the user's. */
import { pipe } from 'fp-ts/lib/function.js';
import * as TE from 'fp-ts/lib/TaskEither.js';
import { locateWeights } from '../../conditioning/index.ts';
import type { Failure } from '../../config/index.ts';
import { type Inception, readInception } from './inception.ts';
import { type Lpips, type LpipsNetwork, readLpips } from './lpips.ts';

export {
  type Inception,
  type InceptionInput,
  inceptionInput,
  inceptionWanted,
  readInception,
} from './inception.ts';
export { type Lpips, type LpipsNetwork, lpipsWanted, readLpips } from './lpips.ts';

/** Inception from `file`, or from where `weightloom encoders fetch inception-fid` put it. @returns a TaskEither: run it with settle() */
export const loadInception = (file: string | null = null): TE.TaskEither<Failure, Inception> =>
  pipe(locateWeights('inception-fid', file), TE.chain(readInception));

/**
 * LPIPS from `file`, or from where `weightloom encoders fetch lpips-alex` (or lpips-vgg) put it.
 * @returns a TaskEither: run it with settle()
 */
export const loadLpips = (network: LpipsNetwork, file: string | null = null): TE.TaskEither<Failure, Lpips> =>
  pipe(
    locateWeights(`lpips-${network}`, file),
    TE.chain(path => readLpips(network, path)),
  );
