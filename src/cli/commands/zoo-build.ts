import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { attempt, decode, orThrow, parseYaml, settle } from '../../config/index.ts';
import { buildZoo, configHash, ZooBuildCodec } from '../../data/index.ts';
import { interruption, type Progress, progressBar } from '../../runs/index.ts';
import { startBackend } from '../../tensor/index.ts';
import { group } from '../group.ts';
import { type LaunchFlags, launchOptions } from '../launching.ts';
import { whole } from '../options.ts';

/** "2/3": the second of three processes. */
const share = (text: string) => {
  const [index, count] = text.split('/').map(Number);
  if (!Number.isInteger(index) || !Number.isInteger(count) || index < 1 || index > count) {
    throw new InvalidArgumentError('It must look like 1/2: the first of two.');
  }
  return { index: index - 1, count };
};

async function readConfig(path: string) {
  const value = await settle(attempt(path, async () => parseYaml(await readFile(path, 'utf8'), path)));
  return orThrow(decode(ZooBuildCodec, value, path));
}

interface Options extends LaunchFlags {
  out?: string;
  limit?: number;
  work: string;
  part?: { index: number; count: number };
  only?: 'base' | 'part';
}

export function register(program: Command): void {
  const build = group(program, 'zoo')
    .command('build')
    .description('Train a zoo of NCAs on procedural textures, all fine-tuned from one base')
    .argument('<config>', 'YAML file, such as configs/zoo/embedded.yaml')
    .option('--out <folder>', 'folder of the zoo, instead of the one in the configuration')
    .option('--limit <count>', 'only the first few textures', whole(1))
    .option('--work <folder>', 'where finished NCAs are kept until the zoo is whole', 'runs/zoo')
    .option('--part <i/n>', 'train only this share of the textures: for n processes at once', share)
    .addOption(
      new Option(
        '--only <what>',
        'end when the base, or this --part, is trained; another process writes the zoo',
      ).choices(['base', 'part']),
    )
    .option('--dry-run', 'with --launcher slurm: print the scripts and stop')
    .addHelpText(
      'after',
      `
A build that was stopped goes on where it was when the same command is given again. Several processes may share the work, each with
a --part of its own (and WEIGHTLOOM_THREADS=1); the one that ends last writes the zoo, or the command without --part does.

--jobs 4 starts four such processes, --jobs 50 --launcher slurm fifty tasks of a Slurm array (configs/launcher/slurm.yaml has the
directives), a job before them for the base and one behind them that writes the zoo.

Examples:
  weightloom zoo build configs/zoo/embedded.yaml --out runs/my-zoo
  weightloom zoo build configs/zoo/embedded.yaml --jobs 50 --launcher slurm --launch partition=cpu time=2:00:00 cpus=1`,
    )
    .action(async (path: string, options: Options) => {
      const read = await readConfig(path);
      const config = { ...read, out: options.out ?? read.out };
      if (options.launcher !== 'local' || options.jobs > 1) {
        const { launchBuild } = await import('../launch-build.ts');
        const folder = join(options.work, configHash(config));
        const limit = options.limit === undefined ? [] : ['--limit', String(options.limit)];
        const words = [path, '--out', config.out, '--work', options.work, ...limit];
        if (!(await launchBuild({ folder, words }, options))) return;
      }
      await startBackend();
      const { signal, release } = interruption();
      let bar: Progress | undefined;
      let stage = '';
      try {
        const result = await settle(
          buildZoo(config, {
            work: options.work,
            limit: options.limit,
            part: options.part,
            only: options.only,
            signal,
            command: `weightloom zoo build ${path}`,
            onProgress(progress) {
              if (progress.stage !== stage) {
                bar?.stop();
                stage = progress.stage;
                bar = progressBar(stage, progress.total, progress.done);
              }
              bar?.update(progress.done, `loss ${progress.loss.toPrecision(3)}`);
            },
          }),
        );
        bar?.stop();
        bar = undefined;
        if (result.finished) console.log(`${config.out}: ${result.total} NCAs`);
        else {
          console.error(
            `stopped with ${result.trained} of ${result.total} NCAs trained, kept in ${result.workFolder}; the same command goes on`,
          );
          // Not so a process that has done its share.
          if (signal.aborted) process.exitCode = 130;
        }
      } finally {
        bar?.stop();
        release();
      }
    });
  launchOptions(build, { of: 'processes, or tasks of the cluster, that share the work' });
}
