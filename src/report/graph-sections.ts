/** The parameter graphs of many NCAs as sections of a report: what they consist of, figures by texture, a few of them drawn. */
import sharp from 'sharp';
import { buildGraph, ncaNetwork, ncaPicture, type ParameterGraph, toSvg } from '../../graphs/index.ts';
import {
  type Association,
  correlationRatio,
  GRAPH_FIGURES,
  type GraphFigure,
  graphFigures,
  meanInterval,
  quantile,
  typeCounts,
} from '../evaluation/index.ts';
import type { Picture } from '../formats/index.ts';
import { pictureBytes } from '../formats/index.ts';
import { actOnWeights, balancing, blockOf, FILTERS, type NcaSpec, weightCount } from '../nca/index.ts';
import { lineChart, stripChart } from './charts.ts';
import { intervalText, number } from './figures.ts';
import { type Html, html } from './html.ts';
import { image, plots, type Section, sideBySide, table } from './page.ts';
import { csvTable } from './plain-tables.ts';

/** NCAs that are studied. */
export interface StudiedNcas {
  readonly spec: NcaSpec;
  readonly names: readonly string[];
  /** What kind of texture each is of. */
  readonly families: readonly string[];
  /** [n * D] */
  readonly weights: Float32Array;
  readonly pictures: readonly Picture[];
  /** [D], the NCA they were all fine-tuned from, if there is one. */
  readonly base: Float32Array | null;
}

/** The parameter graph of each, hidden units balanced: their scale is a symmetry and says nothing. */
function* balancedGraphs({ spec, weights }: StudiedNcas): Generator<ParameterGraph> {
  const size = weightCount(spec);
  const network = ncaNetwork(spec);
  for (let n = 0; n * size < weights.length; n++) {
    const flat = Float64Array.from(weights.subarray(n * size, (n + 1) * size));
    yield buildGraph(network, Float32Array.from(actOnWeights(spec, balancing(spec, flat), flat)));
  }
}

/** Named groups of weights: each filter's part of w1, b1, w2 for the picture and for the rest(, b2). */
function weightGroups(spec: NcaSpec): Record<string, (flat: Float32Array) => Float32Array> {
  const picture = 3 * spec.hidden;
  return {
    ...Object.fromEntries(
      FILTERS.map((filter, f) => [
        `w1 ${filter}`,
        (flat: Float32Array) => blockOf(spec, flat, 'w1').filter((_, i) => i % FILTERS.length === f),
      ]),
    ),
    b1: flat => blockOf(spec, flat, 'b1'),
    'w2 colours': flat => blockOf(spec, flat, 'w2').subarray(0, picture),
    'w2 latents': flat => blockOf(spec, flat, 'w2').subarray(picture),
    ...(spec.outputBias && { b2: (flat: Float32Array) => blockOf(spec, flat, 'b2') }),
  };
}

interface Distribution {
  readonly mean: number;
  readonly std: number;
  /** Fourth moment over the square of the second, less the 3 of a normal distribution. */
  readonly excessKurtosis: number;
  /** 1%, 25%, 50%, 75%, 99%. */
  readonly quantiles: readonly number[];
}

function distributionOf(values: Float64Array): Distribution {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const moment = (k: number) => values.reduce((sum, x) => sum + (x - mean) ** k, 0) / values.length;
  const variance = moment(2);
  const sorted = values.slice().sort();
  return {
    mean,
    std: Math.sqrt(variance),
    excessKurtosis: variance > 0 ? moment(4) / variance ** 2 - 3 : 0,
    quantiles: [0.01, 0.25, 0.5, 0.75, 0.99].map(p => quantile(sorted, p)),
  };
}

/** Bins of the density over -4 ... 4 standard deviations. */
const BINS = 40;
const REACH = 4;

/** Density of values over their own standard deviation. */
function density(values: Float64Array, { mean, std }: Distribution): { x: number; y: number }[] {
  const counts = new Float64Array(BINS);
  for (const value of values) {
    const bin = Math.floor((((value - mean) / std + REACH) / (2 * REACH)) * BINS);
    if (bin >= 0 && bin < BINS) counts[bin]++;
  }
  const width = (2 * REACH) / BINS;
  return Array.from(counts, (count, bin) => ({
    x: -REACH + (bin + 0.5) * width,
    y: count / values.length / width,
  })).filter(({ y }) => y > 0);
}

