/** A report on pictures of one's own: what a model makes of each beside everything simpler, how that grows, what fine-tuning it takes, and a verdict. */
import type { MethodResult, PairMetric } from '../evaluation/index.ts';
import { metricLabel } from './comparison-tables.ts';
import { bandChart } from './curve-chart.ts';
import { number } from './figures.ts';
import { renderGallery } from './gallery.ts';
import { type Html, html } from './html.ts';
import { type Cell, image, plots, type Section, table } from './page.ts';
import { costText, JUDGED, type Judged, type Quality, timesGoal, type Verdict } from './verdicts.ts';

/** What a report on pictures is made from. M pictures. */
export interface Photographs {
  /** [M] their names, and what there is to know of them, a sentence each. */
  readonly names: readonly string[];
  readonly notes: readonly (readonly string[])[];
  /** [M, size, size, 3] */
  readonly targets: Float32Array;
  readonly size: number;
  /** In the order they are shown. */
  readonly results: readonly MethodResult[];
  readonly metrics: readonly PairMetric[];
  readonly judged: Judged;
  readonly verdicts: readonly Verdict[];
  /** Pictures after some NCA steps: by method and step [M, size, size, 3]. */
  readonly growth: {
    readonly steps: readonly number[];
    readonly methods: readonly { readonly name: string; readonly pictures: readonly Float32Array[] }[];
  };
  /** Seconds that the NCA of a picture took to train, and a sample to draw. */
  readonly seconds: { readonly own: number; readonly sample: number };
  /** Iterations of those trainings. */
  readonly ownIterations: number;
}

/** What is asked for, in words. */
const qualityText = ({ timesOwn, least }: Quality) =>
  `patch distance and structure both within ${number(timesOwn)} times those of an NCA that was trained for the picture as the zoo's were, or below ${number(least)}, where the eye sees no difference`;

/** Below the pictures: both distances, and how they stand to what is asked for. */
export function captionsOf({
  names,
  results,
  judged,
}: Pick<Photographs, 'names' | 'results' | 'judged'>): string[][] {
  const scores = results.map(result => timesGoal(result, judged.tuning.bound, judged.quality));
  return names.map((_, i) => [
    'patch structure, times the goal',
    ...results.map(({ values }, m) => {
      const [patch, structure] = JUDGED.map(metric => number(Number(values[metric][i].toPrecision(2))));
      return `${patch} ${structure}, ${scores[m][i] <= 1 ? 'good' : `${scores[m][i].toFixed(1)} x`}`;
    }),
  ]);
}

function verdictSection({ names, judged, verdicts, seconds, ownIterations }: Photographs): Section {
  const { tuning, quality, samples } = judged;
  const starts = tuning.curves.map(({ start }) => start);
  const last = tuning.checkpoints.at(-1)!;
  const rows = names.map((name, i) => [
    name,
    { text: verdicts[i].verdict, best: verdicts[i].verdict === 'works' },
    verdicts[i].short,
    ...(samples.length > 1 ? [`${verdicts[i].reached} of ${samples.length}`] : []),
    ...starts.map((_, s) => costText(verdicts[i].costs[s])),
  ]);
  return {
    title: 'Verdicts',
    body: html`<ul>${names.map((name, i) => html`<li><b>${name}</b> ${verdicts[i].sentence}</li>`)}</ul>
${table(
  [
    'picture',
    'verdict',
    'quality reached',
    ...(samples.length > 1 ? ['samples that have it'] : []),
    ...starts.map(start => `iterations from ${start}`),
  ],
  rows,
)}
<p class="dim">How the verdict is made. The quality asked for: ${qualityText(quality)}. <i>Works</i>: the model's answer has it without any fine-tuning. <i>Needs fine-tuning</i>: its best start gets there
within ${last} iterations; between two of the iterations that were measured the logarithm of the distance is taken to fall evenly. <i>Does not work</i>: none of its starts does, or not even the NCA trained for the
picture shows it. Seconds are those of this machine, of one NCA among the ${names.length} that trained side by side. Training an NCA for a picture (${ownIterations} iterations, as the zoo's) took ${number(Number(seconds.own.toPrecision(2)))} s, drawing a
sample ${number(Number(seconds.sample.toPrecision(2)))} s.</p>`,
  };
}

/** Methods by distances, for one picture. */
function methodTable({ results, metrics, judged }: Photographs, i: number): Html {
  const shown = [...JUDGED.flatMap(name => metrics.filter(metric => metric.name === name)), metrics[0]];
  const rows = results.map((result): (string | Cell)[] => {
    const times = timesGoal(result, judged.tuning.bound, judged.quality)[i];
    return [
      result.kind === 'bound' ? `${result.name} (bound)` : result.name,
      { text: `${times.toFixed(2)}`, best: times <= 1 },
      ...shown.map(({ name }) => number(result.values[name][i])),
      result.health[i] === 'sound' ? '' : result.health[i],
    ];
  });
  return table(
    ['method', 'times the goal ↓', ...shown.map(({ name }) => `${metricLabel(name)} ↓`), ''],
    rows,
  );
}

const tuningChart = ({ judged: { tuning, quality } }: Photographs, i: number): Promise<string> =>
  bandChart({
    x: 'iterations of fine-tuning',
    y: 'times the goal ↓',
    logY: true,
    level: { y: 1, label: 'the quality asked for' },
    points: tuning.curves.flatMap(({ start, results }) =>
      results.map((result, c) => {
        const mean = timesGoal(result, tuning.bound, quality)[i];
        return { series: start, x: tuning.checkpoints[c], mean, low: mean, high: mean };
      }),
    ),
  });

async function pictureSection(photographs: Photographs, i: number): Promise<Section> {
  const { names, notes, growth, size, verdicts } = photographs;
  const each = size * size * 3;
  const frames = await renderGallery({
    columns: growth.steps.map(step => `${step} steps`),
    rows: growth.methods.map(({ name }) => name),
    cells: growth.methods.map(({ pictures }) =>
      pictures.map(all => ({
        width: size,
        height: size,
        data: all.subarray(i * each, (i + 1) * each),
      })),
    ),
  });
  return {
    title: `${names[i]}: ${verdicts[i].verdict}`,
    body: html`<p><b>${names[i]}</b> ${verdicts[i].sentence}</p>${notes[i].map(note => html`<p class="dim">${note}</p>`)}
${methodTable(photographs, i)}
${plots(await tuningChart(photographs, i))}
${image(frames, `${names[i]} as it grows; the last column is four times as long as the picture that is measured: does it hold?`)}`,
  };
}

/** All sections. @param gallery target and methods, with `captionsOf` below them  @param over tiles that grow, to lie on it */
export async function photographSections(
  photographs: Photographs,
  gallery: Uint8Array,
  over: Html,
): Promise<Section[]> {
  return [
    verdictSection(photographs),
    {
      title: 'Side by side',
      body: html`<p class="dim">Below each picture its patch distance and its structure (the same with the mean colour removed), in brightness from 0 to 1, and how many times the distance asked for that is, by the worse of
both. A click on a tile grows that NCA in its place.</p>
${image(gallery, 'the picture, what the model gives, what is simpler, and an NCA trained for it', { over })}`,
    },
    ...(await Promise.all(photographs.names.map((_, i) => pictureSection(photographs, i)))),
  ];
}
