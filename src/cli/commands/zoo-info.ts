import type { Command } from 'commander';
import { settle } from '../../config/index.ts';
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

async function info(folder: string, { names, json }: { names?: boolean; json?: boolean }) {
  const { readZoo, splitIndices } = await import('../../data/index.ts');
  const { blockOf, weightBlocks, weightCount } = await import('../../nca/index.ts');
  const zoo = await settle(readZoo(folder));
  const { spec, entries, base, manifest } = zoo;
  if (names) {
    const rows = entries.map(({ name, split, image, rendering }) => ({
      name,
      split,
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
    'held out': splitIndices(zoo, 'held-out').length,
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
}

export const register = (program: Command): void => {
  group(program, 'zoo')
    .command('info')
    .description('What a zoo holds')
    .argument('<folder>', 'the zoo')
    .option('--names', 'list the entries instead')
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ weightloom zoo info zoos/embedded')
    .action(info);
};
