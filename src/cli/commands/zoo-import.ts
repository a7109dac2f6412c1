import type { Command } from 'commander';
import { settle } from '../../config/index.ts';
import type { Progress } from '../../runs/index.ts';
import { commandLine } from '../command-line.ts';
import { group } from '../group.ts';
import { whole, within } from '../options.ts';
import { givenSpec, saySpec, withSpec } from '../spec.ts';

interface Options {
  out: string;
  heldOut: number;
  validation: number;
  steps: number;
  size: number;
  seed: number;
  base?: string;
  images?: string;
  renderings?: string;
  spec?: string;
}

async function run(paths: string[], options: Options) {
  const { out, heldOut, validation, steps, size, seed, base, images, renderings, spec } = options;
  const { importZoo } = await import('../../data/index.ts');
  const { interruption, progressBar } = await import('../../runs/index.ts');
  const { startBackend } = await import('../../tensor/index.ts');
  await startBackend();
  const given = await givenSpec(spec);
  const { signal, release } = interruption();
  let bar: { what: string; progress: Progress } | undefined;
  try {
    const summary = await settle(
      importZoo(paths, out, {
        heldOut,
        validation,
        base,
        images,
        renderings,
        spec: given,
        render: { steps, size, seed },
        command: commandLine(),
        signal,
        onProgress(done, total, what) {
          if (bar?.what !== what) {
            bar?.progress.stop();
            bar = { what, progress: progressBar(what, total) };
          }
          bar.progress.update(done);
        },
      }),
    );
    bar?.progress.stop();
    bar = undefined;
    await saySpec(summary.spec);
    const { count, heldOut: held, validation: chosen } = summary;
    console.log(
      `${out}: ${count} NCAs, ${count - held - chosen} to train on, ${chosen > 0 ? `${chosen} for validation ` : ''}and ${held} held out; ` +
        `${summary.images} textures and ${summary.renderings} renderings copied, ${summary.rendered} rendered here.`,
    );
  } finally {
    bar?.progress.stop();
    release();
  }
}

export const register = (program: Command): void => {
  const command = group(program, 'zoo')
    .command('import')
    .description('Make a zoo of published NCAs: models.json, a folder with w1.npy ..., or files of weights')
    .argument(
      '<paths...>',
      'a models.json, a folder with w1.npy, b1.npy, w2.npy and texture_names.npy, or .pt and .safetensors files',
    )
    .requiredOption('-o, --out <folder>', 'the new zoo')
    .option('--held-out <share>', 'share held out, chosen by a hash of the name', within(0, 1), 0.15)
    .option('--validation <share>', 'share to choose settings on, chosen likewise', within(0, 1), 0)
    .option('--base <name>', 'the NCA that the others were fine-tuned from')
    .option('--images <folder>', 'photographs NAME.jpg (default: images/flickr+dtd_128 in the set)')
    .option('--renderings <folder>', 'renderings NAME.jpg (default: images/nca_flickr+dtd_128 in the set)')
    .option('--steps <n>', 'NCA steps of pictures made here', whole(0), 400)
    .option('--size <n>', 'side of pictures made here', whole(3, 4096), 64)
    .option('--seed <n>', 'of the update masks of pictures made here', whole(), 1)
    .addHelpText(
      'after',
      `
NCAs that come without a rendering of their own are run and their picture is stored.

Examples:
  $ weightloom zoo import self-organising-textures.models.json --base mondrian --out zoos/mondrian
  $ weightloom zoo import dots.pt chess.pt --out zoos/grafting
  $ weightloom zoo import runs/*/weights.safetensors --out zoos/mine    # what nca train left, with its pictures`,
    )
    .action(run);
  withSpec(command);
};
