import { extname } from 'node:path';
import type { Command } from 'commander';
import { settle, UserError } from '../../config/index.ts';
import type { Picture } from '../../formats/index.ts';
import { group } from '../group.ts';
import { whole } from '../options.ts';
import { givenSpec, saySpec, withSpec } from '../spec.ts';

interface Options {
  weights: string;
  spec?: string;
  steps: number;
  size: number;
  seed: number;
  frames: number;
  out: string;
}

async function render({ weights, spec, steps, size, seed, frames, out }: Options) {
  const kind = extname(out).toLowerCase();
  if (kind !== '.png' && kind !== '.gif') {
    throw new UserError(`--out: expected a name that ends in .png or .gif, found "${out}".`, 2);
  }
  const { loadWeights, renderFrames, renderNcas } = await import('../../data/index.ts');
  const { interruption, progressBar } = await import('../../runs/index.ts');
  const { writeGif, writePng } = await import('../../formats/index.ts');
  const { startBackend } = await import('../../tensor/index.ts');
  const nca = await settle(loadWeights(weights, { spec: await givenSpec(spec) }));
  await startBackend();
  if (kind === '.png') {
    const [picture] = await renderNcas(nca.spec, nca.flat, { steps, size, seed });
    await settle(writePng(out, picture));
  } else {
    const { signal, release } = interruption();
    const bar = progressBar('frames', frames);
    const film: Picture[] = [];
    try {
      for await (const frame of renderFrames(nca, { steps, size, seed, frames })) {
        if (signal.aborted) throw new UserError(`Stopped: ${out} was not written.`);
        bar.update(film.push(frame));
      }
    } finally {
      bar.stop();
      release();
    }
    await settle(writeGif(out, film, { delay: film.map((_, i) => (i === frames - 1 ? 1500 : 60)) }));
  }
  await saySpec(nca.spec);
  console.log(out);
}

export const register = (program: Command): void => {
  const command = group(program, 'nca')
    .command('render')
    .description('Run an NCA from its seed state and write its picture (PNG), or how it grows (GIF)')
    .requiredOption(
      '-w, --weights <weights>',
      'file.pt[#part], file.json#name, zoo-folder#name or file.safetensors[#index or part]',
    )
    .requiredOption('-o, --out <file>', 'x.png or x.gif')
    .option('--steps <n>', 'NCA steps', whole(0), 400)
    .option('--size <n>', 'side of the picture', whole(3, 4096), 128)
    .option('--seed <n>', 'of the update masks', whole(), 1)
    .option('--frames <n>', 'pictures in a GIF', whole(1, 1000), 40)
    .addHelpText(
      'after',
      `
Examples:
  $ weightloom nca render --weights configs/zoo/procedural#stripes-003 --out stripes.png
  $ weightloom nca render --weights dots.pt --steps 400 --size 128 --seed 1 --out dots.gif
  $ weightloom nca render --weights texture.pth --spec texture.yaml --out texture.png    # texture.yaml: rgb: {offset: 0}`,
    )
    .action(render);
  withSpec(command);
};
