/**
 * What do the parameter graphs of a zoo look like? Figures of the graphs and what the texture has to do with them, the weights' distributions, a
 * few graphs drawn, and two maps of the NCAs: by their weights modulo hidden permutation and scaling, and by what they grow. Nothing is
 * trained.
 */
import * as t from 'io-ts';
import { zooHash } from '../src/data/index.ts';
import {
  type Association,
  classicalScaling,
  type DistanceMatrix,
  mantel,
  neighbourPurity,
  pictureDistances,
  renderMap,
  turnedTo,
  unmatchedDistances,
  weightDistances,
} from '../src/evaluation/index.ts';
import {
  type Experiment,
  html,
  natural,
  optional,
  type Picture,
  type RunContext,
  randomStream,
  readZoo,
  readZooImage,
  type Section,
  table,
  tf,
  UserError,
  weightCount,
  whole,
  type Zoo,
  zooFolder,
} from '../src/index.ts';
import {
  csvTable,
  drawnSection,
  figureSection,
  image,
  number,
  renderReport,
  type StudiedNcas,
  weightSection,
} from '../src/report/index.ts';
import { environment } from '../src/runs/index.ts';
import { backendReport } from '../src/tensor/index.ts';

const Parameters = t.strict({
  preset: t.string,
  /** A folder, or `embedded`. */
  zoo: t.string,
  /** At most so many NCAs, drawn at random from the zoo. */
  count: natural,
  seed: whole,
  /** Side of the pictures that are compared, in pixels; null takes them as they are stored. */
  pictureSize: optional(natural),
  /** Graphs drawn. */
  drawn: natural,
  /** Of every permutation test. */
  permutations: natural,
});
type Parameters = t.TypeOf<typeof Parameters>;

/** What kind of texture an entry is of: the family it was drawn from, or else what its name begins with. */
const familyOf = ({ name, provenance }: Zoo['entries'][number]): string =>
  typeof provenance.family === 'string' ? provenance.family : (name.match(/^[^-_]+/)?.[0] ?? name);

/** So many NCAs of the zoo, with their own renderings (the textures they were trained on, where some have none). */
async function readNcas(
  zoo: Zoo,
  { count, pictureSize, seed }: Parameters,
): Promise<StudiedNcas & { readonly shown: 'rendering' | 'image' }> {
  const total = zoo.entries.length;
  const used = Math.min(count, total);
  if (used < 3) throw new UserError(`${zoo.folder}: expected at least 3 NCAs to compare, found ${used}.`);
  // Drawn at random: zoos are in an order of their own.
  const rows = [...randomStream(seed, 'graph study').permutation(total).subarray(0, used)].sort(
    (a, b) => a - b,
  );
  const size = weightCount(zoo.spec);
  const weights = new Float32Array(used * size);
  rows.forEach((row, i) => {
    weights.set(zoo.weights.subarray(row * size, (row + 1) * size), i * size);
  });
  const shown = rows.every(row => zoo.entries[row].rendering) ? 'rendering' : 'image';
  const side = pictureSize ?? (await readZooImage(zoo, rows[0], shown)).height;
  const pictures: Picture[] = [];
  for (const row of rows) pictures.push(await readZooImage(zoo, row, shown, { size: side, channels: 3 }));
  return {
    spec: zoo.spec,
    names: rows.map(row => zoo.entries[row].name),
    families: rows.map(row => familyOf(zoo.entries[row])),
    weights,
    pictures,
    base: zoo.base,
    shown,
  };
}

function stacked(pictures: readonly Picture[]): tf.Tensor4D {
  const [{ width, height }] = pictures;
  const data = new Float32Array(pictures.length * height * width * 3);
  for (const [i, picture] of pictures.entries()) data.set(picture.data, i * height * width * 3);
  return tf.tensor4d(data, [pictures.length, height, width, 3]);
}

/** Distances of all pairs, with a bar each; what takes long is not done again by a resumed run. */
async function distances({ run, progress, signal }: RunContext, { spec, weights, pictures }: StudiedNcas) {
  const pairs = (pictures.length * (pictures.length - 1)) / 2;
  const during = (label: string, work: (onProgress: (done: number) => void) => Promise<DistanceMatrix>) =>
    run.once([label, spec, weights, pictures.map(({ data }) => data)], async () => {
      const bar = progress(label, pairs);
      return work(done => bar.update(done)).finally(() => bar.stop());
    });
  const shown = stacked(pictures);
  try {
    return {
      matched: await during('match hidden units', onProgress =>
        weightDistances(spec, weights, { signal, onProgress }),
      ),
      unmatched: await unmatchedDistances(spec, weights, { signal }),
      pictured: await during('compare pictures', onProgress =>
        pictureDistances(shown, { signal, onProgress }),
      ),
    };
  } finally {
    shown.dispose();
  }
}

const upper = ({ count, values }: DistanceMatrix) =>
  [...values].filter((_, at) => at % count > Math.floor(at / count));
const testText = ({ value, chance, p }: Association) =>
  [value, chance, p].map(x => number(x).replace('-', '−'));

