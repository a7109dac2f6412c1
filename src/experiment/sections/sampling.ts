/** Does each model sample, and what are its samples worth? Measures of K samples a texture, as a section of a report, a record and sentences. */
import { UserError } from '../../config/index.ts';
import { fitNormaliser } from '../../diffusion/index.ts';
import {
  bestOf,
  comparePairs,
  distinctRows,
  energyScores,
  type Interval,
  meanInterval,
  meanOfSamples,
  type PairedDifference,
  pairedDifference,
  renderWeights,
  spreadToError,
  textureFeaturesOf,
} from '../../evaluation/index.ts';
import { weightCount } from '../../nca/index.ts';
import { html, intervalText, number, type Section, table } from '../../report/index.ts';
import { tf } from '../../tensor/index.ts';
import type { SamplingDraws } from '../draws.ts';
import type { RunContext } from '../experiment.ts';
import type { Protocol } from '../protocol.ts';

/** What was measured of one model's draws. Intervals are over textures. */
export interface SamplingMeasures {
  readonly label: string;
  readonly kind: SamplingDraws['kind'];
  /** K, samples a texture. */
  readonly count: number;
  /** 1 where samples spread as the truth does about their mean; null for a single answer. */
  readonly spreadToError: number | null;
  /** Energy score in weights, in standard deviations of the training set, and in texture statistics; lower is better. */
  readonly energyWeights: Interval;
  readonly energyPictures: Interval;
  /** Energy scores less those of other models of the same denoiser, paired by texture: below zero is better than they. */
  readonly against: readonly EnergyDifference[];
  /** By metric: one sample; one step from noise; the mean of K; the best of K, chosen by the other metric under other masks. */
  readonly single: Readonly<Record<string, Interval>>;
  readonly oneStep: Readonly<Record<string, Interval>> | null;
  readonly meanOfK: Readonly<Record<string, Interval>> | null;
  readonly bestOfK: Readonly<Record<string, Interval>> | null;
  /** Different NCAs among the unconditional samples, and how many these were. */
  readonly distinct: { readonly found: number; readonly of: number } | null;
  readonly bins: SamplingDraws['bins'];
  readonly samples: boolean;
  readonly sentence: string;
}

/** A difference of energy scores from another model's. */
export interface EnergyDifference {
  /** The other model. */
  readonly label: string;
  readonly kind: SamplingDraws['kind'];
  readonly weights: PairedDifference;
  readonly pictures: PairedDifference;
}

/** Rows nearer than a tenth of a standard deviation are one NCA. */
const SAME = 0.1;
/** The ratio of spread and error within which a model counts as sampling. */
const RATIO = [0.7, 1.3] as const;

