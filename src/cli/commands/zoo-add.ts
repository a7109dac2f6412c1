import { type Command, Option } from 'commander';
import { settle, UserError } from '../../config/index.ts';
import { SPLITS, type Split } from '../../data/index.ts';
import { group } from '../group.ts';

interface Options {
  name?: string;
  image?: string;
  split?: Split;
  licence?: string;
  source?: string;
}

async function run(zoo: string, sources: string[], { name, image, split, licence, source }: Options) {
  if (sources.length > 1 && (name !== undefined || image !== undefined)) {
    throw new UserError('options --name and --image: expected with one NCA, found several.', 2);
  }
  const { addToZoo } = await import('../../data/index.ts');
  const { startBackend } = await import('../../tensor/index.ts');
  await startBackend();
  const provenance = {
    ...(licence === undefined ? {} : { licence }),
    ...(source === undefined ? {} : { source }),
  };
  const added = await settle(
    addToZoo(
      zoo,
      sources.map(one => ({ source: one, name, image })),
      { split, provenance },
    ),
  );
  for (const { name: own, split: side, like } of added) {
    console.log(`${zoo}: ${own} (${side}${like === null ? '' : `, as ${like}, which it is like`})`);
  }
}

export const register = (program: Command): void => {
  group(program, 'zoo')
    .command('add')
    .description('Put NCAs into a zoo, or make one of them: folders of nca train, .pt and .safetensors files')
    .argument('<zoo>', 'folder of the zoo; a new one is made')
    .argument('<sources...>', 'folders that nca train wrote, or weights as other commands take them')
    .option('--name <name>', 'name in the zoo, instead of the file’s')
    .option('--image <file>', 'its texture, a pixel for every cell')
    .addOption(
      new Option('--split <split>', 'what it is for (default: train, or as its group)').choices([...SPLITS]),
    )
    .option('--licence <text>', 'of the picture, kept with the entry')
    .option('--source <text>', 'where the picture comes from, kept with the entry')
    .addHelpText(
      'after',
      `
All are added or none. A name that the zoo has already gets a number; what looks like an entry of the zoo joins its group and side.

Examples:
  weightloom zoo add zoos/mine runs/nca/bubbles-64 runs/nca/bricks-64
  weightloom zoo add zoos/mine dots.pt --image dots.png --licence CC0-1.0`,
    )
    .action(run);
};
