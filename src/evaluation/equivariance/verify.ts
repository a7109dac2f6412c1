/**
 * Is a denoiser equivariant to what it claims? For random group elements g, weights, noise levels and conditions the error
 *   max |F(g w) - g F(w)| / max |F(w)|
 * is measured; where it is too large, the case is shrunk to the smallest that still fails. The anchor, where there is one, is moved with
 * the weights; the condition stays, as it does when the picture is unchanged or the encoder does not see the change.
 */
import fc from 'fast-check';
import type { Condition, Denoiser, DenoiserContext, DenoiserKind } from '../../denoisers/index.ts';
import {
  actOnWeights,
  type NcaSpec,
  SYMMETRIES,
  SYMMETRY_NAMES,
  type SymmetryName,
  weightCount,
} from '../../nca/index.ts';
import { randomStream, tf } from '../../tensor/index.ts';
import { cases, caseWeights, describeCase, type EquivarianceCase } from './cases.ts';

// biome-ignore lint/suspicious/noExplicitAny: kinds of every configuration type
type AnyKind = DenoiserKind<any>;

/** float32 sums of the same numbers in another order, through a deep network. A broken symmetry is off by 0.01 to 1. */
export const TOLERANCE = 1e-3;

/** Which symmetries are tried, on what, how often and how strictly. */
export interface VerifyOptions {
  readonly spec: NcaSpec;
  /** Which symmetries; default all orthogonal ones and whatever is claimed. */
  readonly symmetries?: readonly SymmetryName[];
  /** Parameters of the kind; default its defaults. */
  readonly config?: unknown;
  /** Condition tokens and their width; null for a denoiser that never sees one. Default 2 tokens of 8. */
  readonly condition?: { readonly tokens: number; readonly width: number } | null;
  /** Cases per symmetry, half of them on small specs; default 20. */
  readonly trials?: number;
  /** Largest relative error that still counts as equal. Default 1e-3. */
  readonly tolerance?: number;
  /** Default 0. The same seed gives the same cases. */
  readonly seed?: number;
  /** Plays one case again: the path of a verdict's counterexample, with its seed. */
  readonly path?: string;
  /** Whether failing cases are made smaller; default true. */
  readonly shrink?: boolean;
  /** Wraps the denoiser of the main spec, such as between normalisation and its inverse; then no smaller spec is tried. */
  readonly around?: Around;
  /** When raised, the symmetries left are not tried. */
  readonly signal?: AbortSignal;
  /** Told of the symmetries that are done, and of the one that is next. */
  onProgress?(done: number, total: number, symmetry: SymmetryName): void;
}

/** Something put around a denoiser, such as normalisation before and its inverse after. @param denoise [B, D] -> [B, D] */
export type Around = (
  denoise: (weights: tf.Tensor2D) => tf.Tensor2D,
) => (weights: tf.Tensor2D) => tf.Tensor2D;

/** What was found of one symmetry. */
export interface Verdict {
  readonly symmetry: SymmetryName;
  /** Whether the denoiser says so. */
  readonly claimed: boolean;
  /** Whether no case failed. */
  readonly holds: boolean;
  /** Largest relative error met; Infinity when an output was not finite. */
  readonly worst: number;
  /** Why it is no exact symmetry of NCAs of this spec, or null when it is one. */
  readonly obstacle: string | null;
  /** The smallest failing case found, in words, with its error. */
  readonly counterexample: {
    readonly text: string;
    readonly error: number;
    readonly seed: number;
    readonly path: string;
  } | null;
}

/**
 * Gives every variable random values of a trained network's size, so that nothing hides behind outputs that start at zero or gates
 * that start shut. The same name and seed give the same values.
 */
export function randomise({ variables }: Denoiser, seed: number): void {
  for (const [name, variable] of Object.entries(variables)) {
    const fanIn = variable.rank < 2 ? 1 : variable.size / variable.shape.at(-1)!;
    const std = variable.rank < 2 ? 0.2 : 1 / Math.sqrt(fanIn);
    const noise = randomStream(seed, `randomise/${name}`).normals(variable.size, 0, std);
    tf.tidy(() => {
      const values = tf.tensor(noise, variable.shape);
      variable.assign(variable.rank < 2 ? tf.add(variable, values) : values);
    });
  }
}

/** Builds randomised denoisers and keeps those that serve many cases. */
class Subject {
  private readonly kept = new Map<string, Denoiser>();
  constructor(
    private readonly kind: AnyKind,
    private readonly config: unknown,
    readonly condition: DenoiserContext['condition'],
    private readonly seed: number,
  ) {}

  build(spec: NcaSpec, anchor?: Float32Array): Denoiser {
    const denoiser = this.kind.build(this.config, {
      spec,
      condition: this.condition,
      anchor,
      seed: this.seed,
    });
    randomise(denoiser, this.seed);
    return denoiser;
  }

  /** The denoiser of a spec, with its random anchor or none. */
  at(spec: NcaSpec, anchored: boolean): Denoiser {
    const key = `${spec.channels}/${spec.hidden}/${anchored}`;
    let denoiser = this.kept.get(key);
    if (!denoiser) {
      denoiser = this.build(spec, anchored ? this.anchor(spec) : undefined);
      this.kept.set(key, denoiser);
    }
    return denoiser;
  }

