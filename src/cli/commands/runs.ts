/** `weightloom runs`: lists, shows, compares and resumes runs. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Command } from 'commander';
import {
  orThrow,
  parseYaml,
  printConfig,
  refuse,
  type Trusted,
  trusting,
  UserError,
  userModules,
} from '../../config/index.ts';
import {
  checkpointFolder,
  MODEL,
  prepareTraining,
  resumeExperiment,
  runTraining,
  type TrainConfig,
  tellOfBackend,
  trainConfig,
} from '../../experiment/index.ts';
import { parseJson } from '../../formats/index.ts';
import {
  damageOf,
  type Environment,
  finishedParts,
  interruption,
  lockRun,
  progressBar,
  RESULTS,
  readMetrics,
  readSubmissions,
  type TaskState,
  taskStates,
} from '../../runs/index.ts';
import { startBackend } from '../../tensor/index.ts';
import { checkpointSteps } from '../../training/index.ts';
import { group } from '../group.ts';
import { duration, jsonOption, keyValueTable, show, table } from '../tables.ts';
import { report } from './train.ts';

interface Run {
  readonly path: string;
  readonly config: Record<string, unknown>;
  readonly environment: Partial<Environment> & { readonly command?: string };
  readonly metrics: readonly Record<string, unknown>[];
  /** Why its results cannot be read; null where they can, or there are none. */
  readonly damage: UserError | null;
}

/** A file's content; what is wrong with it is told with its name, in one line. */
function told(path: string, read: (text: string, path: string) => unknown): unknown {
  try {
    const text = readFileSync(path, 'utf8');
    return text.trim() === '' ? null : read(text, path);
  } catch (error) {
    if (error instanceof UserError) throw error;
    return refuse(path, 'a file that can be read', (error as Error).message.split('\n')[0]);
  }
}

const mapping = (value: unknown, path: string): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : refuse(
        path,
        'a mapping of keys to values',
        value === null ? 'an empty file' : `${JSON.stringify(value)}`.slice(0, 60),
      );

async function readRun(path: string): Promise<Run> {
  const file = join(path, 'config.yaml');
  if (!existsSync(file)) refuse(path, 'a run folder, with config.yaml in it', 'none');
  const environment = join(path, 'environment.json');
  try {
    return {
      path,
      config: mapping(told(file, parseYaml), file),
      environment: existsSync(environment) ? mapping(told(environment, parseJson), environment) : {},
      metrics: readMetrics(path),
      damage: await damageOf(path),
    };
  } catch (error) {
    if (error instanceof UserError) throw error;
    return refuse(path, 'a run folder that can be read', (error as Error).message.split('\n')[0]);
  }
}

const isTraining = ({ config }: Run) => 'training' in config && 'checkpoint' in config;

/** The latest value logged under a name. */
const latest = ({ metrics }: Run, name: string): unknown =>
  metrics.findLast(record => name in record)?.[name];
const latestNumber = (run: Run, name: string) => {
  const value = latest(run, name);
  return typeof value === 'number' ? Number(value.toPrecision(4)) : '';
};
const validationLoss = (run: Run) => {
  const loss = (latest(run, 'validation') as { loss?: number } | undefined)?.loss;
  return loss === undefined ? '' : Number(loss.toPrecision(4));
};

function state(run: Run): string {
  if (!isTraining(run)) {
    if (run.damage) return 'results damaged';
    if (existsSync(join(run.path, RESULTS))) return 'finished';
    const parts = finishedParts(run.path);
    return parts === 0 ? 'unfinished' : `unfinished, ${parts} part${parts === 1 ? '' : 's'} done`;
  }
  const steps = Number((run.config.training as { steps?: unknown } | null)?.steps);
  if (existsSync(join(run.path, MODEL))) return 'finished';
  const step = checkpointSteps(checkpointFolder(run.path)).at(-1) ?? 0;
  return `${Math.floor((100 * step) / steps)}%`;
}

