import type { Command } from 'commander';
import { refuse, settle } from '../../config/index.ts';
import type { Zoo } from '../../data/index.ts';
import type { WeightBlock } from '../../nca/index.ts';
import { group } from '../group.ts';
import { jsonOption, keyValueTable, recordTable, show } from '../tables.ts';

const rms = (values: Float32Array) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);

/** Standard deviation of one block over all entries, and of entries around their mean. */
function spread(zoo: Zoo, { offset, size }: WeightBlock) {
  const count = zoo.entries.length;
  const dimension = zoo.weights.length / count;
  let [all, squares, between] = [0, 0, 0];
  for (let d = offset; d < offset + size; d++) {
    let [sum, square] = [0, 0];
    for (let i = 0; i < count; i++) {
      const value = zoo.weights[i * dimension + d];
      sum += value;
      square += value * value;
    }
    all += sum;
    squares += square;
    between += square - (sum * sum) / count;
  }
  const n = count * size;
  return { std: Math.sqrt(squares / n - (all / n) ** 2), around: Math.sqrt(Math.max(0, between) / n) };
}

const shortened = (names: readonly string[]) =>
  names.length > SHOWN
    ? `${names.slice(0, SHOWN).join(', ')} and ${names.length - SHOWN} more`
    : names.join(', ');

/** Sets of entries, and entries of a set, that are shown before the rest is only counted. */
const SHOWN = 10;

/** Which entries belong together, by their groups and by their pictures. */
async function printGroups(zoo: Zoo) {
  const { alikeEntries } = await import('../../data/index.ts');
  const { entries } = zoo;
  const groups = new Map<string, string[]>();
  for (const { name, group } of entries) groups.set(group, [...(groups.get(group) ?? []), name]);
  const several = [...groups.values()].filter(names => names.length > 1);
  const alike = (await settle(alikeEntries(zoo))).filter(
    set => new Set(set.map(i => entries[i].group)).size > 1,
  );
  const torn = alike.filter(set => new Set(set.map(i => entries[i].split)).size > 1);
  const print = (title: string, sets: readonly (readonly string[])[]) => {
    if (sets.length === 0) return;
    console.log(`${title}:`);
    for (const names of sets.slice(0, SHOWN)) console.log(`  ${shortened(names)}`);
    if (sets.length > SHOWN) console.log(`  ... and ${sets.length - SHOWN} more`);
  };
  const named = (set: readonly number[]) => set.map(i => `${entries[i].name} (${entries[i].split})`);
  print(`${several.length} groups of several NCAs`, several);
  print(`${alike.length} sets of pictures that are alike though of several groups`, alike.map(named));
  if (torn.length > 0)
    print(`WARNING: ${torn.length} of these lie on several sides of the split`, torn.map(named));
}

/** The base of a zoo for its sheet: what it was trained on (white where the zoo does not keep that), and what it grows. */
async function basePair(zoo: Zoo, side: number): Promise<[above: Float32Array, below: Float32Array] | null> {
  const { readBasePicture, renderingOf, renderNcas } = await import('../../data/index.ts');
  const { startBackend } = await import('../../tensor/index.ts');
  if (!zoo.base) return null;
  await startBackend();
  const { steps, seed } = renderingOf(zoo) ?? { steps: 400, seed: 1 };
  const [grown] = await renderNcas(zoo.spec, zoo.base, { steps, size: side, seed });
  const kept = await settle(readBasePicture(zoo, { size: side }));
  return [kept?.picture.data ?? new Float32Array(side * side * 3).fill(1), grown.data];
}

