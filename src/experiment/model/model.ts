/**
 * A trained model in one file, `model.safetensors`: everything sampling needs (the denoiser's and the encoder's variables, the
 * normaliser, the standardisation of features, the training conditions), with its configuration in the metadata.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as t from 'io-ts';
import { createEncoder, type Encoder, type Standardiser, standardised } from '../../conditioning/index.ts';
import {
  decode,
  mergeConfigs,
  orThrow,
  pastable,
  refuse,
  settle,
  type Trusted,
  trusting,
  userModules,
} from '../../config/index.ts';
import { type Denoiser, loadDenoiser } from '../../denoisers/index.ts';
import {
  createDiffusion,
  type Diffusion,
  type GaussianPrior,
  type Normaliser,
  normaliserOf,
  priorArrays,
  priorFromArrays,
  priorMean,
  type SamplerName,
} from '../../diffusion/index.ts';
import { type NdArray, readSafetensors, writeSafetensors } from '../../formats/index.ts';
import { type NcaSpec, NcaSpecCodec, weightCount } from '../../nca/index.ts';
import { tf } from '../../tensor/index.ts';
import { averageOfWidth } from '../../training/index.ts';
import type { TrainConfig } from './config.ts';

/** The file of a trained model in its run folder. */
export const MODEL = 'model.safetensors';

/** A trained model with all that sampling needs; what `model.safetensors` holds. */
export interface Model {
  readonly config: Pick<TrainConfig, 'denoiser' | 'encoder' | 'diffusion' | 'guidance' | 'seed'>;
  readonly spec: NcaSpec;
  /** Side of the pictures it was conditioned on. */
  readonly pictureSize: number;
  /** NCA steps to a picture, as its zoo was rendered. */
  readonly ncaSteps: number;
  readonly denoiser: Denoiser;
  /** With standardised features; null when it was trained without condition. */
  readonly encoder: Encoder | null;
  readonly diffusion: Diffusion;
  readonly normaliser: Normaliser;
  readonly standardiser: Standardiser | null;
  /** [D] normalised weights of the zoo's base. */
  readonly anchor: Float32Array | null;
  /** [M * T * F] frozen features of the training pictures. */
  readonly trainFeatures: Float32Array | null;
}

const flat = (data: Float32Array): NdArray => ({ shape: [data.length], data });

/** Everything of a model that has numbers, by name. */
function variablesOf(denoiser: Denoiser, encoder: Encoder | null): Record<string, tf.Variable> {
  const all: Record<string, tf.Variable> = {};
  const add = (prefix: string, variables: Readonly<Record<string, tf.Variable>> = {}) => {
    for (const [name, variable] of Object.entries(variables)) all[`${prefix}/${name}`] = variable;
  };
  add('denoiser', denoiser.variables);
  add('buffers', denoiser.buffers);
  add('encoder', encoder?.variables);
  return all;
}

/**
 * Writes a model into a run folder, whole or not at all. @param step updates made, for the record. @throws UserError when it cannot be
 * written
 */
export async function writeModel(folder: string, model: Model, step: number): Promise<void> {
  const tensors: Record<string, NdArray> = {
    'normaliser/mean': flat(model.normaliser.mean),
    'normaliser/scale': flat(model.normaliser.scale),
  };
  for (const [name, variable] of Object.entries(variablesOf(model.denoiser, model.encoder))) {
    tensors[name] = { shape: variable.shape, data: (await variable.data()) as Float32Array };
  }
  if (model.standardiser) {
    tensors['standardiser/mean'] = flat(model.standardiser.mean);
    tensors['standardiser/std'] = flat(model.standardiser.std);
  }
  if (model.diffusion.prior) {
    for (const [name, array] of Object.entries(priorArrays(model.diffusion.prior)))
      tensors[`prior/${name}`] = array;
  }
  if (model.anchor) tensors.anchor = flat(model.anchor);
  if (model.trainFeatures) tensors.trainFeatures = flat(model.trainFeatures);
  const { denoiser, encoder, diffusion, guidance, seed } = model.config;
  await settle(
    writeSafetensors(join(folder, MODEL), tensors, {
      format: 'weightloom-model',
      about: JSON.stringify({
        config: { denoiser, encoder, diffusion, guidance, seed },
        modules: userModules([denoiser.kind, encoder?.kind]),
        spec: model.spec,
        pictureSize: model.pictureSize,
        ncaSteps: model.ncaSteps,
        step,
      }),
    }),
  );
}

