/**
 * What an operator of loom-gpu costs in JavaScript before the GPU computes anything: our kernel functions, beside what tfjs-core adds to every call
 * (scopes, the tape, counting tensors), and what the driver takes when 64 dispatches are handed to it. Medians over the calls of some training steps;
 * the driver is whatever WEIGHTLOOM_GPU names, software too.
 *
 *     WEIGHTLOOM_GPU=llvmpipe npm run bench -- gpu-encoding
 */
import { startGpu } from '../src/compute/index.ts';
import { orThrow } from '../src/config/index.ts';
import { type Condition, denoiserKind } from '../src/denoisers/index.ts';
import { SPECS, weightCount } from '../src/nca/index.ts';
import { fused, randomStream, startBackend, tf } from '../src/tensor/index.ts';
import type { LoomGpuBackend } from '../src/tensor/loom-gpu/backend.ts';
import { kernels } from '../src/tensor/loom-gpu/kernels.ts';
import { adam, squaredNorm } from '../src/training/optimiser.ts';

const STEPS = Number(process.env.STEPS ?? 6);
const BATCH = 4;
const median = (values: number[]) => [...values].sort((a, b) => a - b)[values.length >> 1];
const micro = (ms: number) => `${(1000 * ms).toFixed(1)} us`;
const least = (values: number[]) => Math.min(...values);

await startBackend({ prefer: 'loom-gpu' });
const gpu = await startGpu();
console.log(`${gpu.report.name}, ${gpu.report.maxStorageBuffers} buffers a shader`);

/** Milliseconds in our kernel functions, by kernel, and of the calls around them. */
const inside = new Map<string, number[]>();
const around = new Map<string, number[]>();
/** Dispatches of each call. */
const sent = new Map<string, number[]>();
const note = (times: Map<string, number[]>, name: string, ms: number) => {
  const list = times.get(name);
  if (list) list.push(ms);
  else times.set(name, [ms]);
};
/** Milliseconds in which commands were handed to the driver, and how often. */
let submitting = 0;
let submits = 0;
const backend = tf.backend() as unknown as LoomGpuBackend;
const submitQueue = backend.submitQueue.bind(backend);
backend.submitQueue = () => {
  const started = performance.now();
  submitQueue();
  submitting += performance.now() - started;
  submits++;
};
/** Dispatches of our kernels. */
let dispatches = 0;
const compute = backend.compute.bind(backend);
backend.compute = (...given) => {
  dispatches++;
  compute(...given);
};
/** Milliseconds of `work` without those of the driver. */
function timed<A>(work: () => A): [A, number] {
  const before = submitting;
  const started = performance.now();
  const out = work();
  return [out, performance.now() - started - (submitting - before)];
}
for (const [name, kernel] of kernels) {
  kernels.set(name, {
    ...kernel,
    run: (...given) => {
      const before = dispatches;
      const [out, ms] = timed(() => kernel.run(...given));
      if (out) {
        note(inside, name, ms);
        note(sent, name, dispatches - before);
      }
      return out;
    },
  });
}
const engine = tf.engine();
const runKernel = engine.runKernel.bind(engine);
engine.runKernel = ((name: string, ...rest: [never, never]) => {
  const [out, ms] = timed(() => runKernel(name, ...rest));
  note(around, name, ms);
  return out;
}) as typeof engine.runKernel;

for (const name of ['transformer', 'edge-mpnn']) {
  const spec = SPECS.compact;
  const size = weightCount(spec);
  const kind = orThrow(denoiserKind(name));
  const denoiser = kind.build(kind.defaults, { spec, condition: { tokens: 1, width: 64 }, seed: 0 });
  const variables = Object.values(denoiser.variables);
  const optimiser = adam(denoiser.variables);
  const random = randomStream(0, 'bench');
  const weights = tf.tensor2d(random.normals(BATCH * size), [BATCH, size]);
  const noise = tf.zeros<tf.Rank.R1>([BATCH]);
  const condition: Condition = {
    tokens: tf.tensor3d(random.normals(BATCH * 64), [BATCH, 1, 64]),
    present: tf.ones([BATCH]),
  };
  const steps: number[] = [];
  for (let step = 0; step <= STEPS; step++) {
    // What is encoded must not wait for what is computed.
    await gpu.idle();
    if (step === 1) {
      for (const times of [inside, around, sent]) times.clear();
      [submitting, submits] = [0, 0];
    }
    const started = performance.now();
    const { value, grads } = tf.variableGrads(
      () => tf.mean(tf.square(denoiser.apply(weights, noise, condition, { training: true }))) as tf.Scalar,
      variables,
    );
    const named = Object.fromEntries(
      Object.entries(denoiser.variables).flatMap(([key, variable]) =>
        grads[variable.name] ? [[key, grads[variable.name]]] : [],
      ),
    );
    const norm = squaredNorm(named);
    optimiser.update(named, 1e-4);
    fused.endStep();
    if (step > 0) steps.push(performance.now() - started);
    await norm.data();
    tf.dispose([value, norm, ...Object.values(grads)]);
  }
  const calls = [...inside.values()].reduce((sum, list) => sum + list.length, 0) / STEPS;
  const ours = [...inside.values()].flat().reduce((a, b) => a + b, 0) / STEPS;
  const all = [...around.values()].flat().reduce((a, b) => a + b, 0) / STEPS;
  console.log(
    `\n${name}, ${variables.length} variables: a step encodes in ${median(steps).toFixed(1)} ms; ${calls.toFixed(0)} calls of our kernels ${ours.toFixed(1)} ms, the other kernels and tfjs-core's bookkeeping ${(all - ours).toFixed(1)} ms; ${(submits / STEPS).toFixed(1)} submits ${(submitting / STEPS).toFixed(1)} ms`,
  );
  console.log(
    'kernel: calls a step, dispatches a call; us a dispatch, least and median; median with tfjs-core around it, a call',
  );
  const each: number[] = [];
  for (const [kernel, list] of [...inside].sort((a, b) => b[1].length - a[1].length)) {
    const counts = sent.get(kernel)!;
    const single = list.map((ms, i) => ms / counts[i]);
    each.push(...single);
    const whole = around.get(kernel);
    console.log(
      [
        kernel.padEnd(28),
        (list.length / STEPS).toFixed(0).padStart(4),
        median(counts).toFixed(0).padStart(4),
        micro(least(single)).padStart(10),
        micro(median(single)).padStart(10),
        whole ? micro(median(whole)).padStart(11) : '',
      ].join(' '),
    );
  }
  console.log(`all, a dispatch: least ${micro(least(each))}, median ${micro(median(each))}`);
  tf.dispose([weights, noise, condition.tokens, condition.present]);
  denoiser.dispose();
  optimiser.dispose();
}
process.exit(0);
