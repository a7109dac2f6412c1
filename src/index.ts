/**
 * weightloom: what the author of an experiment, a denoiser or an encoder needs, and what a script needs to go the whole way from a texture to a
 * grown one. Everything else is in the groups: `weightloom/nca`, `weightloom/graphs`, `weightloom/diffusion`, `weightloom/formats`, ...
 *
 * Calls from here that read, write or build return promises, and reject with a `UserError` whose message is one sentence for the user. In the
 * groups the same calls return a TaskEither of fp-ts, a failure as a value; `settle` turns one into such a promise.
 */
import * as conditioning from './conditioning/index.ts';
import * as config from './config/index.ts';
import * as data from './data/index.ts';
import * as diffusion from './diffusion/index.ts';
import * as formats from './formats/index.ts';

const { plain } = config;
type Arguments<F extends (...given: never[]) => unknown> = F extends (...given: infer A) => unknown
  ? A
  : never;

// --- Scripts: start here ---------------------------------------------------------------------------------------------------------

export { attempt, settle, t, UserError } from './config/index.ts';
/** tfjs and the backend under it: `await startBackend()` comes before the first tensor. */
export { Parameters, randomStream, startBackend, tf } from './tensor/index.ts';

/**
 * Reads a zoo folder: spec, entries, weights [N, D], all checked.
 *
 *     const { spec, weights } = await readZoo(zooFolder('embedded'));
 *
 * @throws UserError naming file and field
 */
export const readZoo = plain(data.readZoo);
/** The picture of a zoo's entry, its texture or its own rendering: [H, W, channels] in [0, 1]. @throws UserError when it has none */
export const readZooImage = plain(data.readZooImage);
/**
 * The weights of one NCA with their spec: `file.pt`, `file.json#name`, `zoo-folder#name` or `file.safetensors`. Nothing is unpickled.
 *
 *     const { spec, flat } = await loadWeights('configs/zoo/embedded#dots-007');
 */
export const loadWeights = plain(data.loadWeights);
/** Writes one NCA's weights, or several of one spec, as a .safetensors file that `loadWeights` takes. */
export const writeWeights = plain(data.writeWeights);
/** Reads a picture file: [H, W, channels] in [0, 1], resized where a size is given. */
export const readImage = plain(formats.readImage);
/** Writes a picture, [H, W, 1 or 3] in [0, 1], as PNG: whole or not at all. */
export const writePng = plain(formats.writePng);
/**
 * Builds a texture encoder by name or file; what its parameters leave out takes the kind's defaults.
 *
 *     const encoder = await createEncoder('random-gram', {}, { seed: 0, width: 64 });
 *
 * @throws UserError for an unknown name, parameters that do not fit, weights that are not there
 */
export const createEncoder = plain(conditioning.createEncoder);
/** A diffusion process from its configuration: `{ process: 'edm' }` or `'ddim'` and its parameters. @throws UserError */
export const createDiffusion = (...given: Arguments<typeof diffusion.createDiffusion>): diffusion.Diffusion =>
  config.orThrow(diffusion.createDiffusion(...given));

export { renderNcas, type Zoo, zooWeights } from './data/index.ts';
export { type Diffusion, edm, fitNormaliser, type Normaliser, sampleWeights } from './diffusion/index.ts';
export { buildDenoiser, readModel, zooFolder } from './experiment/index.ts';
export type { Picture } from './formats/index.ts';
export { type NcaSpec, rollout, SPECS, weightCount } from './nca/index.ts';
export { trainDenoiser } from './training/index.ts';

// --- A denoiser of one's own --------------------------------------------------------------------------------------------------------

/** Codecs for parameters: what a configuration may say. */
export {
  listOf,
  natural,
  optional,
  positive,
  share,
  whole,
} from './config/index.ts';
export {
  type Condition,
  type Denoiser,
  type DenoiserContext,
  type DenoiserKind,
  hiddenTokens,
  loadDenoiser,
  registerDenoiser,
} from './denoisers/index.ts';
export { layerNorm, linear, mlp, sinusoidalEmbedding } from './tensor/index.ts';

// --- An encoder of one's own --------------------------------------------------------------------------------------------------------

export { type Encoder, type EncoderKind, registerEncoder } from './conditioning/index.ts';

// --- An experiment of one's own -----------------------------------------------------------------------------------------------------

export type { Method, MethodResult } from './evaluation/index.ts';
export {
  BOUND,
  type ContenderRecord,
  contestKeys,
  type Experiment,
  openStudy,
  type Protocol,
  type RunContext,
  runExperiment,
  type Study,
  studyKeys,
  trainingSection,
  withProtocol,
  writeComparison,
} from './experiment/index.ts';
