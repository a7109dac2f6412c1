/** Encoders by name, as the command line and the configuration know them. */
import * as E from 'fp-ts/lib/Either.js';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import type * as t from 'io-ts';
import { type Failure, failure, settle, suggestion } from '../config/index.ts';
import { onProcessor, onProcessorNow } from '../tensor/index.ts';
import type { Encoder } from './encoder.ts';

/** What an encoder is built with, beside its own parameters. */
export interface EncoderContext {
  /** Seeds the trained part. */
  readonly seed: number;
  /** Numbers a trained part gives per picture or token; encoders without one ignore it. */
  readonly width?: number;
}

/** Width of a trained part's tokens when nobody asks for another. */
export const DEFAULT_WIDTH = 256;

/** What building an encoder gives: the encoder, or a promise or TaskEither of it where weights are read or building may be refused. */
export type BuiltEncoder = Encoder | Promise<Encoder> | TE.TaskEither<Failure, Encoder>;

/** The encoder with its frozen part on the processor, where features are kept and shared: they are the same whatever trains on them. */
function frozenOnProcessor(encoder: Encoder): Encoder {
  const { name, tokens, featureWidth, width, fingerprint, ownScale, costly, variables } = encoder;
  return {
    ...{ name, tokens, featureWidth, width, fingerprint, ownScale, costly, variables },
    features: images => onProcessorNow(() => encoder.features(images)),
    orbit: encoder.orbit && ((...copies) => onProcessor([], () => encoder.orbit!(...copies))),
    project: features => encoder.project(features),
    dispose: () => encoder.dispose(),
  };
}

/** The encoder of whichever form. @throws UserError where a TaskEither fails */
export const builtEncoder = async (built: BuiltEncoder): Promise<Encoder> =>
  typeof built === 'function' ? settle(built) : built;

/** The encoder that a kind builds, as everything but its own tests uses it. @throws UserError where a TaskEither fails */
export const readyEncoder = async (built: BuiltEncoder): Promise<Encoder> =>
  frozenOnProcessor(await builtEncoder(built));

/** A kind of encoder: its name, what it is, its parameters and how one is built. Building may read weights from files. */
export interface EncoderKind<Config = unknown> {
  readonly name: string;
  /** One sentence for tables and --help. */
  readonly summary: string;
  /** Codec of its parameters. */
  readonly config: t.Type<Config, unknown, unknown>;
  /** The parameters a configuration leaves out. */
  readonly defaults: Config;
  /**
   * Builds one; reads its weights, where it has any. The caller disposes of it.
   *
   *     build: ({ bins }, { seed, width = 64 }) => histogram(bins, width, seed),
   *     build: async ({ weights }, context) => ofWeights(await readFile(weights), context),
   *     build: ({ weights }, context) => attempt(weights, async () => ofWeights(await readFile(weights), context)),
   *
   * The last form lays errors of the operating system to the file, as one sentence for the user.
   * @param config the parameters, decoded and complete
   */
  build(config: Config, context: EncoderContext): BuiltEncoder;
}

// biome-ignore lint/suspicious/noExplicitAny: the registry holds kinds of every configuration type
type AnyKind = EncoderKind<any>;
const registry = new Map<string, AnyKind>();

/**
 * Makes a kind known by its name, to configurations and the command line of the same process. A kind in a file of one's own needs none of it: every
 * command and `createEncoder` take the file's path.
 * @throws Error when the name is taken
 */
export function registerEncoder<Config>(kind: EncoderKind<Config>): EncoderKind<Config> {
  if (registry.has(kind.name)) throw new Error(`an encoder called ${kind.name} is already registered`);
  registry.set(kind.name, kind);
  return kind;
}

/** The names of all registered encoders, sorted. */
export const encoderNames = (): string[] => [...registry.keys()].sort();

/** A registered encoder by name. @returns an Either: a failure at `where` names the known ones and the nearest */
export function encoderKind(name: string, where = 'encoder'): E.Either<Failure, AnyKind> {
  const kind = registry.get(name);
  if (kind) return E.right(kind);
  const known = encoderNames();
  return E.left(failure(where, `one of ${known.join(', ')}`, `"${name}"`, { hint: suggestion(name, known) }));
}