const About = t.strict({
  config: t.strict({
    denoiser: t.intersection([t.strict({ kind: t.string }), t.UnknownRecord]),
    encoder: t.union([t.intersection([t.strict({ kind: t.string }), t.UnknownRecord]), t.null]),
    diffusion: t.UnknownRecord,
    guidance: t.number,
    seed: t.number,
  }),
  spec: NcaSpecCodec,
  pictureSize: t.number,
  ncaSteps: t.number,
  step: t.number,
  modules: t.union([t.record(t.string, t.string), t.undefined]),
});

/**
 * Reads the model that `weightloom train` left in a run folder (its model.safetensors), to sample by the configured sampler or another. The caller
 * disposes of its `denoiser` and its `encoder` (null where it was trained without condition).
 *
 *     const { denoiser, encoder, diffusion, normaliser, spec, pictureSize, ncaSteps } = await readModel('runs/train-quick');
 *     const { data } = await readImage('dots.png', { size: pictureSize });
 *     const features = encoder.features(tf.tensor4d(data, [1, pictureSize, pictureSize, 3]));
 *     const weights = await sampleWeights({ denoiser, encoder, diffusion, normaliser, features, seed: 0 }); // [D]
 *     const [picture] = await renderNcas(spec, weights, { steps: ncaSteps, size: 64, seed: 0 });
 *
 * @param folder the run folder
 * @param options `modules` are the TypeScript files the model may be built with; `trust` loads whatever the model names, and says so
 * @throws UserError when the model names code that `modules` does not, when the file is not there or not a model, does not fit this version, or another sampler is asked of one not trained under EDM
 */
export async function readModel(
  folder: string,
  { sampler, modules = [], trust = false }: { readonly sampler?: SamplerName } & Trusted = {},
): Promise<Model> {
  const path = join(folder, MODEL);
  if (!existsSync(path)) {
    const unfinished = existsSync(join(folder, 'checkpoints'));
    refuse(path, 'the model of a finished training', 'nothing there', {
      hint: unfinished
        ? `Finish it with: ${pastable('runs', 'resume', folder)}`
        : 'Experiments keep none; train one with: weightloom train quick',
    });
  }
  const { tensors, metadata } = await settle(readSafetensors(path));
  if (metadata.format !== 'weightloom-model') return refuse(path, 'a model', 'another safetensors file');
  const about = orThrow(decode(About, parsed(metadata.about, path), `${path} (metadata)`));
  const { config, spec } = about;
  if (sampler && config.diffusion.process !== 'edm') {
    return refuse('option --sampler', 'a model trained under EDM', `one under ${config.diffusion.process}`);
  }
  const process = sampler ? mergeConfigs(config.diffusion, { sampling: { sampler } }) : config.diffusion;
  const vector = (name: string) => (tensors[name]?.data as Float32Array | undefined) ?? null;
  const mean = vector('standardiser/mean');
  const std = vector('standardiser/std');
  const standardiser = mean && std ? { mean, std } : null;
  const anchor = vector('anchor');
  const option = `weightloom sample --run ${folder} --module`;
  const { encoder, denoiser } = await trusting(
    { where: path, modules, recorded: about.modules, all: trust, option },
    async () => {
      const encoder = config.encoder && (await buildEncoder(config.encoder, config.seed));
      return {
        encoder,
        denoiser: await buildDenoiser(config.denoiser, spec, encoder, anchor, config.seed),
      };
    },
  );
  const wanted = variablesOf(denoiser, encoder);
  tf.tidy(() => {
    for (const [name, variable] of Object.entries(wanted)) {
      const found = tensors[name];
      if (found?.shape.join() !== variable.shape.join()) {
        refuse(path, `a tensor of shape [${variable.shape}]`, found ? `[${found.shape}]` : 'none', {
          field: name,
        });
      }
      variable.assign(tf.tensor(found.data as Float32Array, variable.shape));
    }
  });
  const statistic = (name: string) => vector(name) ?? refuse(path, 'a tensor', 'none', { field: name });
  return {
    ...about,
    denoiser,
    encoder: encoder && standardiser ? standardised(encoder, standardiser) : encoder,
    diffusion: orThrow(
      createDiffusion(
        process,
        `${path} (metadata): diffusion`,
        priorMean(config.diffusion) ? readPrior(tensors, spec, path) : null,
      ),
    ),
    normaliser: normaliserOf(statistic('normaliser/mean'), statistic('normaliser/scale')),
    standardiser,
    anchor,
    trainFeatures: vector('trainFeatures'),
  };
}

