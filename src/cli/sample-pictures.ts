/** Samples weights of NCAs for pictures from a trained model, and writes them with what they grow: `weightloom sample`. */
import { basename, extname, join } from 'node:path';
import { settle, UserError } from '../config/index.ts';
import { renderFrames, renderNcas, writeWeights } from '../data/index.ts';
import {
  type Guidance,
  type SamplerName,
  sampleCanonicalWeights,
  sampleTrajectory,
  sampleWeights,
  type Trajectory,
} from '../diffusion/index.ts';
import {
  KEPT_TRAJECTORY,
  type Model,
  readModel,
  textureLossFor,
  useAverage,
  writeKeptNcas,
} from '../experiment/index.ts';
import { type Picture, readImage, writeGif, writePng } from '../formats/index.ts';
import { finiteOrbit, maskSeed, trainNca, weightCount } from '../nca/index.ts';
import { interruption, progressBar } from '../runs/index.ts';
import { startBackend, tf } from '../tensor/index.ts';

/** Options of `weightloom sample`, without --compare. */
export interface SampleOptions {
  run: string;
  image?: string[];
  out: string;
  count: number;
  steps?: number;
  guidance?: number;
  guidanceInterval?: [number, number];
  sampler?: SamplerName;
  canonical?: ('colour' | 'd4')[];
  finetune: number;
  average?: number;
  autoguidance?: string;
  module?: string[];
  trust?: boolean;
  seed: number;
  size: number;
  ncaSteps?: number;
  gif: boolean;
  trajectory?: boolean;
}

const FRAMES = 40;

export async function sample(options: SampleOptions): Promise<void> {
  const { run, out, count, seed, size } = options;
  if (options.trajectory && options.canonical) {
    throw new UserError('option --trajectory: expected without --canonical, found both.', 2);
  }
  await startBackend();
  const model = await readModel(run, {
    sampler: options.sampler,
    modules: options.module,
    trust: options.trust,
  });
  if (options.average !== undefined) await useAverage(run, model, options.average);
  const { signal, release } = interruption();
  let weaker: Model | undefined;
  try {
    const paths = options.image ?? [];
    if (paths.length === 0 && model.encoder) {
      throw new UserError('option --image: expected a picture to sample for, found none.', 2);
    }
    const pictures = await Promise.all(
      paths.map(path =>
        settle(readImage(path, { size: model.pictureSize, onDoubt: sentence => console.error(sentence) })),
      ),
    );
    const names = paths.length > 0 ? distinct(paths.map(path => basename(path, extname(path)))) : ['sample'];
    if (options.autoguidance) {
      weaker = await readModel(options.autoguidance, { modules: options.module, trust: options.trust });
    }
    const sampled = await weightsFor(model, weaker, pictures, options, signal);
    let { weights } = sampled;
    if (sampled.trajectory) await writeTrajectory(model, names, pictures, sampled.trajectory, options);
    if (options.finetune > 0) weights = await finetuned(model, weights, pictures, options, signal);
    const D = weightCount(model.spec);
    const steps = options.ncaSteps ?? model.ncaSteps;
    const written: string[] = [];
    for (const [i, name] of names.entries()) {
      const rows = weights.subarray(i * count * D, (i + 1) * count * D);
      const ncas = Array.from({ length: count }, (_, k) => ({
        spec: model.spec,
        flat: rows.subarray(k * D, (k + 1) * D),
      }));
      await settle(writeWeights(join(out, `${name}.safetensors`), ncas));
      const grown = await renderNcas(model.spec, rows, { steps, size, seed });
      for (const [k, nca] of ncas.entries()) {
        const label = join(out, count > 1 ? `${name}-${k}` : name);
        await settle(writePng(`${label}.png`, grown[k]));
        if (options.gif) {
          const frames: Picture[] = [];
          for await (const frame of renderFrames(nca, { steps, size, seed, frames: FRAMES }))
            frames.push(frame);
          await settle(
            writeGif(`${label}.gif`, frames, { delay: frames.map((_, f) => (f === FRAMES - 1 ? 1500 : 60)) }),
          );
        }
        written.push(label);
      }
      signal.throwIfAborted();
    }
    console.log(written.map(label => `${label}.png${options.gif ? `, ${label}.gif` : ''}`).join('\n'));
  } catch (error) {
    if (signal.aborted && (error as Error)?.name === 'AbortError') {
      process.exitCode = 130;
      throw new UserError(`Interrupted; what was finished is in ${out}.`);
    }
    throw error;
  } finally {
    release();
    for (const each of weaker ? [model, weaker] : [model]) {
      each.denoiser.dispose();
      each.encoder?.dispose();
    }
  }
}

