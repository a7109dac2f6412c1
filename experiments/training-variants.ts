/**
 * What do exact augmentation, a loss through the rollout and canonicalised sampling each bring, at equal budgets? Every denoiser is trained
 * plainly, on turned and recoloured copies, and with the rollout loss; the models are sampled as they are and in the frame of the
 * nearest training picture; several seeds, against all baselines.
 */
import * as t from 'io-ts';
import {
  baselineMethods,
  buildEncoder,
  type Contender,
  compareMethods,
  type Experiment,
  loadDenoiser,
  type Method,
  type MethodResult,
  openStudy,
  orbitMethods,
  overSeeds,
  type PairMetric,
  pairMetrics,
  RolloutSettingsCodec,
  type RunContext,
  renderingSteps,
  type Study,
  TrainingSettingsCodec,
  trainContender,
  writeComparison,
  zooFolder,
} from '../src/index.ts';

const variant = t.keyof({
  plain: null,
  augmented: null,
  rollout: null,
  canonical: null,
  'rollout+canonical': null,
});
type Variant = t.TypeOf<typeof variant>;
const symmetries = t.array(t.keyof({ colour: null, d4: null }));
const optionalNumber = t.union([t.number, t.null]);

const Parameters = t.strict({
  seeds: t.array(t.number),
  zoo: t.string,
  /** A registered kind and its parameters, such as configs/encoder/*.yaml. */
  encoder: t.intersection([t.strict({ kind: t.string }), t.UnknownRecord]),
  denoisers: t.array(t.string),
  variants: t.array(variant),
  augmentation: symmetries,
  canonical: symmetries,
  diffusion: t.UnknownRecord,
  training: t.partial(TrainingSettingsCodec.type.props),
  rollout: t.partial(RolloutSettingsCodec.type.props),
  sampling: t.strict({ steps: t.number, guidance: t.number }),
  evaluation: t.strict({ steps: optionalNumber, seed: t.number }),
  limit: t.strict({ train: optionalNumber, heldOut: optionalNumber }),
});
type Parameters = t.TypeOf<typeof Parameters>;

/** How a model is trained, and the variants that sample it. */
const TRAININGS: Record<
  'plain' | 'augmented' | 'rollout',
  { readonly direct: Variant; readonly framed?: Variant }
> = {
  plain: { direct: 'plain', framed: 'canonical' },
  augmented: { direct: 'augmented' },
  rollout: { direct: 'rollout', framed: 'rollout+canonical' },
};

/** All wanted variants of one denoiser with one seed. */
async function variantsOf(
  context: RunContext,
  study: Study,
  denoiser: string,
  seed: number,
  parameters: Parameters,
) {
  const { variants, augmentation, canonical, rollout } = parameters;
  const methods: Method[] = [];
  const contenders: Contender[] = [];
  for (const [training, { direct, framed }] of Object.entries(TRAININGS)) {
    const wanted = [direct, framed].filter(name => name && variants.includes(name));
    if (wanted.length === 0) continue;
    const contender = await trainContender(context, study, {
      denoiser,
      label: `${denoiser} ${training} (seed ${seed})`,
      diffusion: parameters.diffusion,
      training: parameters.training,
      rollout: training === 'rollout' ? rollout : null,
      augmentation: training === 'augmented' ? augmentation : [],
      sampling: parameters.sampling,
      seed,
    });
    for (const name of wanted) {
      const weights = await contender.sample(study.heldOut, name === framed ? { canonical } : {});
      methods.push({ name: `${denoiser} ${name}`, kind: 'denoiser', weights });
    }
    contender.dispose();
    contenders.push(contender);
  }
  return { methods, contenders };
}

const trainingVariants: Experiment<Parameters> = {
  name: 'training-variants',
  question:
    'What do exact augmentation, a loss through the rollout, and sampling in the frame of the nearest training picture each bring, at equal budgets?',
  parameters: Parameters,

  async run(context, parameters) {
    for (const denoiser of parameters.denoisers) await loadDenoiser(denoiser);
    const encoder = await buildEncoder(parameters.encoder, 0);
    const study = await openStudy({
      zoo: zooFolder(parameters.zoo),
      encoder,
      limit: { train: parameters.limit.train ?? undefined, heldOut: parameters.limit.heldOut ?? undefined },
    });
    const steps = parameters.evaluation.steps ?? renderingSteps(study.zoo);
    const metrics: PairMetric[] = pairMetrics();
    const measure = (methods: readonly Method[]) =>
      compareMethods({
        spec: study.spec,
        methods,
        targets: study.heldOut.pictures,
        metrics,
        steps,
        size: study.size,
        seed: parameters.evaluation.seed,
        signal: context.signal,
      });
    const contenders: Contender[] = [];
    const results: MethodResult[] = [];
    for (const denoiser of parameters.denoisers) {
      const runs: MethodResult[] = [];
      for (const seed of parameters.seeds) {
        const found = await variantsOf(context, study, denoiser, seed, parameters);
        contenders.push(...found.contenders);
        const measured = await measure(found.methods);
        for (const { name, values } of measured) context.run.log({ method: name, seed, values });
        runs.push(...measured);
      }
      for (const name of new Set(runs.map(run => run.name))) {
        results.push(
          overSeeds(
            runs.filter(run => run.name === name),
            name,
          ),
        );
      }
    }
    context.say('baselines ...');
    results.push(
      ...(await measure([
        ...(await orbitMethods(study, context.signal)),
        ...(await baselineMethods(study, parameters.seeds[0])),
      ])),
    );
    await writeComparison(context, study, {
      experiment: trainingVariants,
      parameters,
      results,
      metrics,
      nca: { steps },
      contenders,
    });
    study.dispose();
    encoder.dispose();
  },
};

export default trainingVariants;