/** The prior that a model's process is built around. */
function readPrior(
  tensors: Readonly<Record<string, NdArray | undefined>>,
  spec: NcaSpec,
  path: string,
): GaussianPrior {
  const size = weightCount(spec);
  return priorFromArrays(size, (name, optional = false) => {
    const found = tensors[`prior/${name}`];
    if (!found && !optional) refuse(path, 'a tensor', 'none', { field: `prior/${name}` });
    return found ? { shape: found.shape, data: found.data as Float32Array } : null;
  });
}

/** Gives a model of a run the moving average of another width than the one it was saved with. */
export async function useAverage(
  folder: string,
  { denoiser, encoder }: Model,
  sigmaRel: number,
): Promise<void> {
  const average = await averageOfWidth(join(folder, 'checkpoints'), sigmaRel);
  tf.tidy(() => {
    for (const [name, variable] of Object.entries(variablesOf(denoiser, encoder))) {
      if (average[name]) variable.assign(tf.tensor(average[name], variable.shape));
    }
  });
}

function parsed(text: string | undefined, path: string): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return refuse(path, 'metadata that says how the model is built', 'none');
  }
}

/** The encoder of a configuration, its features not standardised. */
export function buildEncoder(
  { kind, width, ...parameters }: { kind: string; [key: string]: unknown },
  seed: number,
): Promise<Encoder> {
  return settle(createEncoder(kind, parameters, { seed, width: width as number | undefined }));
}

/**
 * Builds the denoiser of a configuration: `kind` is a registered name or the path of a TypeScript file, beside it any of its parameters; the others
 * take the kind's defaults. Dispose of it.
 *
 *     const anchor = zoo.base && normaliser.normalise(zoo.base);
 *     const denoiser = await buildDenoiser({ kind: 'transformer-hidden', width: 64 }, spec, encoder, anchor, 0);
 *
 * @param encoder gives the condition's shape, [tokens, width]; null for a denoiser that never sees one
 * @param anchor [D] normalised weights of the zoo's common base, for denoisers that can use it; null where there is none
 * @param seed of the initial variables
 * @throws UserError for an unknown kind, a parameter that does not fit, a file that breaks the contract
 */
export async function buildDenoiser(
  { kind, ...parameters }: { kind: string; [key: string]: unknown },
  spec: NcaSpec,
  encoder: Encoder | null,
  anchor: Float32Array | null,
  seed: number,
): Promise<Denoiser> {
  const found = await loadDenoiser(kind);
  const config = orThrow(
    decode(found.config, { ...found.defaults, ...parameters }, `denoiser ${found.name}`),
  );
  const condition = encoder && { tokens: encoder.tokens, width: encoder.width };
  return found.build(config, { spec, condition, anchor: anchor ?? undefined, seed });
}
