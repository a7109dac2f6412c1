/**
 * Which denoiser, conditioned how and sampled how, gives the best initial weights? Denoiser x encoder x sampler and guidance x seed, at equal
 * budgets; every model is trained once and sampled in every way.
 */
import * as t from 'io-ts';
import { mappingOf, refuse } from '../src/config/index.ts';
import { intervalOf, overSeeds, summarise } from '../src/evaluation/index.ts';
import {
  type ContenderSampleOptions,
  checkContenders,
  compareSets,
  drawing,
  drawnMethods,
  KindCodec,
  regressionTwin,
  SamplingChangesCodec,
  type SamplingDraws,
} from '../src/experiment/index.ts';
import {
  type ContenderRecord,
  contestKeys,
  type Experiment,
  html,
  listOf,
  loadDenoiser,
  type Method,
  type MethodResult,
  type Protocol,
  paired,
  type RunContext,
  type Section,
  studyKeys,
  table,
  trainingSection,
  whole,
  withProtocol,
  writeComparison,
} from '../src/index.ts';
import { intervalText, metricLabel } from '../src/report/index.ts';

const { encoder: _, ...zooKeys } = studyKeys;

const Parameters = t.strict({
  ...zooKeys,
  ...contestKeys,
  preset: t.string,
  seeds: listOf(whole),
  denoisers: listOf(t.string),
  /** The denoisers' own parameters by name. */
  parameters: t.record(t.string, t.UnknownRecord),
  /** By the name they have in tables; the first one's baselines are shown. */
  encoders: mappingOf(KindCodec),
  /** Other ways to sample than `sampling`, by the name they have in tables. */
  samplings: t.record(t.string, SamplingChangesCodec),
  /** Trains each denoiser once more as a regression, with the same budget. */
  regression: t.boolean,
  /** What else takes part, by the name it has in tables: a denoiser of which the process, the training or the loss through the rollout differ. */
  variants: t.record(
    t.string,
    t.intersection([
      t.strict({ denoiser: t.string }),
      t.partial({
        parameters: t.UnknownRecord,
        diffusion: t.UnknownRecord,
        training: contestKeys.training,
        rollout: contestKeys.rollout,
      }),
    ]),
  ),
});
type Parameters = t.TypeOf<typeof Parameters>;

/** Everything measured: by way of sampling, then by denoiser and encoder. */
interface Contest {
  readonly ways: Map<string, MethodResult[]>;
  readonly contenders: ContenderRecord[];
  /** Of the first seed, where `sampling.draws` asks for them. */
  readonly draws: SamplingDraws[];
  /** The null model, where there are draws. */
  readonly baselines: Method[];
}

/** Refuses what could only fail after a denoiser is trained. */
function check({ diffusion, samplings }: Parameters): void {
  const [name] = Object.entries(samplings).find(([, { sampler }]) => sampler !== undefined) ?? [];
  if (name !== undefined && !['edm', 'regression'].includes(String(diffusion.process)))
    refuse('configuration', 'no sampler of EDM under another process', String(diffusion.process), {
      field: `samplings.${name}.sampler`,
    });
}

/** The way of sampling that `sampling` describes; the others are named in `samplings`. */
const PLAIN = 'as configured';

/** Trains all denoisers with all seeds on one encoder's conditions and samples each in every way. */
async function contest(
  context: RunContext,
  protocol: Protocol,
  encoder: string | null,
  { denoisers, seeds, samplings, sampling, ...parameters }: Parameters,
): Promise<Contest> {
  const { run } = context;
  const contenders: ContenderRecord[] = [];
  const draws: SamplingDraws[] = [];
  const baselines: Method[] = [];
  const ways = new Map<string, MethodResult[]>();
  const options: Record<string, ContenderSampleOptions> = {
    [PLAIN]: {},
    ...Object.fromEntries(Object.entries(samplings).map(([name, other]) => [name, { sampling: other }])),
  };
  // A regression has one answer, however it is sampled.
  const sampled = parameters.diffusion.process !== 'regression';
  const processes = [
    { diffusion: parameters.diffusion, suffix: '', ways: sampled ? options : { [PLAIN]: {} } },
    ...(parameters.regression && sampled
      ? [{ diffusion: regressionTwin(parameters.diffusion), suffix: ', regression', ways: { [PLAIN]: {} } }]
      : []),
  ];
  for (const [denoiser, process] of denoisers.flatMap(each => processes.map(one => [each, one] as const))) {
    const kind = (await loadDenoiser(denoiser)).name;
    const name = `${encoder ? `${kind}, ${encoder}` : kind}${process.suffix}`;
    const runs = new Map<string, MethodResult[]>();
    for (const seed of seeds) {
      const drawn = sampling.draws && seed === seeds[0];
      const { contender, methods, inspected } = await protocol.contend(
        {
          denoiser,
          label: `${name} (seed ${seed})`,
          parameters: parameters.parameters[denoiser],
          diffusion: process.diffusion,
          training: parameters.training,
          rollout: parameters.rollout,
          sampling,
          seed,
        },
        process.ways,
        drawn
          ? drawing(context, protocol.study, sampling.draws!, { nullModel: draws.length === 0 })
          : undefined,
      );
      contenders.push(contender);
      if (inspected) {
        const found = drawnMethods(inspected);
        draws.push(...found.draws);
        baselines.push(...found.baselines);
      }
      for (const result of await protocol.measure(methods, `run and measure ${name}`)) {
        run.log({ method: name, sampling: result.name, seed, values: result.values });
        runs.set(result.name, [...(runs.get(result.name) ?? []), result]);
      }
    }
    for (const [way, results] of runs) {
      ways.set(way, [...(ways.get(way) ?? []), overSeeds(results, name)]);
    }
  }
  return { ways, contenders, draws, baselines };
}

