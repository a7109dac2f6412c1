/** Fetching the weights of pretrained networks from the Hugging Face hub into the cache. Repositories are settings (configs/weights.yaml). */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipe } from 'fp-ts/lib/function.js';
import * as TE from 'fp-ts/lib/TaskEither.js';
import * as t from 'io-ts';
import { attempt, CONFIGS, decode, type Failure, failure, orThrow, parseYaml } from '../../config/index.ts';
import { type FetchedWeights, type FetchOptions, fetchWeights } from '../../formats/index.ts';
import { readCheckpoint, type Wanted } from './checkpoint.ts';
import { cachedWeights, NETWORKS, type NetworkName } from './locate.ts';
import { vggWanted } from './vgg.ts';
import { CLIP, CLIP_VIT_B_32, TORCHVISION, VIT_B_16, vitWanted } from './vit-checkpoints.ts';

/** What the encoders' networks need of a file. */
export const encoderNetworks: Readonly<Record<'vgg16' | 'vit-b-16' | 'clip-vit-b-32', () => Wanted>> = {
  vgg16: () => vggWanted(),
  'vit-b-16': () => vitWanted(VIT_B_16, TORCHVISION),
  'clip-vit-b-32': () => vitWanted(CLIP_VIT_B_32, CLIP),
};

const SourceCodec = t.strict({ repo: t.string, files: t.array(t.string), revision: t.string });
/** Where the hub has a network: repository, files to try in turn, and branch, tag or commit. */
export type WeightSource = t.TypeOf<typeof SourceCodec>;
/** null where no repository is set. */
const optional = t.union([SourceCodec, t.null]);
const SourcesCodec = t.strict(
  Object.fromEntries(NETWORKS.map(name => [name, optional])) as Record<NetworkName, typeof optional>,
);

/** The settings of configs/weights.yaml, or of another file of that form. @returns a TaskEither: run it with settle() */
export const weightSources = (
  path = join(CONFIGS, 'weights.yaml'),
): TE.TaskEither<Failure, Record<NetworkName, WeightSource | null>> =>
  attempt(path, async () =>
    orThrow(decode(SourcesCodec, parseYaml(await readFile(path, 'utf8'), path), path)),
  );

/** Another place than configs/weights.yaml names, another cache, and how the transfer is watched and stopped. */
export interface FetchNetworkOptions
  extends Pick<FetchOptions, 'update' | 'whole' | 'hubUrl' | 'signal' | 'onProgress' | 'onWait' | 'pause'>,
    Partial<WeightSource> {
  /** Default: the user's cache folder. */
  readonly cache?: string;
}

/**
 * Fetches what is wanted of a network, or verifies what is in the cache, and checks that every tensor is there in its shape.
 * @returns a TaskEither: run it with settle()
 */
export const fetchNetwork = (
  network: NetworkName,
  wanted: Wanted,
  options: FetchNetworkOptions = {},
): TE.TaskEither<Failure, FetchedWeights> => {
  const names = new Set(
    Object.keys(wanted.shapes).flatMap(name => [name, ...(wanted.aliases?.(name) ?? [])]),
  );
  const { cache, repo, files, revision, ...rest } = options;
  return pipe(
    weightSources(),
    TE.flatMap(sources => {
      const source = sources[network];
      const place = {
        repo: repo ?? source?.repo,
        files: files ?? source?.files,
        revision: revision ?? source?.revision,
      };
      if (place.repo === undefined || place.files === undefined) {
        const hint = 'Name one with --repo and --file.';
        return TE.left(failure('configs/weights.yaml', 'a repository', 'none', { field: network, hint }));
      }
      return fetchWeights({
        ...rest,
        ...place,
        repo: place.repo,
        files: place.files,
        target: cachedWeights(network, cache),
        tensors: name => names.has(name),
      });
    }),
    TE.tap(({ path }) => readCheckpoint(path, wanted)),
  );
};
