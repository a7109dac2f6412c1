/**
 * One's own photographs: what does a trained model make of each, beside everything simpler, and how much fine-tuning is it away from an NCA that was trained
 * for it? The pictures stand where a zoo's held-out ones stand in other experiments: cut like them, with NCAs trained like theirs as the bound.
 */
import * as t from 'io-ts';
import { optional, refuse, settle, share } from '../src/config/index.ts';
import {
  type OwnNcas,
  type OwnPicture,
  readZoo,
  recipeOf,
  trainingCodec,
  type ZooRecipe,
} from '../src/data/index.ts';
import { SAMPLERS, type SamplerName } from '../src/diffusion/index.ts';
import { BASELINES, meanOfSamples, ORBIT_BASELINES } from '../src/evaluation/index.ts';
import {
  BOUND,
  drawableModel,
  drawSamples,
  type FineTuning,
  type Model,
  notesOn,
  ranksOf,
  readModel,
  readOwnPictures,
  renderingSteps,
  type SamplingDraws,
  trainedOn,
  trainOwn,
  tuneFrom,
  writePhotographs,
  zooFolder,
} from '../src/experiment/index.ts';
import {
  type Experiment,
  type Method,
  natural,
  type Protocol,
  positive,
  type RunContext,
  studyKeys,
  weightCount,
  whole,
  withProtocol,
} from '../src/index.ts';
import { verdictsOf } from '../src/report/index.ts';

const Parameters = t.strict({
  evaluation: studyKeys.evaluation,
  /** Folder of the run that holds the model. */
  model: optional(t.string),
  images: t.array(t.string),
  pixelsPerTexel: optional(t.union([positive, t.literal('fit')])),
  zoo: optional(t.string),
  modules: t.array(t.string),
  seed: whole,
  sampling: t.strict({
    draws: natural,
    steps: optional(natural),
    guidance: optional(t.number),
    sampler: optional(t.keyof(SAMPLERS as unknown as Record<SamplerName, null>)),
  }),
  quality: t.strict({ timesOwn: positive, least: positive, worst: share }),
  baselines: t.array(t.keyof({ ...BASELINES, ...ORBIT_BASELINES })),
  fineTuning: t.strict({ iterations: optional(natural), learningRate: positive }),
  training: trainingCodec,
});
type Parameters = t.TypeOf<typeof Parameters>;

/** What the model answers, and which of it are single samples. */
function answersOf({ kind, samples, oneStep }: SamplingDraws): { single: Method[]; others: Method[] } {
  const method = (name: string, weights: Float32Array): Method => ({ name, kind: 'denoiser', weights });
  if (kind === 'regression') return { single: [method('regression', samples[0])], others: [] };
  return {
    single: samples.map((weights, k) => method(`sample ${k + 1}`, weights)),
    others: [
      ...(samples.length > 1 ? [method(`mean of ${samples.length} samples`, meanOfSamples(samples))] : []),
      ...(oneStep ? [method('one step', oneStep)] : []),
    ],
  };
}

/** Fine-tuning with the sizes, steps and loss that the zoo was trained with, looked at ever more seldom. */
function fineTuningOf({ build }: ZooRecipe, { fineTuning, seed }: Parameters): FineTuning {
  const { iterations, milestones: _, decay: __, loss, ...rest } = build.training;
  const { bank: ___, ...settings } = loss;
  const last = fineTuning.iterations ?? iterations;
  const checkpoints = [0];
  for (let at = 5; at < last; at *= 2) checkpoints.push(at);
  return {
    ...rest,
    checkpoints: [...checkpoints, last],
    learningRate: fineTuning.learningRate,
    loss: settings,
    seed,
    together: build.together,
  };
}

