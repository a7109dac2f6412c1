import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { loadConfig, pastable, settle } from '../../config/index.ts';
import {
  buildZoo,
  configHash,
  type Survey,
  surveyPictures,
  ZooBuildCodec,
  type ZooBuildConfig,
} from '../../data/index.ts';
import { interruption, type Progress, progressBar } from '../../runs/index.ts';
import { startBackend } from '../../tensor/index.ts';
import { group } from '../group.ts';
import { type LaunchFlags, launchOptions } from '../launching.ts';

/** "2/3": the second of three processes. */
const share = (text: string) => {
  const [index, count] = text.split('/').map(Number);
  if (!Number.isInteger(index) || !Number.isInteger(count) || index < 1 || index > count) {
    throw new InvalidArgumentError('It must look like 1/2: the first of two.');
  }
  return { index: index - 1, count };
};

interface Options extends LaunchFlags {
  out?: string;
  work: string;
  part?: { index: number; count: number };
  only?: 'base' | 'part';
  survey?: boolean;
}

/** Rows of a table that are shown before the rest is only counted. */
const SHOWN = 20;

async function printTable(head: string[], rows: readonly string[][], shown: number) {
  const { default: Table } = await import('cli-table3');
  const table = new Table({ head, style: { head: [], border: [], compact: true } });
  table.push(...rows.slice(0, shown));
  console.log(table.toString());
  if (rows.length > shown) console.log(`... and ${rows.length - shown} more`);
}

const counted = (values: readonly string[]) => {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].map(([value, count]) => `${count} ${value}`).join(', ');
};

async function printSurvey({ taken, leftOut, notes }: Survey, shown: number) {
  for (const note of notes) console.log(note);
  const groups = new Set(taken.map(({ group }) => group)).size;
  const doubtful = taken.filter(({ doubt }) => doubt !== null);
  console.log(
    `${taken.length} pictures in ${groups} groups: ${counted(taken.map(({ split }) => split))}` +
      `; ${leftOut.length} left out${doubtful.length > 0 ? `; ${doubtful.length} doubtful ones kept` : ''}.`,
  );
  const doubts = [
    ...leftOut.map(({ name, reason }) => [name, 'left out', reason]),
    ...doubtful.map(({ name, doubt }) => [name, 'kept', doubt!]),
  ];
  if (doubts.length > 0) await printTable(['picture', '', 'why'], doubts, shown);
}

async function printPictures({ taken }: Survey) {
  const rows = taken.map(picture => [
    picture.name,
    `${picture.width} x ${picture.height}`,
    picture.pixelsPerTexel.toPrecision(3),
    picture.deviation.toFixed(3),
    picture.unevenness.toFixed(2),
    picture.split,
    picture.group === picture.name ? '' : picture.group,
  ]);
  const head = ['picture', 'pixels', 'per texel', 'deviation', 'unevenness', 'split', 'group'];
  await printTable(head, rows, rows.length);
}

async function showSurvey(config: ZooBuildConfig) {
  if (Array.isArray(config.textures))
    return console.log(`${config.out}: procedural textures, nothing to look at`);
  const survey = await surveyPictures(config.textures, config.picture.target);
  await printPictures(survey);
  await printSurvey(survey, Number.POSITIVE_INFINITY);
}