  /** Whether the kind takes the spec: some have a least number of hidden units. */
  fits(spec: NcaSpec): boolean {
    try {
      this.at(spec, false);
      return true;
    } catch {
      return false;
    }
  }

  anchor(spec: NcaSpec): Float32Array {
    return randomStream(this.seed, 'anchor').normals(weightCount(spec));
  }

  dispose(): void {
    for (const denoiser of this.kept.values()) denoiser.dispose();
  }
}

/** The relative error of one case. */
async function errorOf(subject: Subject, given: EquivarianceCase, around: Around): Promise<number> {
  const { spec, element, seed, noiseLabel, conditioned, anchored } = given;
  const weights = caseWeights(given);
  const first = subject.at(spec, anchored);
  const second = anchored ? subject.build(spec, actOnWeights(spec, element, subject.anchor(spec))) : first;
  const through = async (denoiser: Denoiser, flat: Float32Array) => {
    const out = tf.tidy(() => {
      const noise = tf.tensor1d([noiseLabel]);
      const condition = conditioned && subject.condition ? randomCondition(subject.condition, seed) : null;
      return around(w => denoiser.apply(w, noise, condition))(tf.tensor2d(flat, [1, flat.length]));
    });
    const numbers = (await out.data()) as Float32Array;
    out.dispose();
    return numbers;
  };
  try {
    const moved = await through(second, actOnWeights(spec, element, weights));
    return relativeError(moved, actOnWeights(spec, element, await through(first, weights)));
  } finally {
    if (second !== first) second.dispose();
  }
}

function randomCondition({ tokens, width }: { tokens: number; width: number }, seed: number): Condition {
  const values = randomStream(seed, 'case/condition').normals(tokens * width);
  return { tokens: tf.tensor3d(values, [1, tokens, width]), present: tf.ones([1]) };
}

function relativeError(found: Float32Array, wanted: Float32Array): number {
  let error = 0;
  let size = 0;
  for (let i = 0; i < wanted.length; i++) {
    error = Math.max(error, Math.abs(found[i] - wanted[i]));
    size = Math.max(size, Math.abs(wanted[i]));
    if (!Number.isFinite(found[i] - wanted[i])) return Infinity;
  }
  return error === 0 ? 0 : error / Math.max(size, 1e-30);
}

/** Small specs like the given one, the smallest first: 5 or 6 channels, 2 or 3 hidden units. */
const smallSpecs = (spec: NcaSpec): NcaSpec[] =>
  [5, 6].flatMap(channels =>
    [2, 3].map(hidden => ({
      ...spec,
      channels,
      hidden,
      name: `${spec.name}, ${channels} channels, ${hidden} hidden`,
    })),
  );

/** Thrown by a case whose error is too large; anything else thrown is the denoiser's own mistake. */
const BROKEN = new Error('not equivariant');

const asItIs: Around = denoise => denoise;

/** One verdict per symmetry, in the order of `SYMMETRY_NAMES`. */
export async function verifyDenoiser(kind: AnyKind, options: VerifyOptions): Promise<Verdict[]> {
  const {
    spec,
    trials = 20,
    tolerance = TOLERANCE,
    seed = 0,
    config = kind.defaults,
    condition = { tokens: 2, width: 8 },
  } = options;
  const subject = new Subject(kind, config, condition, seed);
  try {
    const claims = subject.at(spec, false).symmetries;
    const wanted =
      options.symmetries ??
      SYMMETRY_NAMES.filter(name => SYMMETRIES[name].orthogonal || claims.includes(name));
    const specs = options.around
      ? [spec]
      : [...smallSpecs(spec).filter(small => subject.fits(small)), spec, spec, spec];
    const verdicts: Verdict[] = [];
    for (const [k, symmetry] of wanted.entries()) {
      if (options.signal?.aborted) break;
      options.onProgress?.(k, wanted.length, symmetry);
      // Lets progress and interruption through: most checks never yield.
      await new Promise(resolve => setImmediate(resolve));
      const errors = new Map<string, number>();
      let worst = 0;
      const check = await fc.check(
        fc.asyncProperty(cases(symmetry, { specs, conditions: condition !== null }), async given => {
          const error = await errorOf(subject, given, options.around ?? asItIs);
          worst = Math.max(worst, error);
          errors.set(describeCase(given), error);
          if (error > tolerance) throw BROKEN;
        }),
        { numRuns: trials, seed, path: options.path, endOnFailure: options.shrink === false },
      );
      if (check.failed && check.errorInstance !== BROKEN) throw check.errorInstance;
      const text = check.counterexample && describeCase(check.counterexample[0]);
      verdicts.push({
        symmetry,
        claimed: claims.includes(symmetry),
        holds: !check.failed,
        worst,
        obstacle: SYMMETRIES[symmetry].obstacle(spec),
        counterexample: text
          ? { text, error: errors.get(text)!, seed: check.seed, path: check.counterexamplePath! }
          : null,
      });
    }
    options.onProgress?.(wanted.length, wanted.length, wanted[wanted.length - 1]);
    return verdicts;
  } finally {
    subject.dispose();
  }
}