/** The two maps, how much they agree, and whether the hidden units of the zoo are in one order. */
async function mapSection(
  ncas: StudiedNcas & { readonly shown: 'rendering' | 'image' },
  { matched, unmatched, pictured }: Awaited<ReturnType<typeof distances>>,
  permutations: number,
) {
  const { families, pictures, names, shown } = ncas;
  const byWeights = classicalScaling(matched);
  const byPictures = classicalScaling(pictured);
  const of = shown === 'rendering' ? 'what they grow' : 'the textures they were trained on';
  const maps = {
    'map-weights.png': await renderMap({
      title: 'By weights, modulo hidden permutation and scaling',
      pictures,
      points: byWeights.points,
      labels: families,
    }),
    'map-pictures.png': await renderMap({
      title: `By ${of}`,
      pictures,
      // Turned to lie as the first map does: the axes mean nothing by themselves.
      points: turnedTo(byPictures.points, byWeights.points),
      labels: families,
    }),
  };
  const agreement = mantel(matched, pictured, { permutations });
  const labelled = new Set(families).size > 1 && new Set(families).size < names.length;
  const purity = labelled && {
    weights: neighbourPurity(matched, families, { permutations }),
    pictures: neighbourPurity(pictured, families, { permutations }),
  };
  const [near, plain] = [upper(matched), upper(unmatched)];
  // Equal up to the rounding of a matching that leaves every unit in its place.
  const aligned = near.filter((distance, i) => plain[i] <= distance * (1 + 1e-9)).length / near.length;
  const places = (points: readonly (readonly number[])[]) =>
    csvTable(
      ['name', 'kind', 'x', 'y'],
      names.map((name, i) => [name, families[i], points[i][0], points[i][1]]),
    );
  const percent = (share: number) => `${(100 * share).toFixed(0)}%`;
  const section: Section = {
    title: 'Two maps',
    body: html`<p>Both show the same ${names.length} NCAs as ${of}: NCAs that lie close together have similar weights in the first, similar pictures in the second. Weights are
compared after the best matching of hidden units; for ${percent(aligned)} of the pairs that matching leaves every unit in its place${aligned > 0.5 ? ': the NCAs of this zoo keep their units in one order' : ''}.</p>
<p class="dim">Classical multidimensional scaling (Torgerson 1952): the plane keeps ${percent(byWeights.explained)} of the weights' distances (share of the positive eigenvalues) and
${percent(byPictures.explained)} of the pictures'. Thumbnails are moved apart so as not to hide each other. The frame is the kind of texture, where there are at most eight.</p>
${image(maps['map-weights.png'], `${names.length} NCAs by their weights`, { smooth: true, csv: places(byWeights.points) })}
${image(maps['map-pictures.png'], `the same NCAs by ${of}`, { smooth: true, csv: places(byPictures.points) })}
${table(
  ['', 'found', 'by chance', 'p'],
  [
    ['rank correlation of both distances', ...testText(agreement)],
    ...(purity
      ? [
          ['nearest by weights: same kind', ...testText(purity.weights)],
          ['nearest by picture: same kind', ...testText(purity.pictures)],
        ]
      : []),
  ],
)}
<p class="dim">Chance and p from ${permutations} permutations: Mantel's test for the correlation, permuted kinds for the share of NCAs whose nearest one is of the same kind.</p>`,
  };
  const record = {
    agreement,
    purity: purity || null,
    aligned,
    explained: { weights: byWeights.explained, pictures: byPictures.explained },
    points: { weights: byWeights.points, pictures: byPictures.points },
  };
  return { section, maps, record };
}

const graphStudy: Experiment<Parameters> = {
  name: 'graph-study',
  question:
    'What do the parameter graphs of a zoo look like: what are they made of, what has the texture to do with it, and do NCAs with similar weights grow similar pictures?',
  parameters: Parameters,

  async run(context, parameters) {
    const { run, say, signal } = context;
    const { permutations, drawn } = parameters;
    const zoo = await readZoo(zooFolder(parameters.zoo));
    run.pin(`the zoo ${parameters.zoo}`, zooHash(zoo));
    const ncas = await readNcas(zoo, parameters);
    const { names, families, spec } = ncas;
    say(
      `${names.length} of ${zoo.entries.length} NCAs of ${spec.name}, ${new Set(families).size} kinds of texture`,
    );
    const bar = context.progress('parameter graphs', names.length);
    const figures = await figureSection(ncas, permutations, done => bar.update(done)).finally(() =>
      bar.stop(),
    );
    signal.throwIfAborted();
    const weights = await weightSection(ncas);
    const drawings = await drawnSection(ncas, drawn);
    for (const [name, svg] of Object.entries(drawings.files)) run.write(name, svg);
    const maps = await mapSection(ncas, await distances(context, ncas), permutations);
    for (const [name, png] of Object.entries(maps.maps)) run.write(name, png);
    const record = {
      version: 1,
      experiment: graphStudy.name,
      command: context.command,
      config: parameters,
      environment: environment({ backend: backendReport() }),
      ncas: names,
      families,
      graphs: figures.record,
      weights: weights.record,
      maps: maps.record,
    };
    run.write(
      'report.html',
      await renderReport({
        title: `weightloom: ${graphStudy.name}`,
        question: graphStudy.question,
        sections: [maps.section, figures.section, drawings.section, weights.section],
        command: context.command,
        config: parameters,
        environment: environment({ backend: backendReport() }),
      }),
    );
    // The last one: a run that has its results is finished.
    run.write('results.json', `${JSON.stringify(record, null, 1)}\n`);
    const { agreement, purity } = maps.record;
    say(`weights and pictures: rank correlation ${number(agreement.value)} (p ${number(agreement.p)})`);
    if (purity) {
      say(
        `nearest NCA of the same kind: by weights ${number(purity.weights.value)}, by pictures ${number(purity.pictures.value)}, by chance ${number(purity.weights.chance)}`,
      );
    }
    say(`\nreport   ${run.file('report.html')}`);
  },
};

export default graphStudy;
