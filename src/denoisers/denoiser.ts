/**
 * The one interface behind which every denoiser stands, and their registry.
 *
 * A denoiser is a function of (noisy weights, noise label, condition or none) with named variables. Diffusion, training and
 * evaluation know nothing else of it. Graph and token views of the weights are derived inside.
 */
import * as E from 'fp-ts/lib/Either.js';
import type * as t from 'io-ts';
import { type Failure, failure, suggestion } from '../config/index.ts';
import type { NcaSpec, SymmetryName } from '../nca/index.ts';
import type { tf } from '../tensor/index.ts';

/** What a batch of weights is conditioned on: T tokens of C numbers per sample, each sample's there or not. */
export interface Condition {
  /** [B, T, C] */
  readonly tokens: tf.Tensor3D;
  /** [B], 1 where the sample has its condition and 0 where it was dropped. */
  readonly present: tf.Tensor1D;
  /** True where every sample is known to have its condition. */
  readonly complete?: boolean;
  /** [B, D], normalised: what the prior of the process foretells from the condition, where it has one. */
  readonly means?: tf.Tensor2D;
}

/** A condition that no sample lacks. */
export type Given = Pick<Condition, 'tokens' | 'means'>;

/** How a denoiser is run. */
export interface ApplyOptions {
  /** True inside a training step: batch statistics, dropout. Default false. */
  readonly training?: boolean;
}

/**
 * The interface of every denoiser: a function of noisy weights, noise label and condition, with named variables and the symmetries it
 * claims.
 * Dispose of it.
 */
export interface Denoiser {
  readonly name: string;
  /** Of the NCAs whose weights it takes: D is `weightCount(spec)`. */
  readonly spec: NcaSpec;
  /** Trainable variables by a stable, slash-separated name: the names in a checkpoint. */
  readonly variables: Readonly<Record<string, tf.Variable>>;
  /** State that is saved but not trained (running averages); empty for most. */
  readonly buffers?: Readonly<Record<string, tf.Variable>>;
  /**
   * The symmetries it claims: F(g w) = g F(w) for every g of each group, noise label and condition as they are; the anchor, if it has one, moves
   * with the weights.
   */
  readonly symmetries: readonly SymmetryName[];
  /** True for one that answers from its condition alone, whatever the weights and the noise: only the process `regression` has a use for it. Default false. */
  readonly conditionOnly?: boolean;
  /**
   * Each sample on its own, whatever else is in its batch. Keeps no tensor but what it returns: wrap it in `tf.tidy`. Differentiable with respect to
   * the weights, the condition and the variables. `checkDenoiser` of weightloom/testing holds a kind against all of this.
   *
   * @param weights [B, D] noisy normalised weights x: c_in x under EDM, with c_in = 1 / sqrt(sigma^2 + sigma_data^2), x itself under DDIM, zeros under
   *   regression
   * @param noiseLabel [B]: ln(sigma) / 4 under EDM, the time 0 ... trainingSteps - 1 under DDIM, 0 under regression
   * @param condition tokens [B, T, C], or null for none at all; where `present` is 0 the sample has no condition, which means the same as null
   * @returns [B, D], the raw network output F (what it means is the business of process and parametrisation)
   */
  apply(
    weights: tf.Tensor2D,
    noiseLabel: tf.Tensor1D,
    condition: Condition | null,
    options?: ApplyOptions,
  ): tf.Tensor2D;
  /** Frees variables and buffers; the denoiser is of no use after it. */
  dispose(): void;
}

/** What a denoiser is built for. */
export interface DenoiserContext {
  /** Of the NCAs whose weights it will take. */
  readonly spec: NcaSpec;
  /** T tokens of width C, or null when it will never see a condition. */
  readonly condition: { readonly tokens: number; readonly width: number } | null;
  /** Normalised weights [D] of the zoo's common base, for denoisers that can use it. */
  readonly anchor?: Float32Array;
  /** Seeds the initial variables. */
  readonly seed: number;
}

/** A kind of denoiser: its name, what it is, its parameters and how one is built. */
export interface DenoiserKind<Config = unknown> {
  readonly name: string;
  /** One sentence for tables and --help. */
  readonly summary: string;
  /** Codec of its parameters: every key optional or with a default in `defaults`. */
  readonly config: t.Type<Config, unknown, unknown>;
  /** True where what it builds answers from its condition alone (`Denoiser.conditionOnly`). Default false. */
  readonly conditionOnly?: boolean;
  /** The parameters a configuration leaves out. */
  readonly defaults: Config;
  /**
   * Builds one, with fresh variables: the same context, seed included, gives the same variables under the same names. The caller disposes of it.
   * @param config the parameters, decoded and complete
   */
  build(config: Config, context: DenoiserContext): Denoiser;
}

// biome-ignore lint/suspicious/noExplicitAny: the registry holds kinds of every configuration type
type AnyKind = DenoiserKind<any>;
const registry = new Map<string, AnyKind>();

/**
 * Makes a kind known by its name, to configurations and the command line of the same process. A kind in a file of one's own needs none of it: every
 * command and `buildDenoiser` take the file's path as `kind`.
 * @throws Error when the name is taken
 */
export function registerDenoiser<Config>(kind: DenoiserKind<Config>): DenoiserKind<Config> {
  if (registry.has(kind.name)) throw new Error(`a denoiser called ${kind.name} is already registered`);
  registry.set(kind.name, kind);
  return kind;
}

/** The names of all registered denoisers, sorted. */
export const denoiserNames = (): string[] => [...registry.keys()].sort();

/** A registered denoiser by name. @returns an Either: a failure at `where` names the known ones and the nearest */
export function denoiserKind(name: string, where = 'denoiser'): E.Either<Failure, AnyKind> {
  const kind = registry.get(name);
  if (kind) return E.right(kind);
  const known = denoiserNames();
  return E.left(failure(where, `one of ${known.join(', ')}`, `"${name}"`, { hint: suggestion(name, known) }));
}
