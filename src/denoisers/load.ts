/** Denoisers from anywhere: a registered name, or the path of a TypeScript file in the user's own project. */
import * as E from 'fp-ts/lib/Either.js';
import {
  beside,
  breaksClause,
  checkClauses,
  importKind,
  inUserFile,
  isPath,
  orThrow,
} from '../config/index.ts';
import { SYMMETRY_NAMES } from '../nca/index.ts';
import { onProcessorNow, tf } from '../tensor/index.ts';
import { type Inputs, inputs } from './contract.ts';
import { type Denoiser, type DenoiserContext, type DenoiserKind, denoiserKind } from './denoiser.ts';

// biome-ignore lint/suspicious/noExplicitAny: kinds of every configuration type
type AnyKind = DenoiserKind<any>;

/**
 * Loads a kind of denoiser, whose `build` makes denoisers: by its registered name, or by the path of a file whose default export is one. What the
 * kind of a file builds is tried once on random weights, so that a broken clause is told before any training.
 *
 *     const kind = await loadDenoiser('./my-denoiser.ts');
 *     const denoiser = kind.build(kind.defaults, { spec: SPECS.compact, condition: null, seed: 0 });
 *
 * @param where it stands in a configuration, for failures; default `denoiser`
 * @throws UserError for an unknown name, or one that names the file and the clause it breaks
 */
export async function loadDenoiser(nameOrPath: string, where?: string): Promise<AnyKind> {
  if (!isPath(nameOrPath)) return orThrow(E.mapLeft(beside(nameOrPath))(denoiserKind(nameOrPath, where)));
  const kind = await importKind<AnyKind>(nameOrPath, 'a denoiser kind');
  return {
    ...kind,
    build: (config, context) => {
      const built = () => inUserFile(nameOrPath, 'build', () => kind.build(config, context));
      // Its numbers are looked at as they come, which a GPU's cannot be: one is built there to be looked at.
      onProcessorNow(() => {
        const trial = built();
        checkBuilt(nameOrPath, trial, context);
        trial.dispose();
      });
      return built();
    },
  };
}

/** The clauses of a denoiser, and its output for two samples: with a condition and without, and none at all. */
function checkBuilt(file: string, denoiser: unknown, context: DenoiserContext): void {
  const subject = 'what build returns';
  checkClauses<Denoiser>(file, subject, 'a denoiser', denoiser, {
    name: 'string',
    spec: 'object',
    variables: 'object',
    symmetries: 'object',
    apply: 'function',
    dispose: 'function',
  });
  const known: readonly string[] = SYMMETRY_NAMES;
  const unknown = [...denoiser.symmetries].find(name => !known.includes(name));
  if (unknown !== undefined) {
    breaksClause(file, `${subject}: symmetries`, `names out of ${known.join(', ')}`, `"${unknown}"`);
  }
  for (const present of context.condition ? [[1, 0], null] : [null]) {
    const clause = present ? 'apply' : 'apply without a condition';
    const given = inputs(context, 2, present);
    tryApply(file, clause, denoiser, given);
    // What it makes once, on its first call, is its own business.
    const before = tf.memory().numTensors;
    tryApply(file, clause, denoiser, given);
    const kept = tf.memory().numTensors - before;
    if (kept > 0) {
      breaksClause(
        file,
        clause,
        'an apply that keeps no tensors (wrap it in tf.tidy)',
        `${kept} left behind`,
      );
    }
    tf.dispose([given.weights, given.noise, given.condition?.tokens ?? [], given.condition?.present ?? []]);
  }
}

/** One call: the shape and the numbers of what it gives. */
function tryApply(
  file: string,
  clause: string,
  denoiser: Denoiser,
  { weights, noise, condition }: Inputs,
): void {
  const out: unknown = inUserFile(file, clause, () => denoiser.apply(weights, noise, condition));
  const expected = `weights [B, D], here [${weights.shape.join(', ')}]`;
  if (!(out instanceof tf.Tensor)) breaksClause(file, clause, expected, typeof out);
  if (out.shape.join() !== weights.shape.join()) {
    breaksClause(file, clause, expected, `[${out.shape.join(', ')}]`);
  }
  const bad = out.dataSync().find(x => !Number.isFinite(x));
  if (bad !== undefined) breaksClause(file, clause, 'finite numbers', `${bad}`);
  out.dispose();
}
