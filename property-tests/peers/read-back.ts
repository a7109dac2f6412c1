/**
 * What `weightloom export` writes, read back by the programs it is written for: `npm run peers`, outside `npm test`.
 *
 * Wants Python packages, all on PyPI, in a virtual environment that WEIGHTLOOM_PYTHON names the interpreter of:
 *   python3 -m venv ~/peers && ~/peers/bin/pip install torch numpy onnx onnxruntime networkx torch_geometric tensorboard safetensors
 *   WEIGHTLOOM_PYTHON=~/peers/bin/python npm run peers
 *
 * Everything is exported into a folder for a while, beside the numbers that are expected; read_back.py opens each file with its own tool,
 * compares, and prints versions and results. Exit code 1 when anything differs.
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { orThrow, settle } from '../../src/config/index.ts';
import { prepareTraining, readModel, runTraining, trainConfig } from '../../src/experiment/index.ts';
import { exportDenoiser, exportNcas, type NamedNca, NCA_TARGETS } from '../../src/export/index.ts';
import { type NdArray, writeSafetensors } from '../../src/formats/index.ts';
import { maskBit, rollout, SPECS, toRgb, weightCount } from '../../src/nca/index.ts';
import { randomStream, startBackend, tf } from '../../src/tensor/index.ts';
import { writeTinyZoo } from '../tiny-zoo.ts';

const GRID = { batch: 2, height: 9, width: 14 };
const STEPS = 12;
const random = randomStream(1, 'read-back');

/** Channels last to channels first, as ONNX wants it. */
const channelsFirst = (x: tf.Tensor4D): NdArray =>
  tf.tidy(() => {
    const moved = tf.transpose(x, [0, 3, 1, 2]);
    return { shape: moved.shape, data: moved.dataSync() as Float32Array };
  });

/** A rollout of ours, all masks and states: what the ONNX step has to repeat. */
function expectedStates({ weights: { spec, flat } }: NamedNca): Record<string, NdArray> {
  const { batch, height, width } = GRID;
  const seeds = [11, 12];
  const grid = [batch, height, width, spec.channels] as [number, number, number, number];
  const initial = tf.tensor4d(
    random.normals(
      grid.reduce((a, b) => a * b),
      0,
      0.5,
    ),
    grid,
  );
  const weights = tf.tensor2d(flat, [1, flat.length]);
  const states = Array.from({ length: STEPS + 1 }, (_, steps) =>
    steps === 0 ? initial : rollout(spec, weights, initial, { steps, seeds }),
  );
  const masks = Array.from({ length: STEPS }, (_, step) =>
    seeds.map(seed =>
      Array.from({ length: height * width }, (_, cell) =>
        Number(maskBit(seed, step, Math.floor(cell / width), cell % width)),
      ),
    ),
  );
  const all = states.map(channelsFirst);
  return {
    states: { shape: [all.length, ...all[0].shape], data: concatenated(all) },
    masks: { shape: [STEPS, batch, 1, height, width], data: Float32Array.from(masks.flat(2)) },
    picture: channelsFirst(toRgb(spec, states[STEPS])),
  };
}

const concatenated = (arrays: readonly NdArray[]) =>
  Float32Array.from(arrays.flatMap(({ data }) => [...(data as Float32Array)]));

async function exportEverything(root: string): Promise<void> {
  for (const [name, spec] of Object.entries(SPECS)) {
    const nca = {
      name,
      weights: { spec, flat: random.normals(weightCount(spec), 0, 0.03) },
    };
    const refused: string[] = [];
    for (const target of NCA_TARGETS) {
      const [file] = await settle(exportNcas(target, join(root, name, target), [nca], true)).catch(error => {
        refused.push(`${target}: ${(error as Error).message}`);
        return [''];
      });
      if (file) console.log(`written: ${name}, ${target}`);
    }
    for (const message of refused) console.log(`refused: ${message}`);
    await settle(
      writeSafetensors(join(root, name, 'expected'), {
        flat: { shape: [nca.weights.flat.length], data: nca.weights.flat },
        ...expectedStates(nca),
      }),
    );
  }
}

/** Trains the smallest transformer for a few steps and exports it, with an output of its denoiser. */
async function exportTraining(root: string): Promise<void> {
  const zoo = await writeTinyZoo(join(root, 'zoo'));
  const config = {
    zoo,
    denoiser: { kind: 'transformer', width: 16, layers: 2, heads: 2, noiseWidth: 8 },
    training: { steps: 6, batch: 4, warmup: 2, validationBins: 3 },
    preview: null,
    logEvery: 2,
  };
  const job = await prepareTraining(orThrow(trainConfig(config, 'read-back')), 'read-back');
  const run = join(root, 'run');
  await runTraining(job, { folder: run, resume: false, progress: () => ({ update() {}, stop() {} }) });
  job.dispose();
  await settle(exportDenoiser(run, join(root, 'denoiser')));
  const { denoiser, encoder, spec } = await readModel(run);
  const batch = 3;
  const size = weightCount(spec);
  const weights = tf.tensor2d(random.normals(batch * size), [batch, size]);
  const noise = tf.tensor1d(random.normals(batch));
  const { tokens, width } = encoder!;
  const condition = {
    tokens: tf.tensor3d(random.normals(batch * tokens * width), [batch, tokens, width]),
    present: tf.ones<tf.Rank.R1>([batch]),
  };
  const array = (x: tf.Tensor): NdArray => ({ shape: x.shape, data: x.dataSync() as Float32Array });
  await settle(
    writeSafetensors(join(root, 'denoiser-expected'), {
      weights: array(weights),
      noise: array(noise),
      condition: array(condition.tokens),
      output: array(denoiser.apply(weights, noise, condition)),
    }),
  );
}

const root = await mkdtemp(join(tmpdir(), 'weightloom-read-back-'));
try {
  console.log((await startBackend()).summary);
  await exportEverything(root);
  await exportTraining(root);
  await writeFile(join(root, 'names.json'), JSON.stringify(Object.keys(SPECS)));
  const python = process.env.WEIGHTLOOM_PYTHON ?? 'python3';
  const script = fileURLToPath(new URL('read_back.py', import.meta.url));
  const { status, error } = spawnSync(python, [script, root], { stdio: 'inherit' });
  if (error) console.error(`${python}: ${error.message}`);
  process.exitCode = status ?? 1;
} finally {
  await rm(root, { recursive: true, force: true });
}
process.exit();
