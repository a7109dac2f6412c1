/** A report on pictures of one's own: what a model makes of each beside everything simpler, how that grows, what fine-tuning it takes, and a verdict. */
import type { MethodResult, PairMetric } from '../evaluation/index.ts';
import { metricLabel } from './comparison-tables.ts';
import { bandChart } from './curve-chart.ts';
import { number } from './figures.ts';
import { comparisonGallery, renderGallery } from './gallery.ts';
import { type Html, html } from './html.ts';
import { type Cell, image, plots, type Section, table } from './page.ts';
import {
  costText,
  JUDGED,
  type Judged,
  type Quality,
  startName,
  timesGoal,
  type Verdict,
} from './verdicts.ts';

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
    readonly methods: readonly (Pick<MethodResult, 'name' | 'kind'> & {
      readonly pictures: readonly Float32Array[];
    })[];
  };
  /** Seconds that the NCA of a picture took to train, and a sample to draw. */
  readonly seconds: { readonly own: number; readonly sample: number };
  /** Iterations of those trainings. */
  readonly ownIterations: number;
  /** Pictures that could not be read, and why. */
  readonly leftOut: readonly string[];
}

/** What is asked for, in words. */
const qualityText = ({ timesOwn, least }: Quality) =>
  `patch distance and structure both within ${number(timesOwn)} times those of an NCA that was trained for the picture as the zoo's were, or below ${number(least)}`;

const shownName = ({ name, kind }: Pick<MethodResult, 'name' | 'kind'>) =>
  kind === 'bound' ? 'NCA trained for it' : startName(name);

/** Two figures that are not exact to the third. */
const rough = (x: number) => number(Number(x.toPrecision(2)));

/** Target and methods with their distances below them, as a PNG. */
export function photographGallery({
  names,
  results,
  judged,
  targets,
  size,
}: Photographs): Promise<Uint8Array> {
  const scores = results.map(result => timesGoal(result, judged.tuning.bound, judged.quality));
  const captions = names.map((_, i) => [
    ['', ''] as const,
    ...results.map(({ values, kind }, m) => {
      const distances = JUDGED.map(metric => rough(values[metric][i])).join(' / ');
      const times = scores[m][i] <= 1 ? 'good' : `${scores[m][i].toFixed(1)} x`;
      return [distances, kind === 'bound' ? 'what can be had' : times] as const;
    }),
  ]);
  return comparisonGallery(
    { names, targets: { data: targets, size } },
    results.map(result => ({ ...result, name: shownName(result) })),
    size,
    'What each method grows. Below: patch distance / structure (lower is better), and how many times as far as asked for',
    captions,
  );
}

function verdictSection({ names, judged, verdicts, seconds, ownIterations, leftOut }: Photographs): Section {
  const { tuning, quality, samples } = judged;
  const last = tuning.checkpoints.at(-1)!;
  const rows: (string | Cell)[][] = [
    ['verdict', ...verdicts.map(({ verdict }) => ({ text: verdict, best: verdict === 'works' }))],
    ...(samples.length > 1
      ? [['samples that are good', ...verdicts.map(({ reached }) => `${reached} of ${samples.length}`)]]
      : []),
    ...tuning.curves.map(({ start }, s) => [
      `from ${startName(start)}`,
      ...verdicts.map(({ costs }) => costText(costs[s])),
    ]),
    ['an NCA trained for it', ...names.map(() => `${ownIterations} (${rough(seconds.own)} s)`)],
  ];
  return {
    title: 'Verdicts',
    body: html`<ul>${names.map((name, i) => html`<li><b>${name}</b> ${verdicts[i].sentence}</li>`)}</ul>${leftOut.length > 0 ? html`<p>Left out: ${leftOut.join('; ')}.</p>` : ''}
<p class="dim">Iterations of fine-tuning until the quality is there and stays, from every start, and their seconds:</p>
${table(['', ...names], rows)}
<p class="dim">How the verdict is made. The quality asked for: ${qualityText(quality)}. <i>Works</i>: an answer of the model has it without any fine-tuning. <i>Needs fine-tuning</i>: its best start gets there
within ${last} iterations and stays; between two of the iterations that were measured the logarithm of the distance is taken to fall evenly. <i>Does not work</i>: none of its starts does, or the NCA trained for the
picture shows it worse than ${rough(100 * quality.worst)} % of the zoo's NCAs show theirs. Both distances compare patches of a few cells: order over longer ways (a chequered floor, bricks in rows) is not in them. So look at <i>NCA trained for it</i>
below: where that is not what you want, no fine-tuning will give it, and a zoo of larger NCAs is needed (configs/zoo/photographs.yaml).</p>
<p class="dim">Seconds are those of this machine${names.length > 1 ? `, of one NCA among the ${names.length} that trained side by side` : ''}. Training an NCA for a picture from the zoo's start (${ownIterations} iterations) took ${rough(seconds.own)} s, drawing a
sample ${rough(seconds.sample)} s.</p>`,
  };
}