/** Measures all draws with the same masks; the first two metrics that are not of the condition are shown. */
export async function measureSampling(
  context: RunContext,
  protocol: Protocol,
  draws: readonly SamplingDraws[],
): Promise<SamplingMeasures[]> {
  const { study, ncaSteps } = protocol;
  const { signal } = context;
  const { spec, heldOut, train, size } = study;
  const metrics = protocol.metrics.filter(({ name }) => name === 'texture-statistics' || name === 'patch-sw');
  const width = weightCount(spec);
  const normaliser = fitNormaliser(spec, train.weights, { sigmaData: 1 });
  const truth = normaliser.normalise(heldOut.weights);
  const count = heldOut.names.length;
  const statistics = await textureFeaturesOf(heldOut.pictures, signal);
  const bar = context.progress('measure samples', draws.length);
  const measured: SamplingMeasures[] = [];
  const energies = new Map<SamplingDraws, { weights: Float64Array; pictures: Float64Array }>();
  try {
    for (const draw of draws) {
      const normalised = draw.samples.map(sample => normaliser.normalise(sample));
      const valuesOf = async (weights: Float32Array, seed: number) => {
        const { pictures } = await renderWeights(spec, weights, { steps: ncaSteps, size, seed, signal });
        const shown = tf.tensor4d(pictures, [count, size, size, 3]);
        try {
          const values = await comparePairs(metrics, shown, heldOut.pictures, { signal });
          return { values, features: await textureFeaturesOf(shown, signal) };
        } finally {
          shown.dispose();
        }
      };
      // How far a draw is goes by what is grown of it: every sample twice, one step and the mean once.
      const parts = 2 * draw.samples.length;
      const tell = (done: number) => bar.update(measured.length + Math.min(1, done / parts));
      const first: Awaited<ReturnType<typeof valuesOf>>[] = [];
      const second: Record<string, Float64Array>[] = [];
      for (const sample of draw.samples) {
        first.push(await valuesOf(sample, CHOICE));
        tell(2 * first.length - 1);
        second.push((await valuesOf(sample, MEASURE)).values);
        tell(2 * first.length);
      }
      const intervals = (values: Readonly<Record<string, Float64Array>>) =>
        Object.fromEntries(Object.entries(values).map(([name, numbers]) => [name, meanInterval(numbers)]));
      const other = (name: string) => metrics.find(metric => metric.name !== name)?.name ?? name;
      const many = draw.samples.length > 1;
      const ratio = many ? spreadToError(normalised, truth).ratio : null;
      const weights = energyScores(normalised, truth, width);
      const pictures = energyScores(
        first.map(({ features }) => features),
        statistics,
        statistics.length / count,
      );
      energies.set(draw, { weights, pictures });
      const alone = draw.oneStep && energyScores([normaliser.normalise(draw.oneStep)], truth, width);
      const samples =
        ratio !== null && ratio >= RATIO[0] && ratio <= RATIO[1] && (!alone || mean(weights) < mean(alone));
      measured.push({
        label: draw.label,
        kind: draw.kind,
        count: draw.samples.length,
        spreadToError: ratio,
        energyWeights: meanInterval(weights),
        energyPictures: meanInterval(pictures),
        against: [],
        single: intervals(second[0]),
        oneStep: draw.oneStep && intervals((await valuesOf(draw.oneStep, MEASURE)).values),
        meanOfK: many ? intervals((await valuesOf(meanOfSamples(draw.samples), MEASURE)).values) : null,
        bestOfK: many
          ? intervals(
              Object.fromEntries(
                metrics.map(({ name }) => [
                  name,
                  bestOf(
                    first.map(({ values }) => values[other(name)]),
                    second.map(values => values[name]),
                  ),
                ]),
              ),
            )
          : null,
        distinct: draw.unconditional && {
          found: distinctRows(normaliser.normalise(draw.unconditional), width, SAME),
          of: draw.unconditional.length / width,
        },
        bins: draw.bins,
        samples,
        sentence: sentenceOf(draw, ratio, samples),
      });
      bar.update(measured.length);
    }
  } finally {
    bar.stop();
  }
  return measured.map((one, i) =>
    one.kind === 'diffusion' ? { ...one, against: rivals(draws, i, energies) } : one,
  );
}

/** A model's energy scores beside those of the null model and of the regression by the same denoiser. */
function rivals(
  draws: readonly SamplingDraws[],
  own: number,
  energies: ReadonlyMap<SamplingDraws, { weights: Float64Array; pictures: Float64Array }>,
): EnergyDifference[] {
  const mine = energies.get(draws[own])!;
  return draws
    .filter(
      ({ kind, denoiser }) =>
        kind === 'null model' || (kind === 'regression' && denoiser === draws[own].denoiser),
    )
    .map(draw => {
      const other = energies.get(draw)!;
      return {
        label: draw.label,
        kind: draw.kind,
        weights: pairedDifference(mine.weights, other.weights),
        pictures: pairedDifference(mine.pictures, other.pictures),
      };
    });
}

/** Mask seeds of the pictures that a best sample is chosen by, and of those that it is measured by. */
const CHOICE = 5001;
const MEASURE = 5002;

const mean = (values: Float64Array) => values.reduce((sum, x) => sum + x, 0) / values.length;

