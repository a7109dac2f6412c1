/**
 * NCAs on a GPU: rollouts with and without gradients, how the kernels are best cut, and whole training iterations. Prints lines and writes gpu.json to
 * $OUT; `bench/gpu-machine.sh` runs it beside its peers on a bare machine. SMALL=1: sizes for software Vulkan.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Gpu, startGpu } from '../src/compute/index.ts';
import type { CutChoice } from '../src/nca/gpu/plan.ts';
import { GpuRollout, NcaKernels } from '../src/nca/gpu/rollout.ts';
import {
  CpuEngine,
  type NcaSpec,
  patchSlicedWasserstein,
  SPECS,
  seedsFor,
  trainNca,
  weightCount,
} from '../src/nca/index.ts';
import { randomStream, startBackend, tf } from '../src/tensor/index.ts';

const SMALL = process.env.SMALL === '1';
const BUDGET = Number(process.env.GPU_BENCH_SECONDS ?? 150);
const out = process.env.OUT ?? '.';
const begun = performance.now();
const left = () => BUDGET - (performance.now() - begun) / 1000;
const median = (values: number[]) => [...values].sort((a, b) => a - b)[values.length >> 1];

// The processor's side; the GPU is opened beside it.
await startBackend({ prefer: 'loom' });
const gpu: Gpu = await startGpu();
const result = {
  device: gpu.report,
  rollouts: [] as object[],
  cuts: [] as object[],
  training: [] as object[],
  breakEven: [] as object[],
};
const save = () => writeFileSync(join(out, 'gpu.json'), JSON.stringify(result, null, 1));
console.log(`${gpu.report.name}; ${gpu.report.features.join(', ')}`);

interface Setting {
  readonly spec: NcaSpec;
  readonly batch: number;
  readonly size: number;
  readonly steps: number;
  readonly gradient: boolean;
  readonly cuts?: CutChoice;
}

/** Milliseconds of one rollout, everything on the device: median of a few after a warm-up. */
async function timeOf({ spec, batch, size, steps, gradient, cuts }: Setting, repeats = 5): Promise<number> {
  const kernels = await NcaKernels.compile(gpu, spec, { height: size, width: size }, batch, { cuts });
  const random = randomStream(1, 'bench');
  const one = random.normals(weightCount(spec), 0, 0.05);
  const all = new Float32Array(batch * one.length);
  for (let b = 0; b < batch; b++) all.set(one, b * one.length);
  const flat = gpu.upload(all, 'weights');
  const first = gpu.allocate(kernels.stateBytes(batch), 'state');
  gpu.clear(first);
  const times: number[] = [];
  for (let i = 0; i <= repeats && (i < 2 || left() > 3); i++) {
    const start = performance.now();
    const packed = kernels.pack(flat, batch);
    const keepEvery = gradient ? 1 : 0;
    const rollout = new GpuRollout(
      kernels,
      { batch, rows: batch, steps, firstStep: 0, seeds: seedsFor(i, batch), keepEvery },
      packed,
      first,
    );
    if (gradient) {
      const slope = gpu.allocate(kernels.stateBytes(batch), 'slope');
      gpu.copy(rollout.last, slope, kernels.stateBytes(batch));
      const { weights, state } = rollout.backward(slope);
      gpu.release(slope, weights, state);
    }
    rollout.dispose();
    gpu.release(packed);
    await gpu.idle();
    if (i > 0) times.push(performance.now() - start);
  }
  gpu.release(flat, first);
  gpu.trim();
  return median(times);
}

const rate = ({ batch, size, steps }: Setting, ms: number) => (batch * size * size * steps) / ms / 1e3;
const text = ({ spec, batch, size, steps, gradient }: Setting) =>
  `${spec.name}, ${batch} x ${size} x ${size}, ${steps} steps, forward${gradient ? ' and backward' : ''}`;

async function attempt(what: string, work: () => Promise<void>) {
  try {
    await work();
  } catch (error) {
    console.log(`${what}: ${(error as Error).message}`);
    gpu.faults.forgive();
  }
  save();
}

const { hypernca, compact } = SPECS;
const shapes = SMALL
  ? [
      [1, 32],
      [4, 32],
    ]
  : [
      [1, 128],
      [4, 128],
      [64, 128],
      [512, 64],
    ];