async function compare(
  context: RunContext,
  protocol: Protocol,
  parameters: Parameters,
  {
    model,
    pictures,
    leftOut,
    own,
    recipe,
  }: { model: Model; pictures: OwnPicture[]; leftOut: string[]; own: OwnNcas; recipe: ZooRecipe },
): Promise<void> {
  const { study } = protocol;
  const { quality, seed, sampling } = parameters;
  const contender = drawableModel(model, {
    steps: sampling.steps ?? undefined,
    guidance: sampling.guidance ?? model.config.guidance,
    seed,
    signal: context.signal,
  });
  const drawn = await protocol.once(['draws', sampling, seed], async () => {
    const began = performance.now();
    const draws = await drawSamples(context, study, contender, sampling.draws);
    return { draws, seconds: (performance.now() - began) / 1000 };
  });
  const { single, others } = answersOf(drawn.draws);
  const measured = await protocol.measure([...single, ...others], 'run and measure answers');
  const [samples, answers] = [measured.slice(0, single.length), measured.slice(single.length)];
  const simpler = await protocol.baselines(seed, [...parameters.baselines, BOUND]);
  const bound = simpler.find(({ kind }) => kind === 'bound')!;
  const baselines = parameters.baselines.flatMap(name => simpler.find(one => one.name === name) ?? []);
  const fineTuning = fineTuningOf(recipe, parameters);
  const starts = [samples[0], ...answers, ...baselines];
  const curves = [];
  for (const start of starts) curves.push(await tuneFrom(context, protocol, start, fineTuning));
  const tuning = { checkpoints: fineTuning.checkpoints, curves, bound };
  const ranks = ranksOf(
    own.verdicts.map(({ loss }) => loss),
    study.zoo,
  );
  const ofModel = [samples[0], ...answers].map(({ name }) => name);
  const judged = {
    tuning,
    ofModel,
    samples,
    quality,
    faults: own.verdicts.map(
      ({ fault }, i) =>
        fault ??
        (ranks[i] > quality.worst
          ? `worse than ${Math.floor(100 * ranks[i])} % of the zoo's show theirs`
          : null),
    ),
  };
  const notes = await notesOn(pictures, protocol, recipe);
  own.verdicts.forEach(({ loss }, i) => {
    notes[i].push(
      `The NCA trained for it has a texture loss of ${loss.toPrecision(2)}${Number.isNaN(ranks[i]) ? '' : `: ${Math.round(100 * ranks[i])} % of the zoo's NCAs have a smaller one`}.`,
    );
  });
  await writePhotographs(context, protocol, {
    experiment: photographs,
    parameters,
    photographs: {
      names: study.heldOut.names,
      notes,
      results: [bound, ...samples, ...answers, ...curves[0].results.slice(-1), ...baselines],
      judged,
      verdicts: verdictsOf(judged),
      seconds: {
        own: own.seconds / pictures.length,
        sample: drawn.seconds / (pictures.length * sampling.draws),
      },
      ownIterations: recipe.build.training.iterations,
      leftOut,
    },
    grown: [bound, samples[0], curves[0].results.at(-1)!, ...answers.slice(0, 1), ...baselines.slice(0, 2)],
  });
}

const photographs: Experiment<Parameters> = {
  name: 'photographs',
  question:
    'What does a trained model make of these pictures, which nobody trained it on, beside everything simpler; and how much fine-tuning is it away from NCAs that were trained for them?',
  parameters: Parameters,

  async run(context, parameters) {
    const { model: folder, modules, sampling, evaluation } = parameters;
    if (folder === null)
      return refuse('configuration', 'the run folder of a trained model', 'none', {
        field: 'model',
        hint: 'weightloom sample --run FOLDER --image FILE --compare',
      });
    const { zoo: name, limit } =
      parameters.zoo === null
        ? trainedOn(folder)
        : { zoo: parameters.zoo, limit: { train: null, heldOut: null } };
    const zoo = await settle(readZoo(zooFolder(name)));
    const model = await readModel(folder, { sampler: sampling.sampler ?? undefined, modules });
    try {
      const { encoder, spec, config, pictureSize } = model;
      if (!encoder) return refuse(folder, 'a model with a condition', 'one that was trained without');
      if (weightCount(zoo.spec) !== weightCount(spec) || zoo.spec.channels !== spec.channels)
        return refuse(zoo.folder, `NCAs of ${spec.name}, as the model's are`, zoo.spec.name);
      const told = recipeOf(zoo, {
        size: pictureSize,
        training: parameters.training,
        steps: renderingSteps(zoo),
      });
      const recipe = { ...told, pixelsPerTexel: parameters.pixelsPerTexel ?? told.pixelsPerTexel };
      const { taken: pictures, leftOut } = await readOwnPictures(
        context,
        parameters.images,
        recipe,
        pictureSize,
      );
      const own = await trainOwn(context, zoo, recipe, pictures);
      const answered = {
        names: pictures.map(one => one.name),
        pictures: Float32Array.from(pictures.flatMap(({ picture }) => [...picture])),
        weights: own.weights,
      };
      const keys = {
        zoo: name,
        picture: null,
        encoder: config.encoder!,
        evaluation,
        limit,
        pictureSize,
        answered,
      };
      await withProtocol(context, keys, protocol =>
        compare(context, protocol, parameters, { model, pictures, leftOut, own, recipe }),
      );
    } finally {
      model.denoiser.dispose();
      model.encoder?.dispose();
    }
  },
};

export default photographs;
