/**
 * How much NCA training does a good start save? NCAs are fine-tuned on every held-out texture from random weights, from the zoo's common
 * base, from the nearest training NCA, from a ridge regression, and from an unconditional and a conditional sample of one denoiser, all
 * else being equal; what counts is how many iterations each takes to a given quality.
 */
import * as t from 'io-ts';
import { BASELINES, crossChosen, ORBIT_BASELINES, rowsChosen } from '../src/evaluation/index.ts';
import {
  type ContenderSampleOptions,
  checkContenders,
  FineTuningCodec,
  regressionTwin,
  tuneFrom,
  tuningRecord,
  tuningSections,
} from '../src/experiment/index.ts';
import {
  contestKeys,
  type Experiment,
  html,
  listOf,
  type MethodResult,
  type Protocol,
  positive,
  type RunContext,
  type Section,
  studyKeys,
  table,
  trainingSection,
  UserError,
  whole,
  withProtocol,
  writeComparison,
} from '../src/index.ts';
import { patchSlicedWasserstein } from '../src/nca/index.ts';
import { type Goal, goalTimes, type Tuning, type TuningCurve } from '../src/report/index.ts';

const { learningRate: _, ...tuningKeys } = FineTuningCodec.type.props;

const Parameters = t.strict({
  ...studyKeys,
  ...contestKeys,
  preset: t.string,
  seed: whole,
  denoiser: t.string,
  /** The denoiser's own parameters. */
  parameters: t.UnknownRecord,
  /** Baselines by name, `conditional sample` and `unconditional sample`. */
  starts: listOf(t.string),
  fineTuning: t.strict({
    ...tuningKeys,
    /** Checkpoints whose pictures are shown. */
    shown: listOf(whole),
    /** Several are tried on every start, and each texture takes the one that is best for that start on other textures. */
    learningRates: listOf(positive),
  }),
  /** Qualities to be reached: what these starts reach at the end, and so many times the patch distance of the texture's own NCA. */
  goals: t.strict({ endOf: t.array(t.string), timesOwn: t.array(positive) }),
  /** Starts that speed-ups are given against. */
  references: t.array(t.string),
});
type Parameters = t.TypeOf<typeof Parameters>;

/** Ways to sample the denoiser, by the name they have as starts. */
const SAMPLES: Record<string, ContenderSampleOptions> = {
  'conditional sample': {},
  'unconditional sample': { conditional: false },
};
/** The answer of the same denoiser trained as a regression, as a start. */
const REGRESSION = 'regression';

/** Refuses a configuration that could only fail after the denoiser is trained. */
function check({ fineTuning, goals, starts, references }: Parameters): void {
  const { checkpoints, shown, steps, size, pool, batch, loss } = fineTuning;
  const known = [
    ...Object.keys(SAMPLES),
    REGRESSION,
    ...Object.keys(BASELINES),
    ...Object.keys(ORBIT_BASELINES),
  ];
  const unknown = starts.find(start => !known.includes(start));
  if (unknown !== undefined)
    throw new UserError(`starts: expected some of ${known.join(', ')}, found "${unknown}".`);
  const rising = checkpoints.every((c, i) => (i === 0 ? c === 0 : c > checkpoints[i - 1]));
  if (!rising || checkpoints.length < 2) {
    throw new UserError(
      `fineTuning.checkpoints: expected rising whole numbers from 0, at least two, found [${checkpoints.join(', ')}].`,
    );
  }
  const stray = shown.find(checkpoint => !checkpoints.includes(checkpoint));
  if (stray !== undefined) throw new UserError(`fineTuning.shown: expected checkpoints, found ${stray}.`);
  if (steps[1] <= steps[0]) {
    throw new UserError(`fineTuning.steps: expected two rising whole numbers, found [${steps.join(', ')}].`);
  }
  // Throws for projections that the loss cannot take.
  patchSlicedWasserstein(loss);
  const coarsest = 2 ** (loss.scales - 1);
  if (size < coarsest) {
    throw new UserError(
      `fineTuning.size: expected at least ${coarsest} cells for ${loss.scales} scales, found ${size}.`,
    );
  }
  if (batch > pool)
    throw new UserError(`fineTuning.batch: expected at most the pool, ${pool}, found ${batch}.`);
  for (const [key, names] of Object.entries({ 'goals.endOf': goals.endOf, references })) {
    const missing = names.find(start => !starts.includes(start));
    if (missing !== undefined)
      throw new UserError(`${key}: expected some of the starts, found "${missing}".`);
  }
}

/** The measured starts by name: a zoo without a common base has no `base`, and clips forbid some colour maps. */
function chosenStarts(
  { starts }: Parameters,
  found: readonly MethodResult[],
  { say }: RunContext,
): MethodResult[] {
  return starts.flatMap(name => {
    const result = found.find(method => method.name === name);
    if (!result) say(`this zoo gives no baseline ${name}: that start is left out`);
    return result ?? [];
  });
}