/** The variants, with the first encoder's conditions and all seeds, sampled as configured. */
async function others(
  { run }: RunContext,
  protocol: Protocol,
  { variants, seeds, diffusion, training, rollout, sampling }: Parameters,
): Promise<{ contenders: ContenderRecord[]; results: MethodResult[] }> {
  const contenders: ContenderRecord[] = [];
  const results: MethodResult[] = [];
  for (const [name, changes] of Object.entries(variants)) {
    const runs: MethodResult[] = [];
    for (const seed of seeds) {
      const { contender, methods } = await protocol.contend(
        {
          diffusion,
          rollout,
          sampling,
          ...changes,
          training: { ...training, ...changes.training },
          label: `${name} (seed ${seed})`,
          seed,
        },
        { [PLAIN]: {} },
      );
      contenders.push(contender);
      for (const result of await protocol.measure(methods, `run and measure ${name}`)) {
        run.log({ method: name, sampling: PLAIN, seed, values: result.values });
        runs.push(result);
      }
    }
    results.push(overSeeds(runs, name));
  }
  return { contenders, results };
}

/** Every way of sampling, one table of each of the two leading metrics: a row a denoiser, a column a way. */
function samplingSection(ways: ReadonlyMap<string, readonly MethodResult[]>, { metrics }: Protocol): Section {
  const names = [...ways.keys()];
  const plain = ways.get(PLAIN)!;
  const tables = metrics.slice(0, 2).map(metric => {
    const rows = plain.map(base => [
      base.name,
      ...names.map(way => {
        const result = ways.get(way)!.find(({ name }) => name === base.name);
        // A regression is sampled in one way only.
        if (!result) return '';
        const text = intervalText(intervalOf(result, metric.name));
        if (way === PLAIN) return text;
        const { significant, mean: change } = paired(result, base, metric.name);
        const better = metric.better === 'lower' ? change < 0 : change > 0;
        return significant ? `${text} ${better ? 'better' : 'worse'}` : text;
      }),
    ]);
    return html`<h3>${metricLabel(metric.name)}</h3>${table(['denoiser', ...names], rows)}`;
  });
  return {
    title: 'Samplers and guidance',
    body: html`<p class="dim">The same models sampled in other ways, mean over seeds and textures with 95% interval; better and worse where the paired interval of the
difference from the first column leaves out zero.</p>${tables}`,
  };
}

const compareDenoisers: Experiment<Parameters> = {
  name: 'compare-denoisers',
  question:
    'Which denoiser, conditioned how and sampled how, gives the best initial weights for a texture that nobody trained on, at equal budgets?',
  parameters: Parameters,

  async run(context, parameters) {
    const { denoisers, seeds } = parameters;
    check(parameters);
    const { diffusion, rollout } = parameters;
    await checkContenders([
      ...denoisers.map(denoiser => ({
        where: '',
        denoiser,
        parameters: parameters.parameters[denoiser],
        diffusion,
        rollout,
      })),
      ...Object.entries(parameters.variants).map(([name, changes]) => ({
        where: `variants.${name}`,
        diffusion,
        rollout,
        ...changes,
      })),
    ]);
    const encoders = Object.entries(parameters.encoders);
    const [first, encoder] = encoders[0];
    const several = encoders.length > 1;
    const ways = new Map<string, MethodResult[]>();
    const contenders: ContenderRecord[] = [];
    const draws: SamplingDraws[] = [];
    const nullModels: Method[] = [];
    const compete = async (protocol: Protocol, name: string) => {
      const found = await contest(context, protocol, several ? name : null, parameters);
      contenders.push(...found.contenders);
      // Measured beside the textures of the first study, whose held-out NCAs all have in common.
      draws.push(...found.draws);
      nullModels.push(
        ...found.baselines.map(one => (several ? { ...one, name: `${one.name}, ${name}` } : one)),
      );
      for (const [way, results] of found.ways) ways.set(way, [...(ways.get(way) ?? []), ...results]);
    };
    // The first encoder's study stays open: its baselines and pictures are the report's.
    await withProtocol(context, { ...parameters, encoder }, async protocol => {
      await compete(protocol, first);
      const further = await others(context, protocol, parameters);
      contenders.push(...further.contenders);
      for (const [name, other] of encoders.slice(1)) {
        await withProtocol(context, { ...parameters, encoder: other }, study => compete(study, name));
      }
      const results = [
        ...ways.get(PLAIN)!,
        ...further.results,
        ...(await protocol.measure(nullModels, 'run and measure the null model')),
        ...(await protocol.baselines(seeds[0])),
      ];
      const sets = await compareSets(context, protocol, results);
      await writeComparison(context, protocol, {
        experiment: compareDenoisers,
        parameters,
        results,
        contenders,
        draws,
        requireSampling: parameters.sampling.require,
        sections: [
          ...(sets ? [sets.section] : []),
          ...(ways.size > 1 ? [samplingSection(ways, protocol)] : []),
          await trainingSection(contenders),
        ],
        record: {
          ...(sets ? { sets: sets.record } : {}),
          samplings: Object.fromEntries([...ways].map(([way, found]) => [way, summarise(found)])),
        },
      });
    });
  },
};

export default compareDenoisers;
