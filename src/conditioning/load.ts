/** Encoders from anywhere: a registered name, or the path of a TypeScript file in the user's own project. */
import * as E from 'fp-ts/lib/Either.js';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import {
  attempt,
  beside,
  breaksClause,
  checkClauses,
  decode,
  type Failure,
  importKind,
  inUserFile,
  isPath,
  orThrow,
  refuse,
  show,
} from '../config/index.ts';
import { onProcessor, tf } from '../tensor/index.ts';
import type { Encoder } from './encoder.ts';
import {
  builtEncoder,
  type EncoderContext,
  type EncoderKind,
  encoderKind,
  readyEncoder,
} from './registry.ts';

// biome-ignore lint/suspicious/noExplicitAny: kinds of every configuration type
type AnyKind = EncoderKind<any>;

/**
 * An encoder's kind by name or by the path of a file whose default export is one. What the kind of a file builds has the shapes it gives
 * checked.
 * @throws UserError that names the file and the clause
 */
export async function loadEncoder(nameOrPath: string): Promise<AnyKind> {
  if (!isPath(nameOrPath)) return orThrow(E.mapLeft(beside(nameOrPath))(encoderKind(nameOrPath)));
  const kind = await importKind<AnyKind>(nameOrPath, 'an encoder kind');
  return {
    ...kind,
    build: async (config, context) => {
      const built = inUserFile(nameOrPath, 'build', () => kind.build(config, context));
      const encoder = await builtEncoder(built).catch(error =>
        inUserFile(nameOrPath, 'build', () => {
          throw error;
        }),
      );
      return checked(nameOrPath, encoder);
    },
  };
}

/** The encoder, with the shapes of what it gives checked at every call. */
function checked(file: string, encoder: unknown): Encoder {
  checkClauses<Encoder>(file, 'what build gives', 'an encoder', encoder, {
    name: 'string',
    tokens: 'number',
    featureWidth: 'number',
    width: 'number',
    fingerprint: 'string',
    variables: 'object',
    features: 'function',
    project: 'function',
    dispose: 'function',
  });
  const { name, tokens, featureWidth, width, fingerprint, ownScale, costly, variables } = encoder;
  const shaped = (clause: string, batch: number, columns: number, work: () => unknown): tf.Tensor3D => {
    const out = inUserFile(file, clause, work);
    const expected = `[${batch}, ${tokens}, ${columns}]`;
    if (!(out instanceof tf.Tensor)) return breaksClause(file, clause, expected, typeof out);
    if (out.shape.join() !== [batch, tokens, columns].join()) {
      breaksClause(file, clause, expected, `[${out.shape.join(', ')}]`);
    }
    return out as tf.Tensor3D;
  };
  return {
    ...{ name, tokens, featureWidth, width, fingerprint, ownScale, costly, variables },
    features: images => shaped('features', images.shape[0], featureWidth, () => encoder.features(images)),
    project: features => shaped('project', features.shape[0], width, () => encoder.project(features)),
    dispose: () => encoder.dispose(),
  };
}

/**
 * Builds an encoder from its name or file and any of its parameters; the others take their defaults.
 * @returns a TaskEither: run it with settle()
 */
export const createEncoder = (
  nameOrPath: string,
  parameters: Readonly<Record<string, unknown>>,
  context: EncoderContext,
): TE.TaskEither<Failure, Encoder> =>
  attempt(`encoder ${nameOrPath}`, async () => {
    if (!Number.isInteger(context?.seed)) {
      refuse(`encoder ${nameOrPath}`, 'a context { seed, width? }', show(context), {
        field: 'third argument',
      });
    }
    const { config, defaults, build } = await loadEncoder(nameOrPath);
    const given = { ...(defaults as object), ...parameters };
    const decoded = orThrow(decode(config, given, `encoder ${nameOrPath}`));
    // Built where its frozen part runs: constants that it computes are at hand there.
    return onProcessor([], () => readyEncoder(build(decoded, context)));
  });
