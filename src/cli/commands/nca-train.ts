/** `weightloom nca train`: trains one NCA to grow the texture of a picture. */
import { existsSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { failure, settle, suggestion, UserError } from '../../config/index.ts';
import type { Picture } from '../../formats/index.ts';
import type { NcaSpec } from '../../nca/index.ts';

const positive = (text: string) => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('It must be a whole number from 1.');
  return value;
};
const number = (text: string) => {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('It must be a number above 0.');
  return value;
};

interface Options {
  out?: string;
  size: number;
  spec: string;
  iterations: number;
  batch: number;
  pool: number;
  minSteps: number;
  maxSteps: number;
  learningRate: number;
  seed: number;
  snapshots: number;
  from?: string;
}

export function register(program: Command): void {
  const nca =
    program.commands.find(command => command.name() === 'nca') ??
    program.command('nca').description('single NCAs');
  nca
    .command('train')
    .description('train an NCA to grow the texture of a picture')
    .argument('<image>', 'the picture: its centre square is scaled to the size')
    .option(
      '--out <folder>',
      'folder for weights, pictures and the state of the training (default: runs/nca/NAME-SIZE)',
    )
    .option('--size <cells>', 'grid cells a side', positive, 128)
    .option('--spec <name>', 'kind of NCA', 'hypernca')
    .option('--iterations <count>', 'iterations of the training', positive, 600)
    .option('--batch <count>', 'states per iteration', positive, 4)
    .option('--pool <count>', 'states kept', positive, 64)
    .option('--min-steps <count>', 'fewest steps per iteration', positive, 32)
    .option('--max-steps <count>', 'most steps per iteration', positive, 64)
    .option(
      '--learning-rate <number>',
      'of Adam; halved at a half, three quarters and nine tenths',
      number,
      2e-3,
    )
    .option('--seed <number>', 'seed of everything random', positive, 1)
    .option('--snapshots <count>', 'a picture every so many iterations', positive, 100)
    .option('--from <weights.safetensors>', 'weights to start from, as this command wrote them')
    .addHelpText(
      'after',
      `
A training that was stopped goes on where it was when the same command is given again.

Example:
  weightloom nca train bubbles.jpg --size 64 --out runs/bubbles`,
    )
    .action(train);
}

