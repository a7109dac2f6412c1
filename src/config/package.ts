/** Where this copy of weightloom lies: a clone that runs from its sources, or an installed package that runs from dist/. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function rootOf(folder: string): { root: string; about: { version: string; description: string } } {
  try {
    const about = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    if (about.name === 'weightloom') return { root: folder, about };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  if (dirname(folder) === folder) throw new Error('no package.json of weightloom above its own files');
  return rootOf(dirname(folder));
}

const found = rootOf(dirname(fileURLToPath(import.meta.url)));

/** The folder of weightloom's package.json. */
export const packageRoot = found.root;
/** Version and description, as package.json has them. */
export const about = found.about;
/** The program behind the `weightloom` command, for processes of its own. */
export const LAUNCHER = join(packageRoot, 'src', 'cli', 'weightloom.mjs');
