import type { Command } from 'commander';
import { failure, settle, suggestion, UserError } from '../../config/index.ts';
import { contactSheet, drawTexture, sampleParameters, textureFamilies } from '../../data/index.ts';
import { writePng } from '../../formats/index.ts';
import { randomStream } from '../../tensor/index.ts';
import { whole } from '../options.ts';

interface Options {
  out: string;
  family?: string;
  seed: number;
  count: number;
  size: number;
  zoom: number;
  tileable: boolean;
}

export function register(program: Command): void {
  program
    .command('textures')
    .description('Draw procedural textures on a contact sheet')
    .requiredOption('--out <file>', 'PNG file to write')
    .option('--family <name>', 'one family; all of them otherwise')
    .option('--seed <number>', 'seed of the parameters', whole(), 0)
    .option('--count <number>', 'textures of each family', whole(1), 8)
    .option('--size <pixels>', 'width and height of a texture', whole(1, 4096), 64)
    .option('--zoom <factor>', 'enlargement on the sheet', whole(1, 64), 1)
    .option('--tileable', 'make every texture continue across its borders', false)
    .addHelpText(
      'after',
      `
Examples:
  weightloom textures --out contact.png
  weightloom textures --out cells.png --family cells --count 24 --seed 7`,
    )
    .action(async ({ out, family, seed, count, size, zoom, tileable }: Options) => {
      const names = Object.keys(textureFamilies);
      if (family !== undefined && !names.includes(family)) {
        throw new UserError(
          failure('option --family', `one of ${names.join(', ')}`, `"${family}"`, {
            hint: suggestion(family, names),
          }),
        );
      }
      const pictures = (family ? [family] : names).flatMap(name =>
        Array.from({ length: count }, (_, i) => {
          const random = randomStream(seed, `texture/${name}/${i}`);
          const parameters = sampleParameters(textureFamilies[name], random);
          return drawTexture(textureFamilies[name], parameters, size, tileable);
        }),
      );
      await settle(writePng(out, contactSheet(pictures, size, Math.min(count, pictures.length), { zoom })));
      console.log(`${out}: ${pictures.length} textures`);
    });
}
