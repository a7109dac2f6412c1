/** `weightloom test`: runs test files of the user's own, wherever they lie and whatever is installed there. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { importUserFile, refuse } from '../../config/index.ts';

async function test(files: readonly string[]): Promise<void> {
  const missing = files.find(file => !existsSync(file));
  if (missing) refuse(missing, 'a test file', 'nothing there');
  if (process.env.WEIGHTLOOM_BACKEND === 'loom-gpu') {
    console.error(
      'tests read numbers as they come, which those of a GPU cannot be: they run with the backend loom',
    );
    process.env.WEIGHTLOOM_BACKEND = 'loom';
  }
  // node:test runs what the files register, and sets the exit code.
  for (const file of files) await importUserFile(file);
}

export const register = (program: Command): void => {
  program
    .command('test')
    .description('Run tests of your own files, such as `weightloom new` writes')
    .argument('<files...>', 'TypeScript files that use node:test')
    .addHelpText(
      'after',
      `
The files need no package.json: 'weightloom' is this copy. In a project that has weightloom installed and says "type": "module",
\`npx tsx my-denoiser.test.ts\` does the same.

Example:
  $ weightloom test my-denoiser.test.ts`,
    )
    .action(test);
};
