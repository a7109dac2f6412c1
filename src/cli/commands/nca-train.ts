import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import type { Command } from 'commander';
import sharp from 'sharp';
import { failure, settle, UserError } from '../../config/index.ts';
import {
  loadWeights,
  renderFrames,
  renderNcas,
  WEIGHTS_HELP,
  wholeSpec,
  writeWeights,
} from '../../data/index.ts';
import {
  type NdArray,
  type Picture,
  readImage,
  readSafetensors,
  writeAtomically,
  writeGif,
  writePng,
  writeSafetensors,
} from '../../formats/index.ts';
import {
  type NcaSpec,
  patchSlicedWasserstein,
  SPECS,
  specText,
  type TrainedNcas,
  trainNca,
} from '../../nca/index.ts';
import { lineChart } from '../../report/index.ts';
import { checkThere, interruption, lockRun, progressBar } from '../../runs/index.ts';
import { startBackend, tf } from '../../tensor/index.ts';
import { group } from '../group.ts';
import { whole, within } from '../options.ts';
import { givenSpec, saySpec } from '../spec.ts';

interface Options {
  out?: string;
  size: number;
  grid: number;
  spec: string;
  iterations: number;
  batch: number;
  pool: number;
  minSteps: number;
  maxSteps: number;
  learningRate: number;
  overflow: number;
  seed: number;
  snapshots: number;
  from?: string;
}

/** NCA steps of the pictures that show the result. */
const SHOWN_STEPS = 300;

/** The state an earlier run of the same training left, and its losses. */
async function earlier(path: string, decisive: string, picture: { path: string; sha256: string }) {
  if (!existsSync(path)) return { state: undefined, losses: [] as number[] };
  const { tensors, metadata } = await settle(readSafetensors(path));
  if (metadata.options !== decisive) {
    throw new UserError(
      failure(path, 'the state of this training', 'that of one with other options', {
        hint: 'Choose another --out or remove it.',
      }),
    );
  }
  if (metadata.picture !== picture.sha256) {
    throw new UserError(
      failure(picture.path, `the picture that ${path} was trained on`, 'another one', {
        hint: 'Put the picture back, or choose another --out.',
      }),
    );
  }
  const { losses, ...state } = tensors;
  return { state: state as Record<string, NdArray>, losses: Array.from(losses.data) };
}

async function lossCurve(path: string, losses: readonly number[]): Promise<void> {
  const reach = Math.max(1, Math.round(losses.length / 100));
  const points = losses.flatMap((y, i) => {
    const near = losses.slice(Math.max(0, i - reach), i + reach + 1);
    const mean = near.reduce((a, b) => a + b, 0) / near.length;
    return [
      { series: 'one iteration', x: i + 1, y },
      { series: `mean of ${2 * reach + 1}`, x: i + 1, y: mean },
    ];
  });
  const svg = await lineChart({ x: 'iteration', y: 'texture loss', logY: true, points });
  const png = await sharp(Buffer.from(svg), { density: 144 })
    .flatten({ background: '#fff' })
    .png()
    .toBuffer();
  await settle(writeAtomically(path, png));
}

/** Everything that shows what came of it. */
async function writeResults(
  out: string,
  spec: NcaSpec,
  flat: Float32Array,
  picture: Picture,
  options: Options,
) {
  const shown = { steps: SHOWN_STEPS, size: options.size, seed: options.seed };
  await settle(writeWeights(join(out, 'weights.safetensors'), { spec, flat }));
  await settle(writePng(join(out, 'target.png'), picture));
  const frames: Picture[] = [];
  for await (const frame of renderFrames({ spec, flat }, { ...shown, frames: 60 })) frames.push(frame);
  await settle(writePng(join(out, 'final.png'), frames[frames.length - 1]));
  await settle(writeGif(join(out, 'growth.gif'), frames, { delay: 60 }));
}

async function train(path: string, options: Options): Promise<void> {
  const { size, minSteps, maxSteps } = options;
  const given = (await givenSpec(options.spec))!;
  const spec = wholeSpec(given);
  if (maxSteps < minSteps) {
    throw new UserError(failure('option --max-steps', `at least --min-steps, ${minSteps}`, `${maxSteps}`), 2);
  }
  const picture = await settle(readImage(path, { size, onDoubt: sentence => console.error(sentence) }));
  const initial =
    options.from === undefined ? undefined : await settle(loadWeights(options.from, { spec: given }));
  if (initial && JSON.stringify(initial.spec) !== JSON.stringify(spec)) {
    throw new UserError(failure('option --from', `weights of ${specText(spec)}`, specText(initial.spec)));
  }
  if (initial) await saySpec(initial.spec);
  const out = options.out ?? join('runs', 'nca', `${basename(path, extname(path))}-${size}`);
  const leave = await lockRun(out);
  try {
    await trainIn(out, { path, picture, spec, initial: initial?.flat }, options);
  } finally {
    await leave();
  }
}