/** A start at its best: for every texture the rate that is best on the others over all checkpoints. */
async function tune(
  context: RunContext,
  protocol: Protocol,
  start: MethodResult,
  parameters: Parameters,
): Promise<TuningCurve & { readonly rates: readonly number[] }> {
  const { learningRates, shown: _, ...fineTuning } = parameters.fineTuning;
  const curves: TuningCurve[] = [];
  for (const learningRate of learningRates)
    curves.push(await tuneFrom(context, protocol, start, { ...fineTuning, learningRate }));
  const [lead] = protocol.metrics;
  const choice = crossChosen(
    curves.map(({ results }) => {
      const later = results.slice(1).map(({ values }) => values[lead.name]);
      return later[0].map(
        (_, row) => later.reduce((sum, values) => sum + logarithm(values[row]), 0) / later.length,
      );
    }),
  );
  return {
    start: start.name,
    results: curves[0].results.map((_, i) =>
      rowsChosen(
        curves.map(({ results }) => results[i]),
        choice,
      ),
    ),
    skipped: choice.map((rate, row) => curves[rate].skipped[row]),
    seconds: curves.reduce((sum, { seconds }) => sum + seconds, 0) / curves.length,
    rates: [...choice].map(rate => learningRates[rate]),
  };
}

/** A rollout that ran away has no distance: as bad as e. */
const logarithm = (distance: number) => (Number.isFinite(distance) ? Math.log(Math.max(distance, 1e-6)) : 1);

/** How many textures took which rate; nothing where only one was tried. */
function ratesSection(
  curves: readonly { readonly start: string; readonly rates: readonly number[] }[],
  { fineTuning: { learningRates } }: Parameters,
): Section[] {
  if (learningRates.length < 2) return [];
  const rows = curves.map(({ start, rates }) => [
    start,
    ...learningRates.map(rate => `${rates.filter(taken => taken === rate).length}`),
  ]);
  return [
    {
      title: 'Learning rates',
      body: html`<p class="dim">Every start was fine-tuned at every rate, and each half of the textures shows the rate that is best for that start on the other half (least mean
logarithm of the leading distance over all checkpoints). Number of textures:</p>
${table(['start', ...learningRates.map(String)], rows)}`,
    },
  ];
}

/** Goals by the metric that leads, one distance a texture. */
function goalsOf({ goals }: Parameters, { curves, bound, checkpoints }: Tuning, metric: string): Goal[] {
  return [
    ...goals.endOf.flatMap(start => {
      const curve = curves.find(other => other.start === start);
      return curve
        ? [
            {
              label: `What the ${start} start reaches after ${checkpoints.at(-1)} iterations`,
              distances: curve.results.at(-1)!.values[metric],
            },
          ]
        : [];
    }),
    ...goals.timesOwn.map(factor => ({
      label: `${factor} times the distance of the texture's own NCA`,
      distances: bound.values[metric].map(distance => factor * distance),
    })),
  ];
}

const initialisation: Experiment<Parameters> = {
  name: 'initialisation',
  question:
    'How much training of a neural cellular automaton does a good start save: random weights, the common NCA, the nearest one of the training set, a regression, or the sample of a diffusion model?',
  parameters: Parameters,

  async run(context, parameters) {
    const { seed, denoiser, diffusion, training, rollout, sampling } = parameters;
    check(parameters);
    await checkContenders([{ where: '', denoiser, parameters: parameters.parameters, diffusion, rollout }]);
    await withProtocol(context, parameters, async protocol => {
      const baselines = await protocol.baselines(seed);
      const { contender, methods } = await protocol.contend(
        { denoiser, parameters: parameters.parameters, diffusion, training, rollout, sampling, seed },
        SAMPLES,
      );
      const contenders = [contender];
      if (parameters.starts.includes(REGRESSION)) {
        const twin = await protocol.contend(
          {
            denoiser,
            label: REGRESSION,
            parameters: parameters.parameters,
            diffusion: regressionTwin(diffusion),
            training,
            rollout,
            sampling,
            seed,
          },
          { [REGRESSION]: {} },
        );
        contenders.push(twin.contender);
        methods.push(...twin.methods);
      }
      const results = [...(await protocol.measure(methods)), ...baselines];
      const curves: Awaited<ReturnType<typeof tune>>[] = [];
      for (const start of chosenStarts(parameters, results, context)) {
        curves.push(await tune(context, protocol, start, parameters));
      }
      const { checkpoints, shown } = parameters.fineTuning;
      const tuning = { checkpoints, curves, bound: results.find(({ kind }) => kind === 'bound')! };
      const [lead] = protocol.metrics;
      const times = goalTimes(tuning, goalsOf(parameters, tuning, lead.name), parameters.references, lead);
      const { sections, galleries } = await tuningSections(tuning, times, protocol, shown);
      for (const [i, png] of galleries.entries()) context.run.write(`fine-tuning-${i + 1}.png`, png);
      await writeComparison(context, protocol, {
        experiment: initialisation,
        parameters,
        results,
        contenders,
        leading: [...sections, ...ratesSection(curves, parameters)],
        sections: [await trainingSection(contenders)],
        record: {
          fineTuning: {
            ...tuningRecord(tuning, times),
            learningRates: Object.fromEntries(curves.map(({ start, rates }) => [start, rates])),
          },
        },
      });
    });
  },
};

export default initialisation;