/** Writes what the denoiser took every sample's weights for at every noise level, beside the samples. */
async function writeTrajectory(
  { spec, config, pictureSize, ncaSteps }: Model,
  names: readonly string[],
  pictures: readonly Picture[],
  { sigmas, denoised, weights }: Trajectory,
  { count, out, seed, ncaSteps: steps = ncaSteps }: SampleOptions,
): Promise<void> {
  const textures = names.flatMap(name =>
    Array.from({ length: count }, (_, k) => (count > 1 ? `${name}-${k}` : name)),
  );
  const each = pictureSize ** 2 * 3;
  const targets = new Float32Array(textures.length * each);
  if (pictures.length > 0)
    textures.forEach((_, i) => {
      targets.set(pictures[Math.floor(i / count)].data, i * each);
    });
  await writeKeptNcas(
    join(out, KEPT_TRAJECTORY),
    spec,
    {
      kind: 'trajectory',
      label: config.denoiser.kind,
      columns: [...sigmas, 0].map(sigma => ({ name: `sigma ${sigma.toPrecision(3)}`, sigma })),
      textures,
      steps,
      size: pictureSize,
      seeds: textures.map(() => maskSeed(seed)),
    },
    [denoised, weights],
    pictures.length > 0 ? targets : undefined,
  );
}

/** Weights [pictures * count, D], in the order of the pictures, and how they came into being where that was asked for. */
async function weightsFor(
  model: Model,
  weaker: Model | undefined,
  pictures: readonly Picture[],
  options: SampleOptions,
  signal: AbortSignal,
): Promise<{ readonly weights: Float32Array; readonly trajectory?: Trajectory }> {
  const { encoder, pictureSize: side } = model;
  const { count, steps, seed } = options;
  const total = Math.max(1, pictures.length) * count;
  const bar = progressBar('sampling', total);
  const guidance: Guidance = {
    scale: options.guidance ?? model.config.guidance,
    interval: options.guidanceInterval,
    weaker: weaker?.denoiser,
  };
  const common = {
    ...model,
    count,
    steps,
    guidance,
    seed,
    signal,
    onProgress: (done: number) => bar.update(done),
  };
  const sampled = async (features: tf.Tensor3D | null) => {
    if (!options.trajectory) return { weights: await sampleWeights({ ...common, features }) };
    const trajectory = await sampleTrajectory({ ...common, features });
    return { weights: trajectory.weights, trajectory };
  };
  try {
    if (!encoder) return await sampled(null);
    const images = new Float32Array(pictures.length * side * side * 3);
    pictures.forEach(({ data }, i) => {
      images.set(data, i * side * side * 3);
    });
    if (options.canonical) {
      const { weights } = await sampleCanonicalWeights({
        ...common,
        encoder,
        pictures: images,
        pictureSize: side,
        trainFeatures: model.trainFeatures!,
        elements: finiteOrbit(model.spec, options.canonical),
      });
      return { weights };
    }
    const features = tf.tidy(() => encoder.features(tf.tensor4d(images, [pictures.length, side, side, 3])));
    try {
      return await sampled(features);
    } finally {
      features.dispose();
    }
  } finally {
    bar.stop();
  }
}

/** The sampled weights trained on their pictures for a few iterations. */
async function finetuned(
  model: Model,
  weights: Float32Array,
  pictures: readonly Picture[],
  options: SampleOptions,
  signal: AbortSignal,
) {
  const { count, finetune, seed } = options;
  if (pictures.length === 0)
    throw new UserError('option --finetune: expected a picture to train on (--image), found none.', 2);
  const side = model.pictureSize;
  const targets = new Float32Array(pictures.length * count * side * side * 3);
  for (let row = 0; row < pictures.length * count; row++) {
    targets.set(pictures[Math.floor(row / count)].data, row * side * side * 3);
  }
  const bar = progressBar('fine-tuning', finetune);
  const tensor = tf.tensor4d(targets, [pictures.length * count, side, side, 3]);
  try {
    const trained = await trainNca(model.spec, tensor, {
      seed,
      initial: weights,
      iterations: finetune,
      height: side,
      width: side,
      pool: 32,
      steps: [32, 64],
      loss: textureLossFor(side, { projections: 64, factor: 100 }),
      signal,
      onProgress: ({ iteration }) => bar.update(iteration),
    });
    signal.throwIfAborted();
    return trained.weights;
  } finally {
    bar.stop();
    tensor.dispose();
  }
}

/** Names that differ, by a number behind those that do not. */
const distinct = (names: readonly string[]) =>
  names.map((name, i) => (names.indexOf(name) === i ? name : `${name}-${i + 1}`));
