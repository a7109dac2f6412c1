/**
 * weightloom: what the author of an experiment, a denoiser or an encoder needs, and what a script needs to go the whole way from a texture to a
 * grown one. Everything else is in the groups: `weightloom/nca`, `weightloom/graphs`, `weightloom/diffusion`, `weightloom/formats`, ...
 *
 * What comes from outside and does not fit (a file, a configuration, a name, an environment variable) is a `UserError`, whose message is one
 * sentence for the user. A mistake of the program (shapes that do not fit, a name registered twice) is a plain Error. A call that is interrupted
 * gives its signal's reason; `trainDenoiser` saves and returns. Calls from here that read or write files or build from them return promises, which
 * reject; the others throw.
 *
 * In the groups `formats`, `data` and `conditioning` most of what reads and writes returns a TaskEither of fp-ts instead, a failure as a value, as do
 * `loadConfig` of `config` and the pretrained networks of `evaluation`; `settle` runs it and turns it into such a promise. `experiment`, `runs` and
 * `training` return promises.
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
// `await startBackend()` comes before the first tensor.
export { Parameters, randomStream, startBackend, tf } from './tensor/index.ts';

/**
 * Reads a zoo folder: spec, entries, weights [N, D], all checked.
 *
 *     const { spec, weights } = await readZoo(zooFolder('embedded'));
 *
 * @throws UserError naming file and field
 */
export const readZoo = plain(data.readZoo);
/**
 * The picture of a zoo's entry: [H, W, 3] in [0, 1]. Its kind is `image` (the texture the NCA was trained on), `rendering` (the NCA's own) or
 * `condition` (the texture where there is one, else the rendering). With a `size` the centre square is cropped, then resized to that side.
 *
 *     const zoo = await readZoo(zooFolder('embedded'));
 *     const picture = await readZooImage(zoo, 0, 'condition', { size: 32 });
 *
 * @throws UserError when the entry has no such picture, or the file is not the one the zoo was written with
 */
export const readZooImage = plain(data.readZooImage);
/**
 * The weights of one NCA with their spec: `file.pt`, `file.json#name`, `zoo-folder#name` or `file.safetensors`, and `file.safetensors#index` where
 * a file holds several. Read as inert data; no code of the file runs.
 *
 *     const { spec, flat } = await loadWeights(`${zooFolder('procedural')}#dots-007`);
 *
 * @throws UserError naming the file, and what was expected in it
 */
export const loadWeights = plain(data.loadWeights);
/**
 * Writes one NCA's weights, or several of one spec, as a .safetensors file that `loadWeights` takes: whole or not at all.
 *
 *     await writeWeights('dots.safetensors', zooWeights(zoo, 7));
 *
 * @throws UserError when the place cannot be written
 */
export const writeWeights = plain(data.writeWeights);
/**
 * Reads a picture file of any usual format: [H, W, 3] in [0, 1]; greyscale is spread over RGB, transparency laid on white. With a `size` the centre
 * square is cropped, then resized to that side.
 *
 *     const { width, height, data } = await readImage('bubbles.jpg', { size: 64 });
 *
 * @throws UserError when it is not there, or not a picture
 */
export const readImage = plain(formats.readImage);
/**
 * Writes a picture, [H, W, 3] clipped to [0, 1], as PNG: whole or not at all.
 *
 *     await writePng('grown.png', picture);
 *
 * @throws UserError when the place cannot be written
 */
export const writePng = plain(formats.writePng);
/**
 * Builds a texture encoder by name or file; what its parameters leave out takes the kind's defaults. Dispose of it.
 *
 *     const encoder = await createEncoder('random-gram', {}, { seed: 0, width: 64 });
 *
 * @throws UserError for an unknown name, parameters that do not fit, weights that are not there
 */
export const createEncoder = plain(conditioning.createEncoder);
/**
 * A diffusion process from its configuration: `process` is `edm`, `ddim` or `regression`, beside it any of its parameters. Synchronous: it throws.
 *
 *     const diffusion = createDiffusion({ process: 'ddim', steps: 50 });
 *
 * @throws UserError for an unknown process or parameter, or a value that does not fit
 */
export const createDiffusion = (...given: Arguments<typeof diffusion.createDiffusion>): diffusion.Diffusion =>
  config.orThrow(diffusion.createDiffusion(...given));

export { renderNcas, type Zoo, zooWeights } from './data/index.ts';
export { type Diffusion, edm, fitNormaliser, type Normaliser, sampleWeights } from './diffusion/index.ts';
export { buildDenoiser, readModel, zooFolder } from './experiment/index.ts';
export type { Picture } from './formats/index.ts';
export { type NcaSpec, rollout, SPECS, seedState, toRgb, weightCount } from './nca/index.ts';
export { trainDenoiser } from './training/index.ts';

// --- A denoiser of one's own --------------------------------------------------------------------------------------------------------

// Codecs for parameters: what a configuration may say.
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
export { registerSymmetry, type SymmetryDraft } from './nca/index.ts';
export { layerNorm, linear, mlp, sinusoidalEmbedding } from './tensor/index.ts';

// --- An encoder of one's own --------------------------------------------------------------------------------------------------------

export {
  type Encoder,
  type EncoderContext,
  type EncoderKind,
  registerEncoder,
} from './conditioning/index.ts';

// --- An experiment of one's own -----------------------------------------------------------------------------------------------------

export { type Method, type MethodResult, meanInterval, paired } from './evaluation/index.ts';
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
  type StudySet,
  studyKeys,
  trainingSection,
  withProtocol,
  writeComparison,
} from './experiment/index.ts';
export { html, type Section, table } from './report/index.ts';
export { experimentConfig } from './runs/index.ts';
