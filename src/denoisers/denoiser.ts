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
}

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
  /** The symmetries it respects: permuting the input (and the anchor, if it has one) permutes the output. */
  readonly symmetries: readonly SymmetryName[];
  /**
   * @param weights [B, D] noisy weights, scaled by c_in
   * @param noiseLabel [B] c_noise
   * @param condition tokens [B, T, C], or null for none at all
   * @returns [B, D], the raw network output F (what it means is the parametrisation's business)
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
  /** The parameters a configuration leaves out. */
  readonly defaults: Config;
  build(config: Config, context: DenoiserContext): Denoiser;
}

// biome-ignore lint/suspicious/noExplicitAny: the registry holds kinds of every configuration type
type AnyKind = DenoiserKind<any>;
const registry = new Map<string, AnyKind>();

/** Makes a kind known by its name. Throws when the name is taken. */
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