async function train(imagePath: string, options: Options): Promise<void> {
  const { SPECS, trainNca, weightCount } = await import('../../nca/index.ts');
  const { readImage, readSafetensors, writeSafetensors, writePng, writeGif } = await import(
    '../../formats/index.ts'
  );
  const { startBackend, tf } = await import('../../tensor/index.ts');
  const { interruption, progressBar } = await import('../../experiment/index.ts');
  const { size, iterations, batch, pool, minSteps, maxSteps, learningRate, seed } = options;
  if (!(options.spec in SPECS)) {
    const names = Object.keys(SPECS);
    throw new UserError(
      failure('option --spec', `one of ${names.join(', ')}`, `"${options.spec}"`, {
        hint: suggestion(options.spec, names),
      }),
      2,
    );
  }
  if (maxSteps < minSteps) {
    throw new UserError(
      failure('option --max-steps', `at least ${minSteps} (--min-steps)`, `${maxSteps}`),
      2,
    );
  }
  const spec: NcaSpec = SPECS[options.spec as keyof typeof SPECS];
  const picture = await settle(readImage(imagePath, { size, channels: 3 }));
  const name = basename(imagePath, extname(imagePath));
  const out = options.out ?? join('runs', 'nca', `${name}-${size}`);
  const at = (file: string) => join(out, file);
  // What decides the result: a state of another training is not gone on from.
  const decisive = JSON.stringify({ ...options, out: undefined, snapshots: undefined, imagePath });

  await startBackend();
  let state: Awaited<ReturnType<typeof trainNca>>['state'] | undefined;
  let losses: number[] = [];
  if (existsSync(at('state.safetensors'))) {
    const saved = await settle(readSafetensors(at('state.safetensors')));
    if (saved.metadata.options !== decisive) {
      throw new UserError(
        failure(at('state.safetensors'), 'the state of this training', 'that of one with other options', {
          hint: 'Choose another --out or remove it.',
        }),
      );
    }
    const { losses: known, ...rest } = saved.tensors;
    state = rest as typeof state;
    losses = Array.from(known.data);
  }
  let initial: Float32Array | undefined;
  if (options.from) {
    const { tensors } = await settle(readSafetensors(options.from, { names: ['weights'] }));
    initial = tensors.weights.data as Float32Array;
    if (initial.length !== weightCount(spec)) {
      throw new UserError(
        failure(options.from, `${weightCount(spec)} weights of the spec ${spec.name}`, `${initial.length}`),
      );
    }
  }

  const { signal, release } = interruption();
  const from = losses.length;
  const bar = progressBar('training', iterations, from);
  const target = tf.tensor4d(picture.data, [1, size, size, 3]);
  const pending: Promise<unknown>[] = [];
  try {
    const result = await trainNca(spec, target, {
      seed,
      height: size,
      width: size,
      iterations,
      pool,
      batch,
      steps: [minSteps, maxSteps + 1],
      learningRate,
      milestones: [0.5, 0.75, 0.9].map(part => Math.round(part * iterations)),
      initial,
      state,
      signal,
      onProgress({ iteration, losses: [loss], diverged }, { weights }) {
        losses.push(loss);
        bar.update(iteration, `loss ${loss.toPrecision(3)}${diverged.length > 0 ? ' (not finite)' : ''}`);
        if (iteration % options.snapshots === 0) {
          const file = `snapshots/${String(iteration).padStart(6, '0')}.png`;
          pending.push(
            growth(spec, weights.slice(), size, 200, 200, seed).then(f => settle(writePng(at(file), f[1]))),
          );
        }
      },
    });
    bar.stop();
    await Promise.all(pending);
    await settle(
      writeSafetensors(
        at('state.safetensors'),
        { ...result.state, losses: { shape: [losses.length], data: Float32Array.from(losses) } },
        { options: decisive },
      ),
    );
    if (!result.finished) {
      console.error(`stopped after ${losses.length} of ${iterations} iterations; the same command goes on`);
      process.exitCode = 130;
      return;
    }
    await settle(
      writeSafetensors(
        at('weights.safetensors'),
        { weights: { shape: [1, weightCount(spec)], data: result.weights } },
        { spec: JSON.stringify(spec), image: basename(imagePath), training: decisive },
      ),
    );
    const frames = await growth(spec, result.weights, size, 256, 4, seed);
    await settle(writeGif(at('growth.gif'), frames, { delay: 50 }));
    await settle(writePng(at('target.png'), picture));
    await settle(writePng(at('final.png'), frames[frames.length - 1]));
    await lossCurve(at('loss.png'), losses);
    console.log(`${out}: weights.safetensors, final.png, growth.gif, loss.png, target.png`);
  } finally {
    bar.stop();
    release();
    target.dispose();
  }
}

/** Pictures of the NCA growing from the seed state, one every `every` steps. */
async function growth(
  spec: NcaSpec,
  weights: Float32Array,
  size: number,
  steps: number,
  every: number,
  seed: number,
): Promise<Picture[]> {
  const { rollout, seedState, toRgb, weightCount } = await import('../../nca/index.ts');
  const { tf } = await import('../../tensor/index.ts');
  const frames: Picture[] = [];
  const flat = tf.tensor2d(weights, [1, weightCount(spec)]);
  let state = seedState(spec, 1, size, size);
  for (let step = 0; ; step += every) {
    const shown = tf.tidy(() => tf.clipByValue(toRgb(spec, state), 0, 1).dataSync() as Float32Array);
    frames.push({ width: size, height: size, data: shown.slice() });
    if (step >= steps) break;
    const next = rollout(spec, flat, state, { steps: every, seeds: [seed], firstStep: step });
    state.dispose();
    state = next;
  }
  tf.dispose([state, flat]);
  return frames;
}

async function lossCurve(path: string, losses: readonly number[]): Promise<void> {
  const { lineChart } = await import('../../experiment/index.ts');
  const { writeAtomically } = await import('../../formats/index.ts');
  const { default: sharp } = await import('sharp');
  const window = Math.max(1, Math.round(losses.length / 100));
  const smooth = losses.map((_, i) => {
    const part = losses.slice(Math.max(0, i - window), i + window + 1);
    return part.reduce((a, b) => a + b, 0) / part.length;
  });
  const points = [
    ...losses.map((y, x) => ({ series: 'iteration', x: x + 1, y })),
    ...smooth.map((y, x) => ({ series: 'mean', x: x + 1, y })),
  ];
  const svg = await lineChart({ x: 'iteration', y: 'texture loss', logY: true, points });
  const png = await sharp(Buffer.from(svg), { density: 144 })
    .flatten({ background: '#fff' })
    .png()
    .toBuffer();
  await settle(writeAtomically(path, png));
}
