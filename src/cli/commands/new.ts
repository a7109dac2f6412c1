/** `weightloom new`: a working file to start from, with its test, in the user's own project. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { pastable, refuse, settle, suggestion } from '../../config/index.ts';

const TEMPLATES = fileURLToPath(new URL('../templates', import.meta.url));

/** A path as a value in a configuration: in quotes where YAML would take it for more than text. */
const value = (path: string) => (/^[\w./-]+$/.test(path) ? path : JSON.stringify(path));

/** The endings of what is written for each kind; the templates are called `my-<kind>`. */
const KINDS: Record<string, { endings: string[]; next: (file: string) => string[][] }> = {
  denoiser: {
    endings: ['.ts', '.test.ts'],
    next: file => [
      ['verify', file],
      ['run', 'quickstart', `denoisers=[${value(file)},transformer]`],
    ],
  },
  encoder: {
    endings: ['.ts', '.test.ts'],
    next: file => [['run', 'quickstart', `encoder={kind: ${value(file)}}`]],
  },
  experiment: {
    endings: ['.ts', '.yaml', '.test.ts'],
    next: file => [['run', file]],
  },
};

async function create(kind: string, name: string, { out }: { out: string }): Promise<void> {
  const known = Object.keys(KINDS);
  if (!known.includes(kind)) {
    refuse('weightloom new', `one of ${known.join(', ')}`, `"${kind}"`, { hint: suggestion(kind, known) });
  }
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) {
    refuse('weightloom new', 'a name of small letters, digits and dashes, such as my-denoiser', `"${name}"`);
  }
  const { writeAtomically } = await import('../../formats/index.ts');
  const { endings, next } = KINDS[kind];
  const files = endings.map(ending => join(out, `${name}${ending}`));
  const taken = files.find(file => existsSync(file));
  if (taken)
    refuse(taken, 'a free name', 'a file of that name', { hint: 'Choose another name or remove it first.' });
  for (const [i, ending] of endings.entries()) {
    const text = await readFile(join(TEMPLATES, `my-${kind}${ending}`), 'utf8');
    await settle(writeAtomically(files[i], text.replaceAll(`my-${kind}`, name)));
    console.log(files[i]);
  }
  const way = relative('.', files[0]);
  const file = way.startsWith('..') ? way : `./${way}`;
  console.error('\nnext:');
  for (const words of [['test', file.replace(/\.ts$/, '.test.ts')], ...next(file)]) {
    console.error(`  ${pastable(...words)}`);
  }
}

export const register = (program: Command): void => {
  program
    .command('new')
    .description('Write a working denoiser, encoder or experiment with its test, to start from')
    .argument('<kind>', 'denoiser, encoder or experiment')
    .argument('<name>', 'such as my-denoiser: names the files and what they define')
    .option('--out <folder>', 'where to', '.')
    .addHelpText(
      'after',
      `
The files are the user's own: every command takes a denoiser, encoder or experiment as the path of such a file.

Examples:
  $ weightloom new denoiser my-denoiser
  $ weightloom test my-denoiser.test.ts
  $ weightloom run quickstart 'denoisers=[./my-denoiser.ts,transformer]'
  $ weightloom new experiment how-many --out experiments-of-mine`,
    )
    .action(create);
};