/** Weights as they stand, over all NCAs. */
export async function weightSection(
  ncas: StudiedNcas,
): Promise<{ section: Section; record: Record<string, Distribution> }> {
  const { spec, weights } = ncas;
  const size = weightCount(spec);
  const count = weights.length / size;
  const groups = Object.entries(weightGroups(spec)).map(([name, part]) => {
    const parts = Array.from({ length: count }, (_, n) => part(weights.subarray(n * size, (n + 1) * size)));
    const values = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const each of parts) {
      values.set(each, at);
      at += each.length;
    }
    return { name, values, distribution: distributionOf(values) };
  });
  const chart = lineChart({
    x: 'weight, in standard deviations of its kind',
    y: 'density',
    logY: true,
    points: groups
      .filter(({ distribution }) => distribution.std > 0)
      .flatMap(({ name, values, distribution }) =>
        density(values, distribution).map(point => ({ series: name, ...point })),
      ),
  });
  return {
    section: {
      title: 'Weights',
      body: html`<p class="dim">All ${count} NCAs together, weights as they stand. A normal distribution has excess kurtosis 0, and is a parabola in the plot; above it are
heavier tails.</p>${table(
        ['weights', 'mean', 'deviation', '1%', '25%', '50%', '75%', '99%', 'excess kurtosis'],
        groups.map(({ name, distribution: { mean, std, excessKurtosis, quantiles } }) => [
          name,
          ...[mean, std, ...quantiles, excessKurtosis].map(value => signed(value)),
        ]),
      )}${plots(await chart)}`,
    },
    record: Object.fromEntries(groups.map(({ name, distribution }) => [name, distribution])),
  };
}

/** Minus signs as wide as figures; rounding noise is zero. */
const signed = (value: number) => number(Math.abs(value) < 5e-5 ? 0 : value).replace('-', '−');
const probability = (p: number) => (p < 0.001 ? p.toExponential(0) : number(p));

/** What graphs consist of, and figures of each with what the texture has to do with them. */
export async function figureSection(
  ncas: StudiedNcas,
  permutations: number,
  onProgress: (done: number) => void,
): Promise<{ section: Section; record: Record<string, unknown> }> {
  const { spec, families, names } = ncas;
  const figures: Record<GraphFigure, number>[] = [];
  let counts: ReturnType<typeof typeCounts> | undefined;
  for (const graph of balancedGraphs(ncas)) {
    counts ??= typeCounts(graph);
    figures.push(graphFigures(spec, graph));
    onProgress(figures.length);
  }
  const known = Object.keys(GRAPH_FIGURES) as GraphFigure[];
  const kinds = new Set(families).size;
  const found = known.map(figure => {
    const values = figures.map(each => each[figure]);
    const association: Association | null =
      kinds > 1 && kinds < names.length ? correlationRatio(values, families, { permutations }) : null;
    return { figure, values, interval: meanInterval(values), association };
  });
  const most = found.reduce((a, b) => ((b.association?.value ?? 0) > (a.association?.value ?? 0) ? b : a));
  const list = (tally: Record<string, number>) =>
    Object.entries(tally)
      .map(([type, count]) => `${count.toLocaleString('en')} ${type}`)
      .join(', ');
  const chart = stripChart({
    x: most.figure,
    zero: false,
    points: [...families.keys()]
      .sort((a, b) => families[a].localeCompare(families[b]))
      .map(i => ({ group: families[i], x: most.values[i] })),
  });
  return {
    section: {
      title: 'Parameter graphs',
      body: html`<p>The parameter graph of a ${spec.name} NCA has a node for every input, hidden unit, bias and channel (${list(counts!.nodes)}) and an edge for every weight
(${list(counts!.edges)}). The strength of a node is the sum of |weight| over its edges.</p>
<p class="dim">Mean over NCAs with 95% interval. η² is the share of a figure's variance that lies between the ${kinds} kinds of texture; chance and p come from
${permutations} permutations of the labels. Hidden units are balanced first (arriving and leaving weights of one norm).</p>
${table(
  ['figure', 'mean', 'deviation', 'η²', 'by chance', 'p'],
  found.map(({ figure, interval, association }) => [
    figure,
    intervalText(interval),
    number(interval.std),
    ...(association
      ? [number(association.value), number(association.chance), probability(association.p)]
      : ['', '', '']),
  ]),
)}
<details><summary>what the figures are</summary><ul>${known.map(figure => html`<li>${figure}: ${GRAPH_FIGURES[figure]}</li>`)}</ul></details>
${most.association ? html`<p>What depends most on the kind of texture: ${most.figure}.</p>${plots(await chart)}` : null}`,
    },
    record: {
      ...counts!,
      figures: Object.fromEntries(
        found.map(({ figure, interval, association, values }) => [
          figure,
          { ...interval, association, values },
        ]),
      ),
    },
  };
}