for (const spec of SMALL ? [compact] : [hypernca, compact]) {
  for (const [batch, size] of shapes) {
    for (const gradient of [false, true]) {
      const setting = { spec, batch, size, steps: SMALL ? 4 : 32, gradient };
      await attempt(text(setting), async () => {
        const ms = await timeOf(setting);
        console.log(`${text(setting)}: ${ms.toFixed(2)} ms, ${rate(setting, ms).toFixed(1)} M cell-steps/s`);
        result.rollouts.push({
          ...setting,
          spec: spec.name,
          ms,
          cellStepsPerSecond: 1e6 * rate(setting, ms),
        });
      });
    }
  }
}

// A whole training: what `zoo build` does with so many textures side by side.
const trainings = SMALL
  ? [{ spec: compact, textures: 2, size: 32, batch: 2, steps: [4, 8] as const }]
  : [
      { spec: hypernca, textures: 128, size: 64, batch: 2, steps: [32, 64] as const },
      { spec: compact, textures: 128, size: 64, batch: 2, steps: [24, 48] as const },
      { spec: hypernca, textures: 1, size: 128, batch: 4, steps: [32, 72] as const },
    ];
for (const { spec, textures, size, batch, steps } of trainings) {
  const what = `${spec.name}, training ${textures} NCAs x ${batch} x ${size} x ${size}`;
  await attempt(what, async () => {
    const targets = tf.tensor4d(randomStream(2, 'targets').uniforms(textures * size * size * 3), [
      textures,
      size,
      size,
      3,
    ]);
    const times: number[] = [];
    let last = performance.now();
    await trainNca(spec, targets, {
      ...{
        height: size,
        width: size,
        batch,
        steps,
        pool: 4,
        iterations: SMALL ? 3 : 12,
        gpu,
        learningRate: 2e-3,
      },
      loss: patchSlicedWasserstein({
        projections: 32,
        factor: 100,
        ...(SMALL ? { scales: 2 } : { bank: 256 }),
      }),
      onProgress() {
        times.push(performance.now() - last);
        last = performance.now();
      },
    });
    targets.dispose();
    // The first compiles, and tabulates the bank.
    const ms = times.slice(1).reduce((a, b) => a + b, 0) / (times.length - 1);
    console.log(
      `${what}: ${ms.toFixed(1)} ms an iteration; 500 iterations ${(ms / 2).toFixed(1)} s; first ${times[0].toFixed(0)} ms`,
    );
    result.training.push({ spec: spec.name, textures, size, batch, steps, ms, first: times[0] });
  });
}

// From where on the way to the GPU pays: the processor's threads beside it.
const cpu = new CpuEngine();
for (const size of SMALL ? [16] : [16, 32, 64, 128]) {
  const setting = { spec: hypernca, batch: 1, size, steps: SMALL ? 2 : 16, gradient: false };
  await attempt(`break-even at ${size}`, async () => {
    const task = {
      ...{ spec: hypernca, batch: 1, height: size, width: size, steps: setting.steps, seeds: [1] },
      weights: randomStream(1, 'w').normals(weightCount(hypernca), 0, 0.05),
      state: new Float32Array(size * size * 12),
    };
    const { GpuEngine } = await import('../src/nca/index.ts');
    const times: Record<string, number> = {};
    for (const [name, engine] of [
      ['gpu', new GpuEngine(gpu)],
      ['cpu', cpu],
    ] as const) {
      const runs: number[] = [];
      for (let i = 0; i < 6; i++) {
        const start = performance.now();
        (await engine.run(task)).dispose();
        runs.push(performance.now() - start);
      }
      times[name] = median(runs.slice(1));
    }
    console.log(
      `1 x ${size} x ${size}, ${setting.steps} steps, there and back: GPU ${times.gpu.toFixed(2)} ms, processor ${times.cpu.toFixed(2)} ms`,
    );
    result.breakEven.push({ size, steps: setting.steps, ...times });
  });
}

// Other cuts of the kernels, on the work of a zoo.
if (!SMALL) {
  for (const gradient of [false, true]) {
    for (const cells of gradient ? [64, 32, 16] : [64, 32, 16]) {
      for (const words of [4, 8, 16, 32]) {
        if (left() < 12) break;
        const cut = { cells, words };
        const cuts = gradient ? { backward: cut } : { forward: cut };
        const setting = { spec: hypernca, batch: 256, size: 64, steps: 16, gradient, cuts };
        await attempt(`${cells} cells, ${words} words`, async () => {
          const ms = await timeOf(setting, 3);
          console.log(
            `${gradient ? 'backward' : 'forward'}, tiles of ${cells} cells, regions of ${32 * words}: ${rate(setting, ms).toFixed(1)} M cell-steps/s`,
          );
          result.cuts.push({ gradient, ...cut, ms, cellStepsPerSecond: 1e6 * rate(setting, ms) });
        });
      }
    }
  }
}
save();
process.exit(0);