/** The kind a section of the configuration names, such as that of the denoiser. */
const kindOf = (run: Run, section: string, key = 'kind') =>
  String((run.config[section] as Record<string, unknown> | null | undefined)?.[key] ?? '');

/** What `runs list` says of a run; `slurm` only where a launcher submitted something here. */
function listed(run: Run): Record<string, string | number> {
  return {
    run: basename(run.path),
    denoiser: kindOf(run, 'denoiser'),
    encoder: kindOf(run, 'encoder'),
    diffusion: kindOf(run, 'diffusion', 'process'),
    state: state(run),
    step: latestNumber(run, 'step'),
    loss: latestNumber(run, 'loss'),
    validation: validationLoss(run),
  };
}

async function list(folder: string, { json }: { json?: boolean }): Promise<void> {
  if (!existsSync(folder)) refuse(folder, 'a folder of runs', 'nothing there');
  if (!statSync(folder).isDirectory()) refuse(folder, 'a folder of runs', 'a file');
  // Links that lead nowhere, and folders that go while this looks, are no runs.
  const time = (path: string) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const paths = readdirSync(folder)
    .map(name => join(folder, name))
    .filter(path => existsSync(join(path, 'config.yaml')))
    .sort((a, b) => time(a) - time(b));
  const rows: Record<string, string | number>[] = [];
  for (const path of paths) {
    try {
      const run = await readRun(path);
      if (run.damage) console.error(run.damage.message);
      rows.push(listed(run));
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      console.error(error.message);
      rows.push({ ...EMPTY, run: basename(path), state: 'damaged' });
    }
  }
  const submitted = [...new Set(readSubmissions(folder).flatMap(({ tasks }) => tasks))];
  const states = taskStates(folder);
  // Tasks that have not begun have no run folder yet.
  const tasks = [...rows.map(({ run }) => String(run)), ...submitted].filter(
    (id, i, all) => all.indexOf(id) === i,
  );
  const all =
    submitted.length === 0
      ? rows
      : tasks.map(id => ({
          ...(rows.find(({ run }) => run === id) ?? { ...EMPTY, run: id }),
          ...slurmColumns(states.get(id), submitted.includes(id)),
        }));
  show(json, all, () =>
    table(
      Object.keys(all[0] ?? EMPTY),
      all.map(row => Object.values(row)),
    ),
  );
}

const EMPTY = {
  run: '',
  denoiser: '',
  encoder: '',
  diffusion: '',
  state: '',
  step: '',
  loss: '',
  validation: '',
};

const slurmColumns = (task: TaskState | undefined, submitted: boolean) => ({
  slurm: task?.state ?? (submitted ? 'not known any more' : ''),
  job: task?.job ?? '',
});

async function showRun(path: string, { json }: { json?: boolean }): Promise<void> {
  const run = await readRun(path);
  if (run.damage) console.error(run.damage.message);
  const { environment } = run;
  const seconds = latest(run, 'seconds');
  const facts = {
    command: environment.command ?? '',
    state: state(run),
    step: latestNumber(run, 'step'),
    loss: latestNumber(run, 'loss'),
    'validation loss': validationLoss(run),
    time: typeof seconds === 'number' ? duration(seconds) : '',
    weightloom: `${environment.weightloom ?? '?'} (${environment.commit ?? 'no commit'})`,
    machine: `${environment.cpu ?? '?'}, node ${environment.node ?? '?'}`,
    files: readdirSync(path).join(', '),
  };
  show(json, { config: run.config, ...facts }, () => `${printConfig(run.config)}\n${keyValueTable(facts)}`);
}

