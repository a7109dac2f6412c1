/** The command line: `weightloom <command>`. Each file of commands/ adds its own; this one turns errors into sentences and exit codes. */
import { Command, CommanderError } from 'commander';
import { about, backendNamed, UserError } from '../config/index.ts';
import { GROUPS } from './group.ts';
import { sharpMissing } from './sharp.ts';

type Module = { register(program: Command): void };

/**
 * Every command with its sentence for the list of commands, in the order of that list, and the files that add it: only what is asked for is
 * loaded, and the list itself loads nothing.
 */
export const COMMANDS: readonly { word: string; about: string; load: readonly (() => Promise<Module>)[] }[] =
  [
    {
      word: 'nca',
      about: GROUPS.nca,
      load: [() => import('./commands/nca-render.ts'), () => import('./commands/nca-train.ts')],
    },
    {
      word: 'zoo',
      about: GROUPS.zoo,
      load: [
        () => import('./commands/zoo-build.ts'),
        () => import('./commands/zoo-add.ts'),
        () => import('./commands/zoo-import.ts'),
        () => import('./commands/zoo-info.ts'),
        () => import('./commands/zoo-pull.ts'),
      ],
    },
    {
      word: 'run',
      about: 'Run an experiment and write its report',
      load: [() => import('./commands/run.ts')],
    },
    { word: 'report', about: 'One report over several runs', load: [() => import('./commands/report.ts')] },
    {
      word: 'train',
      about: 'Train a denoiser as a configuration says',
      load: [() => import('./commands/train.ts')],
    },
    {
      word: 'sample',
      about: 'Sample the weights of NCAs that grow the textures of pictures: weights, PNG and GIF for each',
      load: [() => import('./commands/sample.ts')],
    },
    {
      word: 'evaluate',
      about:
        'Measure a trained model on the held-out textures of a zoo: all metrics, all baselines, the measures of sampling, the audit',
      load: [() => import('./commands/evaluate.ts')],
    },
    {
      word: 'studio',
      about: 'Show zoos, runs and weights in the browser: growing, compared, turned about, as graphs',
      load: [() => import('./commands/studio.ts')],
    },
    {
      word: 'runs',
      about: GROUPS.runs,
      load: [() => import('./commands/runs.ts'), () => import('./commands/runs-pull.ts')],
    },
    {
      word: 'textures',
      about: 'Draw procedural textures on a contact sheet',
      load: [() => import('./commands/textures.ts')],
    },
    {
      word: 'list',
      about: 'What there is to choose from: denoisers, encoders, experiments, symmetries',
      load: [() => import('./commands/list.ts')],
    },
    { word: 'encoders', about: GROUPS.encoders, load: [() => import('./commands/encoders.ts')] },
    {
      word: 'graph',
      about: 'The parameter graph of an NCA as a picture or a file for graph programs',
      load: [() => import('./commands/graph.ts')],
    },
    {
      word: 'export',
      about: 'NCAs, parameter graphs and denoisers as files of PyTorch, NumPy, ONNX and graph programs',
      load: [() => import('./commands/export.ts')],
    },
    {
      word: 'verify',
      about: 'Check which symmetries a denoiser keeps, against what it claims',
      load: [() => import('./commands/verify.ts')],
    },
    {
      word: 'new',
      about: 'Write a working denoiser, encoder or experiment with its test, to start from',
      load: [() => import('./commands/new.ts')],
    },
    {
      word: 'test',
      about: 'Run tests of your own files, such as `weightloom new` writes',
      load: [() => import('./commands/test.ts')],
    },
    {
      word: 'doctor',
      about: 'Say which backend computes here, how fast, and why a better one was not taken',
      load: [() => import('./commands/doctor.ts')],
    },
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

/** Takes `--backend NAME` out of the words: every command has it. */
function takeBackend(argv: readonly string[]): string[] {
  const words = [...argv];
  const at = words.findIndex(word => word === '--backend' || word.startsWith('--backend='));
  const end = words.indexOf('--');
  if (at < 0 || (end >= 0 && end < at)) return words;
  const [word, next] = words.slice(at, at + 2);
  const name = word === '--backend' ? next : word.slice('--backend='.length);
  const USAGE = 2;
  process.env.WEIGHTLOOM_BACKEND = backendNamed(name ?? '', 'option --backend', USAGE);
  words.splice(at, word === '--backend' ? 2 : 1);
  return words;
}

/** Runs one command line and sets the exit code: 0 for success, 1 for bad input, 2 for bad usage. */
export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command('weightloom').description(about.description).version(about.version);
  program.configureHelp({ subcommandTerm: command => command.name() });
  program.option(
    '--backend <name>',
    'where to compute, for every command: loom, gpu, loom-gpu, tensorflow or cpu',
  );
  try {
    const words = takeBackend(argv);
    const [word] = words[0] === 'help' ? words.slice(1) : words;
    const asked = COMMANDS.find(command => command.word === word);
    if (asked) for (const load of asked.load) (await load()).register(program);
    else for (const { word, about: sentence } of COMMANDS) program.command(word).description(sentence);
    withUsageExits(program);
    await program.parseAsync(words, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has printed its message; asking for help or the version is no error.
      process.exitCode = error.exitCode === 0 ? 0 : 2;
    } else if (error instanceof UserError) {
      console.error(error.message);
      process.exitCode = error.exitCode;
    } else if ((error as Error)?.name === 'GpuError') {
      // By name: the module that has it loads the kernels.
      console.error((error as Error).message);
      process.exitCode = 1;
    } else if (sharpMissing(error)) {
      console.error(sharpMissing(error));
      process.exitCode = 1;
    } else {
      console.error(error);
      process.exitCode = 1;
    }
  }
}