/** Short names of the distances that everything goes by. */
const HEADS: Readonly<Record<string, string>> = {
  [JUDGED[0]]: 'patch distance',
  [JUDGED[1]]: 'structure',
};

/** What the columns are, for people who know nothing of weight space. */
const columnsText = ({ judged: { samples, tuning } }: Photographs): Html => html`<ul class="dim">
<li><b>target</b>: the picture as an NCA is to show it, a pixel for every cell.</li>
<li><b>NCA trained for it</b>, as the zoo's NCAs were for theirs: what can be had.</li>
${
  samples.length > 1
    ? html`<li><b>samples</b>: weights that the model draws for the picture. <b>Mean of ${samples.length} samples</b>: the mean of those weights. <b>One-step answer</b>: its guess from noise alone, in one step.</li>`
    : html`<li><b>${samples[0].name}</b>: the weights that the model answers with.</li>`
}
<li><b>${samples[0].name}, ${tuning.checkpoints.at(-1)} iterations</b>: the same after that much fine-tuning on the picture.</li>
<li><b>nearest of the zoo</b>: the NCA of the training picture that is most like it; <b>recoloured</b>: the most like it after turns, mirrors and exchanged colours, brought back the same way.</li>
<li><b>ridge regression</b>: a linear map from what the encoder sees to weights. <b>The zoo’s base</b>: the NCA that all of the zoo were fine-tuned from.</li></ul>`;

/** Methods by distances, for one picture. */
function methodTable({ results, metrics, judged }: Photographs, i: number): Html {
  const shown = [...JUDGED.flatMap(name => metrics.filter(metric => metric.name === name)), metrics[0]];
  const rows = results.map((result): (string | Cell)[] => {
    const times = timesGoal(result, judged.tuning.bound, judged.quality)[i];
    return [
      shownName(result),
      { text: `${times.toFixed(2)}`, best: times <= 1 },
      ...shown.map(({ name }) => number(result.values[name][i])),
      result.health[i] === 'sound' ? '' : result.health[i],
    ];
  });
  return table(
    ['method', 'times the goal ↓', ...shown.map(({ name }) => `${HEADS[name] ?? metricLabel(name)} ↓`), ''],
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
        return { series: startName(start), x: tuning.checkpoints[c], mean, low: mean, high: mean };
      }),
    ),
  });

async function pictureSection(photographs: Photographs, i: number): Promise<Section> {
  const { names, notes, growth, size, verdicts } = photographs;
  const each = size * size * 3;
  const frames = await renderGallery({
    columns: growth.steps.map(step => `${step} steps`),
    rows: growth.methods.map(shownName),
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

/** All sections. @param gallery by `photographGallery`  @param over tiles that grow, to lie on it */
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
both; <i>good</i> where it has the quality. A click on a tile grows that NCA in its place.</p>
${columnsText(photographs)}
${image(gallery, 'the picture, what the model gives, what is simpler, and an NCA trained for it', { over })}`,
    },
    ...(await Promise.all(photographs.names.map((_, i) => pictureSection(photographs, i)))),
  ];
}
