import type { Command } from 'commander';
import { settle } from '../../config/index.ts';
import type { Zoo } from '../../data/index.ts';
import type { WeightBlock } from '../../nca/index.ts';
import { group } from '../group.ts';

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

async function info(folder: string, { names }: { names?: boolean }) {
  const { default: Table } = await import('cli-table3');
  const { readZoo, splitIndices } = await import('../../data/index.ts');
  const { blockOf, weightBlocks, weightCount } = await import('../../nca/index.ts');
  const zoo = await settle(readZoo(folder));
  const { spec, entries, base, manifest } = zoo;
  if (names) {
    const table = new Table({
      head: ['name', 'split', 'texture', 'rendering'],
      style: { head: [], border: [], compact: true },
    });
    for (const { name, split, image, rendering } of entries) {
      table.push([name, split, image ?? '', rendering ?? '']);
    }
    console.log(table.toString());
    return;
  }
  const shapes = weightBlocks(spec).map(({ name, shape }) => `${name} ${shape.join('x')}`);
  const table = new Table({ style: { head: [], border: [], compact: true } });
  table.push(
    { spec: `${spec.name}: ${shapes.join(', ')} (${weightCount(spec)} weights)` },
    { NCAs: entries.length },
    { 'to train on': splitIndices(zoo, 'train').length },
    { 'held out': splitIndices(zoo, 'held-out').length },
    { textures: entries.filter(entry => entry.image !== null).length },
    { renderings: entries.filter(entry => entry.rendering !== null).length },
    { 'common base': base ? 'yes' : 'no' },
    { 'made by': String(manifest.provenance.command ?? 'unknown') },
  );
  console.log(table.toString());
  if (entries.length > 0) {
    const weights = new Table({
      head: ['block', 'std', 'std around the mean NCA', ...(base ? ['rms of the base'] : [])],
      style: { head: [], border: [], compact: true },
    });
    for (const block of weightBlocks(spec)) {
      const { std, around } = spread(zoo, block);
      const figures = [std, around, ...(base ? [rms(blockOf(spec, base, block.name))] : [])];
      weights.push([block.name, ...figures.map(x => x.toPrecision(3))]);
    }
    console.log(weights.toString());
  }
}

export const register = (program: Command): void => {
  group(program, 'zoo')
    .command('info')
    .description('What a zoo holds')
    .argument('<folder>', 'the zoo')
    .option('--names', 'list the entries instead')
    .addHelpText('after', '\nExample:\n  $ weightloom zoo info zoos/embedded')
    .action(info);
};