/** Size of a drawing, and of the picture in its corner. */
const DRAWN = { width: 860, height: 660 };
const GROWN = 104;

/** The weights of a graph as CSV. */
const edgesCsv = (graph: ParameterGraph): string =>
  csvTable(
    ['source', 'target', 'weight'],
    graph.mapEdges((_, { weight }, source, target) => [source, target, Number(weight.toPrecision(6))]),
  );

/** A graph as an SVG, and as a PNG with what its NCA grows in a corner. */
async function drawGraph(
  spec: NcaSpec,
  graph: ParameterGraph,
  title: string,
  { width, height, data }: Picture,
) {
  const svg = toSvg(graph, { ...ncaPicture(spec), ...DRAWN, title });
  const grown = await sharp(pictureBytes(data), { raw: { width, height, channels: 3 } })
    .resize(GROWN, GROWN, { kernel: width < GROWN ? 'nearest' : 'lanczos3' })
    .png()
    .toBuffer();
  const png = await sharp(Buffer.from(svg))
    .composite([{ input: grown, left: DRAWN.width - GROWN - 28, top: DRAWN.height - GROWN - 48 }])
    .png({ palette: true })
    .toBuffer();
  return { svg, png };
}

/**
 * A few graphs drawn, each with what its NCA grows: the first of every kind of texture. Where all were fine-tuned from one NCA, also
 * what that changed: the graphs themselves then look much alike.
 */
export async function drawnSection(
  ncas: StudiedNcas,
  count: number,
): Promise<{ section: Section; files: Record<string, string> }> {
  const { spec, families, names, pictures, weights, base } = ncas;
  const size = weightCount(spec);
  const firsts = [...new Set(families)].map(family => families.indexOf(family));
  // Where there are few kinds, further ones of them.
  const rows = [...new Set([...firsts, ...names.keys()])].slice(0, count);
  const files: Record<string, string> = {};
  const figures: Html[] = [];
  const add = async (graph: ParameterGraph, row: number, title: string, file: string, caption: string) => {
    const { svg, png } = await drawGraph(spec, graph, title, pictures[row]);
    files[`${file}-${names[row].replaceAll(/[^\w.-]/g, '_')}.svg`] = svg;
    figures.push(image(png, caption, { smooth: true, csv: edgesCsv(graph) }));
  };
  let row = -1;
  for (const graph of balancedGraphs(ncas)) {
    row++;
    if (!rows.includes(row)) continue;
    const name = names[row];
    await add(graph, row, name, 'graph', `the parameter graph of ${name} and what it grows`);
    if (!base) continue;
    const change = weights.subarray(row * size, (row + 1) * size).map((w, i) => w - base[i]);
    const graphOfChange = buildGraph(ncaNetwork(spec), change);
    await add(
      graphOfChange,
      row,
      `${name} less the base`,
      'change',
      `what fine-tuning from the common base changed`,
    );
  }
  return {
    section: {
      title: 'A few of them',
      body: html`<p class="dim">From left to right: what is perceived (four filters a channel), hidden units, the update of every channel. Red weights are above zero, blue ones below,
strong ones on top; balanced weights, each layer over its own strongest.${base ? " Beside each graph its difference from the zoo's common base, as it stands." : null}</p>${sideBySide(figures)}`,
    },
    files,
  };
}