/** What differs between configurations, then the latest figures side by side. */
async function compare(paths: readonly string[], { json }: { json?: boolean }): Promise<void> {
  const runs = await Promise.all(paths.map(readRun));
  const flat = runs.map(run => leaves(run.config));
  const keys = [...new Set(flat.flatMap(leaf => [...leaf.keys()]))].filter(
    key => new Set(flat.map(leaf => leaf.get(key))).size > 1,
  );
  const figures: [string, (run: Run) => string | number][] = [
    ['state', state],
    ['step', run => latestNumber(run, 'step')],
    ['loss', run => latestNumber(run, 'loss')],
    ['rollout loss', run => latestNumber(run, 'rolloutLoss')],
    ['validation loss', validationLoss],
    ['seconds', run => latestNumber(run, 'seconds')],
  ];
  const columns = runs.map((run, i) => ({
    ...Object.fromEntries(keys.map(key => [key, flat[i].get(key) ?? ''])),
    ...Object.fromEntries(figures.map(([name, of]) => [name, of(run)])),
  })) as Record<string, string | number>[];
  show(json, Object.fromEntries(paths.map((path, i) => [path, columns[i]])), () =>
    table(
      ['', ...paths.map(path => basename(path))],
      Object.keys(columns[0]).map(key => [key, ...columns.map(column => column[key])]),
    ),
  );
}

/** Values of nested mappings by their path. */
function leaves(value: unknown, path = ''): Map<string, string> {
  const nested = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!nested) return new Map([[path, JSON.stringify(value)]]);
  return new Map(
    Object.entries(value).flatMap(([key, inner]) => [...leaves(inner, path === '' ? key : `${path}.${key}`)]),
  );
}

async function resume(path: string, modules: readonly string[], { trust }: Trusted): Promise<void> {
  const run = await readRun(path);
  if (run.damage) console.error(run.damage.message);
  const file = join(path, 'config.yaml');
  if (state(run) === 'finished') {
    console.log(`${path}: finished already`);
    return;
  }
  if (!isTraining(run)) {
    await resumeExperiment(path, { modules, trust });
    return;
  }
  const config = orThrow(trainConfig(run.config, file));
  const leave = await lockRun(path);
  try {
    await resumeTraining(run, config, { modules, trust });
  } finally {
    await leave();
  }
}

async function resumeTraining(
  { path, environment }: Run,
  config: TrainConfig,
  { modules = [], trust }: Trusted,
) {
  const file = join(path, 'config.yaml');
  await startBackend();
  tellOfBackend(path, environment.backend);
  const recorded = environment.modules as Record<string, string> | undefined;
  const option = `weightloom runs resume ${path}`;
  const job = await trusting({ where: file, modules, recorded, all: trust, option }, () =>
    prepareTraining(config, file, { progress: progressBar }),
  );
  const { signal, release } = interruption();
  try {
    const result = await runTraining(job, { folder: path, resume: true, signal, progress: progressBar });
    report(path, result, Object.keys(userModules(config)));
  } finally {
    release();
    job.dispose();
  }
}

export const register = (program: Command): void => {
  const runs = group(program, 'runs');
  runs
    .command('list')
    .description('The runs in a folder, oldest first')
    .argument('[folder]', 'of runs, or of a sweep', 'runs')
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ weightloom runs list')
    .action(list);
  runs
    .command('show')
    .description('Configuration, state and latest figures of a run')
    .argument('<run>', 'its folder')
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ weightloom runs show runs/graph')
    .action(showRun);
  runs
    .command('compare')
    .description('What differs between runs, and their latest figures side by side')
    .argument('<runs...>', 'their folders')
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ weightloom runs compare runs/graph runs/transformer')
    .action(compare);
  runs
    .command('resume')
    .description(
      'Go on with a stopped run: a training from its latest checkpoint, an experiment with the parts it had finished',
    )
    .argument('<run>', 'its folder')
    .argument('[modules...]', 'the TypeScript files of your own that it was begun with')
    .option('--trust', 'run the code that the folder names, and show its file and SHA-256')
    .addHelpText(
      'after',
      `
A folder's content never names code: an experiment, denoiser or encoder of your own is named again.

Examples:
  $ weightloom runs resume runs/graph
  $ weightloom runs resume runs/mine ./my-experiment.ts ./my-denoiser.ts`,
    )
    .action(resume);
};