function sentenceOf(
  { label, kind, samples: { length } }: SamplingDraws,
  ratio: number | null,
  samples: boolean,
): string {
  if (kind === 'regression') return `${label} is a regression: one answer for a texture, whatever the noise.`;
  const spread = `${length} samples of a texture spread ${number(ratio ?? 0)} times as far as the truth lies from their mean`;
  return samples
    ? `${label} samples: ${spread}, and they score better as a distribution than its one-step answer.`
    : `${label} does not sample: ${spread}${ratio !== null && ratio >= RATIO[0] && ratio <= RATIO[1] ? ', but as a distribution they score no better than its one-step answer' : ` (${RATIO[0]} to ${RATIO[1]} would do)`}.`;
}

const METRIC_HEADS: Readonly<Record<string, string>> = {
  'texture-statistics': 'statistics',
  'patch-sw': 'patch distance',
};

/** The measures as a section: a table, the denoising losses by noise level, and a sentence for each model. */
export function samplingSection(measured: readonly SamplingMeasures[]): Section {
  const text = (interval: Interval | undefined) => (interval ? intervalText(interval) : '');
  const metrics = Object.keys(measured[0]?.single ?? {});
  const ways = [
    ['one sample', 'single'],
    ['one step', 'oneStep'],
    ['mean of K', 'meanOfK'],
    ['best of K', 'bestOfK'],
  ] as const;
  const rows = measured.map(one => [
    one.label,
    `${one.count}`,
    one.spreadToError === null ? '' : number(one.spreadToError),
    text(one.energyWeights),
    text(one.energyPictures),
    one.distinct ? `${one.distinct.found} of ${one.distinct.of}` : '',
    one.bins
      ? `${one.bins.filter(({ loss, nullLoss }) => loss < nullLoss).length} of ${one.bins.length}`
      : '',
  ]);
  const pictures = metrics.map(
    name =>
      html`<h3>${METRIC_HEADS[name] ?? name}</h3>${table(
        ['model', ...ways.map(([head]) => head)],
        measured.map(one => [one.label, ...ways.map(([, key]) => text(one[key]?.[name]))]),
      )}`,
  );
  const compared = measured.flatMap(({ label, against }) => against.map(other => [label, other] as const));
  const differences =
    compared.length === 0
      ? null
      : html`<h3>energy scores beside those of others, paired by texture: below zero is better</h3>${table(
          ['model', 'less', 'weights', 'statistics'],
          compared.map(([label, other]) => [
            label,
            other.label,
            ...[other.weights, other.pictures].map(difference => ({
              text: intervalText(difference),
              best: difference.significant && difference.mean < 0,
            })),
          ]),
        )}`;
  const bins = measured.filter(one => one.bins);
  const levels = bins[0]?.bins?.map(({ level }) => number(level)) ?? [];
  const byBin =
    bins.length === 0
      ? null
      : html`<h3>denoising error by noise level, beside the null model's on the same noise</h3>${table(
          ['model', ...levels.map(level => `σ ${level}`)],
          bins.map(one => [
            one.label,
            ...one.bins!.map(({ loss, nullLoss }) => ({
              text: `${number(loss)} / ${number(nullLoss)}`,
              best: loss < nullLoss,
            })),
          ]),
        )}`;
  return {
    title: 'Samples that are samples',
    body: html`<p>${measured.map(({ sentence }) => html`${sentence}<br>`)}</p>
<p class="dim">Spread to error: the distance between two samples of one texture over that of the truth from the mean of K, 1 for draws of the truth's own distribution. Energy score: lower is
better, and a proper score; in weights (standard deviations of the training set) and in texture statistics, which neither training nor condition has seen. Different: NCAs among samples
without condition that are more than ${SAME} deviations apart. Below null: noise levels at which the denoising error is below that of ridge regression with Gaussian residuals.
Best of K is chosen by one metric under one set of masks and measured by the other under another.</p>
${table(
  [
    'model',
    'K',
    'spread to error',
    'energy score, weights',
    'energy score, statistics',
    'different, unconditional',
    'below null',
  ],
  rows,
)}${differences}${pictures}${byBin}`,
  };
}

/** @throws UserError naming the models that do not sample */
export function requireSamplers(measured: readonly SamplingMeasures[]): void {
  const failed = measured.filter(({ kind, samples }) => kind === 'diffusion' && !samples);
  if (failed.length > 0)
    throw new UserError(`requireSampling: ${failed.map(({ sentence }) => sentence).join(' ')}`);
}