interface Task {
  readonly path: string;
  readonly picture: Picture;
  readonly spec: NcaSpec;
  readonly initial: Float32Array | undefined;
}

/** Trains in a folder that no other process works in. */
async function trainIn(out: string, { path, picture, spec, initial }: Task, options: Options): Promise<void> {
  const { size, grid, iterations, batch, pool, minSteps, maxSteps, learningRate, overflow, seed } = options;
  const { out: _, snapshots, ...decisive } = options;
  const identity = JSON.stringify({ ...decisive, spec, path });
  const statePath = join(out, 'state.safetensors');
  const sha256 = createHash('sha256').update(picture.data).digest('hex');
  const { state, losses } = await earlier(statePath, identity, { path, sha256 });

  await startBackend();
  const { signal, release } = interruption();
  const bar = progressBar('training', iterations, losses.length);
  const target = tf.tensor4d(picture.data, [1, size, size, 3]);
  const keep = ({ state: tensors }: Pick<TrainedNcas, 'state'>) => {
    checkThere(out);
    return settle(
      writeSafetensors(
        statePath,
        { ...tensors, losses: { shape: [losses.length], data: Float32Array.from(losses) } },
        { options: identity, picture: sha256 },
      ),
    );
  };
  try {
    const result = await trainNca(spec, target, {
      seed,
      height: grid,
      width: grid,
      iterations,
      pool,
      batch,
      steps: [minSteps, maxSteps + 1],
      learningRate,
      overflow,
      loss: patchSlicedWasserstein({ projections: 32, factor: 100 }),
      milestones: [0.5, 0.75, 0.9].map(part => Math.round(part * iterations)),
      initial,
      state,
      signal,
      async onProgress({ iteration, losses: [loss], diverged }, trainer) {
        losses.push(loss);
        bar.update(iteration, `loss ${loss.toPrecision(3)}${diverged.length > 0 ? ' (not finite)' : ''}`);
        if (iteration % snapshots !== 0) return;
        const [shown] = await renderNcas(spec, await trainer.currentWeights(), {
          steps: SHOWN_STEPS,
          size,
          seed,
        });
        checkThere(out);
        await settle(writePng(join(out, 'snapshots', `${String(iteration).padStart(6, '0')}.png`), shown));
        await keep({ state: await trainer.state() });
      },
    });
    bar.stop();
    await keep(result);
    if (!result.finished) {
      console.error(
        `Stopped after ${losses.length} of ${iterations} iterations; the same command goes on from there.`,
      );
      process.exitCode = 130;
      return;
    }
    await writeResults(out, spec, result.weights, picture, options);
    await lossCurve(join(out, 'loss.png'), losses);
    console.log(`${out}: weights.safetensors, final.png, growth.gif, target.png, loss.png`);
  } finally {
    release();
    target.dispose();
  }
}

export const register = (program: Command): void => {
  group(program, 'nca')
    .command('train')
    .description('Train an NCA to grow the texture of a picture')
    .argument('<image>', 'the picture: its centre square is scaled to the size')
    .option('-o, --out <folder>', 'weights, pictures and state of the training (default: runs/nca/NAME-SIZE)')
    .option('--size <n>', 'pixels a side of the picture, and of the pictures grown', whole(20, 1024), 128)
    .option(
      '--grid <n>',
      'grid cells a side in training: fewer are faster, and the texture grows at any size',
      whole(20, 1024),
      40,
    )
    .option(
      '--spec <name|file>',
      `kind of NCA: ${Object.keys(SPECS).join(', ')}, or a YAML file with any of channels, hidden, filterScale, outputBias, clip, rgb`,
      'hypernca',
    )
    .option('--iterations <n>', 'of the training', whole(1), 1000)
    .option('--batch <n>', 'states an iteration', whole(1, 1024), 4)
    .option('--pool <n>', 'states kept', whole(1, 65536), 32)
    .option('--min-steps <n>', 'fewest NCA steps an iteration', whole(1), 32)
    .option('--max-steps <n>', 'most NCA steps an iteration', whole(1), 72)
    .option(
      '--learning-rate <x>',
      'halved after a half, three quarters and nine tenths',
      within(1e-6, 1),
      2e-3,
    )
    .option('--overflow <x>', 'weight of what leaves [-1, 1]', within(0, 1000), 0.1)
    .option('--seed <n>', 'of everything random', whole(), 1)
    .option('--snapshots <n>', 'a picture, and the state saved, every so many iterations', whole(1), 100)
    .option('--from <weights>', `start from ${WEIGHTS_HELP}`)
    .addHelpText(
      'after',
      `
A training that was stopped goes on where it was when the same command is given again.

Example:
  weightloom nca train bubbles.jpg --size 64 --out runs/bubbles`,
    )
    .action(train);
};