/** Textures on a sheet, below each what its NCA grows; the base first. */
async function writeSheet(zoo: Zoo, path: string) {
  const { contactSheet, readZooImage } = await import('../../data/index.ts');
  const { writePng } = await import('../../formats/index.ts');
  const rows = zoo.entries.flatMap(({ image, rendering }, i) => (image && rendering ? [i] : []));
  if (rows.length === 0) refuse(zoo.folder, 'entries with a texture and a rendering', 'none');
  const { width: side } = await settle(readZooImage(zoo, rows[0], 'image'));
  const base = await basePair(zoo, side);
  const pairs: (readonly [Float32Array, Float32Array])[] = base ? [base] : [];
  for (const i of rows) {
    const [above, below] = (['image', 'rendering'] as const).map(kind =>
      settle(readZooImage(zoo, i, kind, { size: side })),
    );
    pairs.push([(await above).data, (await below).data]);
  }
  const columns = Math.ceil(Math.sqrt(2 * pairs.length));
  const white = new Float32Array(side * side * 3).fill(1);
  const pictures: Float32Array[] = [];
  for (let start = 0; start < pairs.length; start += columns) {
    for (const half of [0, 1])
      for (let at = start; at < start + columns; at++) pictures.push(pairs[at]?.[half] ?? white);
  }
  await settle(writePng(path, contactSheet(pictures, side, columns)));
  console.log(
    `${path}: ${base ? 'the base, then ' : ''}${rows.length} textures, each above what its NCA grows`,
  );
}

interface Options {
  names?: boolean;
  sheet?: string;
  json?: boolean;
}

async function info(folder: string, { names, sheet, json }: Options) {
  const { readZoo, splitIndices } = await import('../../data/index.ts');
  const { blockOf, weightBlocks, weightCount } = await import('../../nca/index.ts');
  const zoo = await settle(readZoo(folder));
  const { spec, entries, base, manifest } = zoo;
  if (sheet !== undefined) return writeSheet(zoo, sheet);
  if (names) {
    const rows = entries.map(({ name, split, group, image, rendering }) => ({
      name,
      split,
      group: group === name ? '' : group,
      texture: image ?? '',
      rendering: rendering ?? '',
    }));
    show(json, rows, recordTable);
    return;
  }
  const shapes = weightBlocks(spec).map(({ name, shape }) => `${name} ${shape.join('x')}`);
  const facts = {
    spec: `${spec.name}: ${shapes.join(', ')} (${weightCount(spec)} weights)`,
    NCAs: entries.length,
    'to train on': splitIndices(zoo, 'train').length,
    'for validation': splitIndices(zoo, 'validation').length,
    'held out': splitIndices(zoo, 'held-out').length,
    groups: new Set(entries.map(({ group }) => group)).size,
    textures: entries.filter(entry => entry.image !== null).length,
    renderings: entries.filter(entry => entry.rendering !== null).length,
    'common base': base ? 'yes' : 'no',
    'made by': String(manifest.provenance.command ?? 'unknown'),
  };
  const figure = (x: number) => Number(x.toPrecision(3));
  const blocks = (entries.length > 0 ? weightBlocks(spec) : []).map(block => {
    const { std, around } = spread(zoo, block);
    return {
      block: block.name,
      std: figure(std),
      'std around the mean NCA': figure(around),
      ...(base && { 'rms of the base': figure(rms(blockOf(spec, base, block.name))) }),
    };
  });
  show(json, { ...facts, blocks }, () =>
    [keyValueTable(facts), ...(blocks.length > 0 ? [recordTable(blocks)] : [])].join('\n'),
  );
  if (json) return;
  await printGroups(zoo);
}

export const register = (program: Command): void => {
  group(program, 'zoo')
    .command('info')
    .description('What a zoo holds')
    .argument('<folder>', 'the zoo')
    .option('--names', 'list the entries instead')
    .addOption(jsonOption())
    .option('--sheet <file>', 'write a picture of all textures and renderings instead')
    .addHelpText(
      'after',
      '\nExamples:\n  $ weightloom zoo info configs/zoo/embedded\n  $ weightloom zoo info configs/zoo/embedded --sheet sheet.png',
    )
    .action(info);
};