async function build(path: string, overrides: string[], options: Options) {
  const { value } = await settle(loadConfig(ZooBuildCodec, path, { overrides }));
  const config = { ...value, out: options.out ?? value.out };
  if (options.survey) return showSurvey(config);
  if (options.launcher !== 'local' || options.jobs > 1) {
    const { launchBuild } = await import('../launch-build.ts');
    const folder = join(options.work, configHash(config));
    const words = [path, ...overrides, '--out', config.out, '--work', options.work];
    if (!(await launchBuild({ folder, words }, options))) return;
  }
  await startBackend();
  const { signal, release } = interruption();
  let bar: Progress | undefined;
  let stage = '';
  const endBar = () => {
    bar?.stop();
    bar = undefined;
    stage = '';
  };
  let told: Promise<void> | undefined;
  try {
    const result = await settle(
      buildZoo(config, {
        work: options.work,
        part: options.part,
        only: options.only,
        signal,
        command: ['weightloom zoo build', path, ...overrides].join(' '),
        onSurvey(survey) {
          endBar();
          told = printSurvey(survey, SHOWN);
        },
        onNote(sentence) {
          endBar();
          console.error(sentence);
        },
        onProgress(progress) {
          if (progress.stage !== stage) {
            endBar();
            stage = progress.stage;
            bar = progressBar(stage, progress.total, progress.done);
          }
          bar?.update(
            progress.done,
            progress.loss === undefined ? '' : `loss ${progress.loss.toPrecision(3)}`,
          );
        },
      }),
    );
    endBar();
    await told;
    if (!result.finished) {
      console.error(
        `stopped with ${result.trained} of ${result.total} NCAs trained, kept in ${result.workFolder}; the same command goes on`,
      );
      // Not so a process that has done its share.
      if (signal.aborted) process.exitCode = 130;
      return;
    }
    const { leftOut, total, medianLoss, baseLoss } = result;
    if (leftOut.length > 0) {
      await printTable(
        ['NCA left out', 'why'],
        leftOut.map(({ name, reason }) => [name, reason]),
        SHOWN,
      );
    }
    const ofBase = baseLoss === null ? '' : ` (the base's own: ${baseLoss.toPrecision(3)})`;
    console.log(
      `${config.out}: ${total - leftOut.length} NCAs, median loss ${medianLoss.toPrecision(3)}${ofBase}, ` +
        `${leftOut.length} of ${total} left out (${((100 * leftOut.length) / total).toFixed(1)} %)\n` +
        `to look at it: ${pastable('zoo', 'info', config.out, '--sheet', `${config.out}.png`)}`,
    );
  } finally {
    endBar();
    release();
  }
}

export function register(program: Command): void {
  const command = group(program, 'zoo')
    .command('build')
    .description('Train a zoo of NCAs on pictures or procedural textures, all fine-tuned from one base')
    .argument('<config>', 'YAML file, such as configs/zoo/photographs-compact.yaml')
    .argument('[overrides...]', 'key=value for any key of it, such as textures.images=photos limit=24')
    .option('--out <folder>', 'folder of the zoo, instead of the one in the configuration')
    .option('--work <folder>', 'where finished NCAs are kept until the zoo is whole', 'runs/zoo')
    .option('--part <i/n>', 'train only this share of the textures: for n processes at once', share)
    .addOption(
      new Option(
        '--only <what>',
        'end when the base, or this --part, is trained; another process writes the zoo',
      ).choices(['base', 'part']),
    )
    .option('--dry-run', 'with --launcher slurm: print the scripts and stop')
    .option('--survey', 'only look at the pictures, and say what would be taken')
    .addHelpText(
      'after',
      `
A build that was stopped goes on where it was when the same command is given again. Several processes may share the work, each with
a --part of its own (and WEIGHTLOOM_THREADS=1); the one that ends last writes the zoo, or the command without --part does.

--jobs 4 starts four such processes, --jobs 50 --launcher slurm fifty tasks of a Slurm array (configs/launcher/slurm.yaml has the
directives), a job before them for the base and one behind them that writes the zoo.

A manifest.tsv beside the pictures (or in the folder above) is read: columns name, source, licence, set (train, validation, held-out), group.

Examples:
  weightloom zoo build configs/zoo/photographs-compact.yaml textures.images=photos limit=24
  weightloom zoo build configs/zoo/photographs-compact.yaml textures.images='photos/*.jpg' --survey
  weightloom zoo build configs/zoo/procedural.yaml --out runs/my-zoo
  weightloom zoo build configs/zoo/procedural.yaml --jobs 50 --launcher slurm --launch partition=cpu time=2:00:00 cpus=1`,
    )
    .action(build);
  launchOptions(command, { of: 'processes, or tasks of the cluster, that share the work' });
}
