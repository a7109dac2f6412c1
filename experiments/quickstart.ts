/**
 * The whole way once: a texture nobody trained on goes in, a denoiser samples the weights of an NCA, the NCA grows a texture.
 */
import * as t from 'io-ts';
import {
  baselineMethods,
  buildEncoder,
  type Contender,
  compareMethods,
  type Experiment,
  lineChart,
  loadDenoiser,
  type Method,
  openStudy,
  pairMetrics,
  plots,
  RolloutSettingsCodec,
  type RunContext,
  renderingSteps,
  type Section,
  type Study,
  TrainingSettingsCodec,
  trainContender,
  writeComparison,
  zooFolder,
} from '../src/index.ts';

const optionalNumber = t.union([t.number, t.null]);

const Parameters = t.strict({
  seed: t.number,
  zoo: t.string,
  picture: t.union([t.literal('texture'), t.literal('rendering'), t.null]),
  /** A registered kind and its parameters, such as configs/encoder/*.yaml. */
  encoder: t.intersection([t.strict({ kind: t.string }), t.UnknownRecord]),
  denoisers: t.array(t.string),
  parameters: t.record(t.string, t.UnknownRecord),
  diffusion: t.UnknownRecord,
  training: t.partial(TrainingSettingsCodec.type.props),
  rollout: t.union([t.partial(RolloutSettingsCodec.type.props), t.null]),
  sampling: t.strict({ steps: t.number, guidance: t.number }),
  evaluation: t.strict({ steps: optionalNumber, seed: t.number }),
  limit: t.strict({ train: optionalNumber, heldOut: optionalNumber }),
});
type Parameters = t.TypeOf<typeof Parameters>;

/** Trains and samples the denoisers one after the other, each under the same settings. */
async function contend(context: RunContext, study: Study, parameters: Parameters) {
  const contenders: Contender[] = [];
  const methods: Method[] = [];
  for (const denoiser of parameters.denoisers) {
    const contender = await trainContender(context, study, {
      denoiser,
      parameters: parameters.parameters[denoiser],
      diffusion: parameters.diffusion,
      training: parameters.training,
      rollout: parameters.rollout,
      sampling: parameters.sampling,
      seed: parameters.seed,
    });
    const bar = context.progress(`sample ${denoiser}`, study.heldOut.names.length);
    const weights = await contender.sample(study.heldOut, {
      onProgress: done => bar.update(Math.floor(done)),
    });
    bar.stop();
    contender.dispose();
    contenders.push(contender);
    methods.push({ name: contender.label, kind: 'denoiser', weights });
  }
  return { contenders, methods };
}

/** How training went: the denoising loss, and the texture loss of the denoised weights' rollouts. */
async function trainingSection(contenders: readonly Contender[]): Promise<Section> {
  const points = (value: 'loss' | 'rolloutLoss') =>
    contenders.flatMap(({ label, curve }) =>
      curve.flatMap(point =>
        point[value] === undefined ? [] : [{ series: label, x: point.step, y: point[value] }],
      ),
    );
  const charts = [lineChart({ x: 'step', y: 'denoising loss', logY: true, points: points('loss') })];
  if (points('rolloutLoss').length > 0) {
    charts.push(lineChart({ x: 'step', y: 'texture loss of rollouts', points: points('rolloutLoss') }));
  }
  return { title: 'Training', body: plots(...(await Promise.all(charts))) };
}

const quickstart: Experiment<Parameters> = {
  name: 'quickstart',
  question:
    'A texture that nobody trained on goes in; can a diffusion model over the weights of neural cellular automata sample the weights of one that grows it? Two denoisers, one on the parameter graph and one on a sequence of weight tokens, are trained under equal budgets and set against everything simpler.',
  parameters: Parameters,

  async run(context, parameters) {
    const { seed } = parameters;
    // A misspelt name should not wait for its turn.
    for (const denoiser of parameters.denoisers) await loadDenoiser(denoiser);
    const encoder = await buildEncoder(parameters.encoder, seed);
    const study = await openStudy({
      zoo: zooFolder(parameters.zoo),
      encoder,
      picture: parameters.picture ?? undefined,
      limit: { train: parameters.limit.train ?? undefined, heldOut: parameters.limit.heldOut ?? undefined },
    });
    const { train, heldOut } = study;
    context.say(
      `${train.names.length} training and ${heldOut.names.length} held-out NCAs of ${study.spec.name} (${train.weights.length / train.names.length} weights each), ${study.size} px`,
    );
    const { contenders, methods } = await contend(context, study, parameters);
    const steps = parameters.evaluation.steps ?? renderingSteps(study.zoo);
    const all = [...methods, ...(await baselineMethods(study, seed))];
    const bar = context.progress('run and measure', all.length);
    const metrics = pairMetrics();
    const results = await compareMethods({
      spec: study.spec,
      methods: all,
      targets: heldOut.pictures,
      metrics,
      steps,
      size: study.size,
      seed: parameters.evaluation.seed,
      signal: context.signal,
      onProgress: done => bar.update(done),
    });
    bar.stop();
    await writeComparison(context, study, {
      experiment: quickstart,
      parameters,
      results,
      metrics,
      nca: { steps },
      contenders,
      sections: [await trainingSection(contenders)],
    });
    study.dispose();
    encoder.dispose();
  },
};

export default quickstart;
