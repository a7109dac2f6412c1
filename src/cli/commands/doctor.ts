/** `weightloom doctor`: what computes here, how fast, and why nothing better does. */
import { cpus, totalmem } from 'node:os';
import type { Command } from 'commander';
import { buildNames, GpuError, type GpuReport, startGpu, statistics, stopGpu } from '../../compute/index.ts';
import { orThrow } from '../../config/index.ts';
import { denoiserKind } from '../../denoisers/index.ts';
import { SPECS, weightCount } from '../../nca/index.ts';
import {
  type BackendReport,
  loadTensorflow,
  randomStream,
  startBackend,
  tensorflowSummary,
  tf,
} from '../../tensor/index.ts';
import { sharpState } from '../sharp.ts';
import { jsonOption, keyValueTable, show } from '../tables.ts';

/** Milliseconds: the least of some after a warm-up, so that what else runs here counts least. */
async function leastTime(work: () => Promise<unknown>, times: number): Promise<number> {
  await work();
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < times; i++) {
    const start = performance.now();
    await work();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

/** Waits for a tensor's numbers, and lets it go. */
async function readOf(x: tf.Tensor): Promise<void> {
  await x.data();
  x.dispose();
}

/** GFLOP/s of a 512 x 512 x 512 product. */
async function productSpeed(): Promise<number> {
  const n = 512;
  const a = tf.ones<tf.Rank.R2>([n, n]);
  const least = await leastTime(() => readOf(tf.matMul(a, a)), 7);
  a.dispose();
  return (2 * n ** 3) / least / 1e6;
}

/** What is timed: a denoiser of each family as it comes, on the 48-96-12 spec with batch 8. */
const TIMED = ['transformer', 'edge-mpnn'];
const BATCH = 8;

/** Milliseconds of the gradient of a denoiser's mean square to all its variables, on the backend that runs. */
async function gradientTime(name: string): Promise<number> {
  const spec = SPECS.hypernca;
  const size = weightCount(spec);
  const kind = orThrow(denoiserKind(name));
  const denoiser = kind.build(kind.defaults, { spec, condition: null, seed: 0 });
  const weights = tf.tensor2d(randomStream(0, 'doctor').normals(BATCH * size), [BATCH, size]);
  const noise = tf.zeros<tf.Rank.R1>([BATCH]);
  const loss = () =>
    tf.mean(tf.square(denoiser.apply(weights, noise, null, { training: true }))) as tf.Scalar;
  const last = () => {
    const { grads } = tf.variableGrads(loss, Object.values(denoiser.variables));
    return Object.values(grads).at(-1)!;
  };
  const least = await leastTime(() => readOf(tf.tidy(last)), 3);
  denoiser.dispose();
  tf.dispose([weights, noise]);
  return least;
}

/** TensorFlow beside loom, measured where both run. */
async function comparison({ backend: running }: BackendReport): Promise<[string, string][]> {
  const reasons: { backend: string; reason: string }[] = [];
  const loaded = await loadTensorflow(reasons);
  if (!loaded) return reasons.map(({ backend, reason }) => [`${backend} does not run`, reason]);
  const rows: [string, string][] = running === 'tensorflow' ? [] : [['beside it', tensorflowSummary(loaded)]];
  for (const name of TIMED) {
    const times: Record<string, number> = {};
    for (const backend of ['loom', 'tensorflow']) {
      await tf.setBackend(backend);
      times[backend] = await gradientTime(name);
    }
    const ratio = times.tensorflow / times.loom;
    rows.push([
      `${name}, gradient`,
      `loom ${times.loom.toFixed(0)} ms, tensorflow ${times.tensorflow.toFixed(0)} ms: ` +
        (ratio >= 1 ? `loom is ${ratio.toFixed(1)}` : `tensorflow is ${(1 / ratio).toFixed(1)}`) +
        ' times as fast',
    ]);
  }
  return rows;
}

const gibOf = (bytes: number) => `${(bytes / 2 ** 30).toFixed(2)} GiB`;

/** What a GPU could do, or why there is none. */
async function gpuLines({ gpu: used }: BackendReport): Promise<[string, string][]> {
  let gpu: GpuReport;
  try {
    gpu = used ?? (await startGpu()).report;
    if (!used) stopGpu();
  } catch (error) {
    if (!(error instanceof GpuError)) throw error;
    return [['not gpu', error.message]];
  }
  const { name, vendor, architecture, features, maxBinding, maxBuffer, workgroupMemory, maxStorageBuffers } =
    gpu;
  return [
    ['gpu', `${name} (${[vendor, architecture].filter(Boolean).join(', ')})`],
    ['its features', features.join(', ') || 'none of those that are used'],
    [
      'its limits',
      `${gibOf(maxBuffer)} a buffer, ${gibOf(maxBinding)} a binding, ${maxStorageBuffers} buffers a shader, ${workgroupMemory / 1024} KiB of workgroup memory`,
    ],
    ...(used
      ? []
      : [
          [
            'not gpu',
            'never taken unasked: --backend gpu trains and grows NCAs on it, --backend loom-gpu has denoisers there too',
          ] as [string, string],
        ]),
  ];
}

/** The lines of the report, as pairs. */
export async function diagnosis(report: BackendReport): Promise<[string, string][]> {
  const cores = cpus();
  return [
    ['backend', report.summary],
    ...report.passedOver.map(({ backend, reason }): [string, string] => [`not ${backend}`, reason]),
    ['512 x 512 product', `${(await productSpeed()).toFixed(0)} GFLOP/s`],
    ...(await gpuLines(report)),
    ...(await comparison(report)),
    ['kernels', buildNames[report.build]],
    ['threads', `${report.threads} of ${cores.length} cores (WEIGHTLOOM_THREADS changes it)`],
    ['tensor memory', `${(statistics().limit / 2 ** 30).toFixed(1)} GiB at most`],
    ['machine', `${cores[0]?.model.trim() ?? 'unknown'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`],
    ['Node', `${process.version}, V8 ${process.versions.v8}, ${process.platform} ${process.arch}`],
    ['tfjs', tf.version_core],
  ];
}

export function register(program: Command): void {
  program
    .command('doctor')
    .description('Say which backend computes here, how fast, and why a better one was not taken')
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  weightloom doctor\n  WEIGHTLOOM_BACKEND=loom weightloom doctor')
    .action(async ({ json }: { json?: boolean }) => {
      const rows = [...(await diagnosis(await startBackend())), ['pictures', await sharpState()]];
      show(json, Object.fromEntries(rows), keyValueTable);
    });
}
