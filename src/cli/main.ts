/** The command line: `weightloom <command>`. Each file of commands/ adds its own; this one turns errors into sentences and exit codes. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { UserError } from '../config/index.ts';

const { version, description } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { version: string; description: string };

/** Everything that adds commands, in the order of the help, with the word each starts with: only what is asked for is loaded. */
const COMMANDS: [word: string, load: () => Promise<{ register(program: Command): void }>][] = [
  ['nca', () => import('./commands/nca-render.ts')],
  ['nca', () => import('./commands/nca-train.ts')],
  ['zoo', () => import('./commands/zoo-build.ts')],
  ['zoo', () => import('./commands/zoo-import.ts')],
  ['zoo', () => import('./commands/zoo-info.ts')],
  ['run', () => import('./commands/run.ts')],
  ['train', () => import('./commands/train.ts')],
  ['sample', () => import('./commands/sample.ts')],
  ['runs', () => import('./commands/runs.ts')],
  ['textures', () => import('./commands/textures.ts')],
  ['encoders', () => import('./commands/encoders.ts')],
  ['graph', () => import('./commands/graph.ts')],
  ['verify', () => import('./commands/verify.ts')],
  ['new', () => import('./commands/new.ts')],
  ['test', () => import('./commands/test.ts')],
  ['doctor', () => import('./commands/doctor.ts')],
];

// A reader that stops early (`| head`) is no error.
process.stdout.on('error', error => {
  if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(0);
  throw error;
});

/** Usage errors end with 2 everywhere, also in subcommands. */
function withUsageExits(command: Command) {
  command.exitOverride().showHelpAfterError('(add --help for the options and an example)');
  command.commands.forEach(withUsageExits);
}

/** Runs one command line and sets the exit code: 0 for success, 1 for bad input, 2 for bad usage. */
export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command('weightloom').description(description).version(version);
  const asked = COMMANDS.filter(([word]) => word === argv[0]);
  const needed = asked.length > 0 || ['-V', '--version'].includes(argv[0]) ? asked : COMMANDS;
  for (const [, load] of needed) (await load()).register(program);
  withUsageExits(program);
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has printed its message; asking for help or the version is no error.
      process.exitCode = error.exitCode === 0 ? 0 : 2;
    } else if (error instanceof UserError) {
      console.error(error.message);
      process.exitCode = error.exitCode;
    } else {
      console.error(error);
      process.exitCode = 1;
    }
  }
}
