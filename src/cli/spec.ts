/** The option --spec of commands that read weights of others, and the line that says what was taken. */
import type { Command } from 'commander';
import { settle } from '../config/index.ts';
import type { GivenSpec } from '../data/index.ts';
import type { NcaSpec } from '../nca/index.ts';

export const withSpec = (command: Command): Command =>
  command.option(
    '--spec <name|file>',
    'what the weights are, over what the file says: hypernca, self-organising-textures, compact, or a YAML file with any of channels, hidden, filters, columns, filterScale, outputBias, clip, rgb',
  );

export async function givenSpec(argument: string | undefined): Promise<GivenSpec | undefined> {
  if (argument === undefined) return undefined;
  const { readSpec } = await import('../data/index.ts');
  return settle(readSpec(argument));
}

/** On standard error, after all is done: bad input stays one sentence, and the output stays what other programs read. */
export async function saySpec(spec: NcaSpec): Promise<void> {
  const { specText } = await import('../nca/index.ts');
  console.error(`spec ${specText(spec)}`);
}
