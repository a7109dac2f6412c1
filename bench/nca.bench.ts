/**
 * The NCA engine beside PyTorch and beside the same step written with tfjs operations on its WebAssembly backend. Time is that of one step; all
 * do the same arithmetic, except that the engine computes only the cells it updates.
 */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { kernelBuild, setThreadCount } from '../src/compute/index.ts';
import { blockOf, maskBit, type NcaSpec, rollout, SPECS, seedsFor, weightCount } from '../src/nca/index.ts';
import { randomStream, startBackend, tf } from '../src/tensor/index.ts';
import { Comparison, type Contestant, contestant, interleave, PythonPeer } from './harness.ts';

interface Setting {
  spec: NcaSpec;
  batch: number;
  size: number;
  steps: number;
}

const numbers = ({ spec, batch, size }: Setting) => ({
  weights: randomStream(1, 'weights').normals(weightCount(spec), 0, 0.05),
  state: randomStream(1, 'state').normals(batch * size * size * spec.channels, 0, 0.1),
});

/** Makes a contestant's time that of one step. */
const perStep = (steps: number, { name, time }: Contestant): Contestant => ({
  name,
  time: async count => (await time(count)) / steps,
});

function engine(setting: Setting, gradient: boolean, threads: number): Contestant {
  const { spec, batch, size, steps } = setting;
  const { weights, state } = numbers(setting);
  let held: [tf.Tensor2D, tf.Tensor4D] | undefined;
  const seeds = seedsFor(1, batch);
  const run = (w: tf.Tensor, x: tf.Tensor) =>
    rollout(spec, w as tf.Tensor2D, x as tf.Tensor4D, { steps, seeds });
  return perStep(
    steps,
    contestant(`engine, ${threads} thread${threads > 1 ? 's' : ''}`, () => {
      tf.setBackend('loom');
      setThreadCount(threads);
      held ??= [
        tf.tensor2d(weights, [1, weightCount(spec)]),
        tf.tensor4d(state, [batch, size, size, spec.channels]),
      ];
      const [w, x] = held;
      tf.tidy(() => {
        if (gradient) tf.grads((w, x) => tf.sum(tf.square(run(w, x))))([w, x]);
        else run(w, x);
      });
    }),
  );
}

/** The step as a tfjs program: forward with depthwiseConv2d; the wasm backend has no gradient for that, so backward with shifted copies. */
function tfjs(setting: Setting, gradient: boolean): Contestant {
  const { spec, batch, size, steps } = setting;
  const { channels, hidden } = spec;
  const { weights, state } = numbers(setting);
  const block = (name: 'w1' | 'b1' | 'w2') => blockOf(spec, weights, name);
  const seeds = seedsFor(1, batch);
  const filters = [
    [0, 0, 0, 0, 1, 0, 0, 0, 0],
    [-1, 0, 1, -2, 0, 2, -1, 0, 1],
    [-1, -2, -1, 0, 0, 0, 1, 2, 1],
    [1, 2, 1, 2, -12, 2, 1, 2, 1],
  ];
  let held: tf.Tensor[] | undefined;
  let masks: tf.Tensor4D[] = [];
  let kernels: tf.Tensor4D;
  const make = () => {
    kernels = tf.tensor4d(
      Float32Array.from(
        { length: 36 * channels },
        (_, i) => filters[i % 4][Math.floor(i / (4 * channels))] as number,
      ),
      [3, 3, channels, 4],
    );
    masks = Array.from({ length: steps }, (_, step) =>
      tf.tensor4d(
        Float32Array.from({ length: batch * size * size }, (_, i) => {
          const cell = i % (size * size);
          const sample = Math.floor(i / (size * size));
          return maskBit(seeds[sample], step, Math.floor(cell / size), cell % size) ? 1 : 0;
        }),
        [batch, size, size, 1],
      ),
    );
    return [
      tf.transpose(tf.tensor2d(block('w1'), [hidden, 4 * channels])),
      tf.tensor1d(block('b1')),
      tf.transpose(tf.tensor2d(block('w2'), [channels, hidden])),
      tf.tensor4d(state, [batch, size, size, channels]),
    ];
  };
  const around = (x: tf.Tensor4D) => {
    const rows = tf.concat([tf.slice(x, [0, size - 1], [-1, 1]), x, tf.slice(x, [0, 0], [-1, 1])], 1);
    return tf.concat(
      [tf.slice(rows, [0, 0, size - 1], [-1, -1, 1]), rows, tf.slice(rows, [0, 0, 0], [-1, -1, 1])],
      2,
    ) as tf.Tensor4D;
  };
  const perceive = (x: tf.Tensor4D): tf.Tensor => {
    const wide = around(x);
    if (!gradient) return tf.depthwiseConv2d(wide, kernels, 1, 'valid');
    const at = (dy: number, dx: number) => tf.slice(wide, [0, dy, dx, 0], [-1, size, size, -1]);
    const twice = (x: tf.Tensor, y: tf.Tensor) => tf.add(x, tf.add(y, y));
    // Separable: [1 2 1] and [-1 0 1] along rows, then along columns.
    const smooth = [0, 1, 2].map(dx => twice(tf.add(at(0, dx), at(2, dx)), at(1, dx)));
    const steep = [0, 1, 2].map(dx => tf.sub(at(2, dx), at(0, dx)));
    const sobelX = tf.sub(smooth[2], smooth[0]);
    const sobelY = twice(tf.add(steep[0], steep[2]), steep[1]);
    const blurred = twice(tf.add(smooth[0], smooth[2]), smooth[1]);
    return tf.stack([x, sobelX, sobelY, tf.sub(blurred, tf.mul(x, 16))], 4);
  };
  const run = (w1: tf.Tensor, b1: tf.Tensor, w2: tf.Tensor, x: tf.Tensor): tf.Tensor =>
    // A scope per step: without it 32 steps do not fit into the backend's memory.
    masks.reduce<tf.Tensor>(
      (now, mask) =>
        tf.tidy(() => {
          const y = tf.reshape(perceive(now as tf.Tensor4D), [batch * size * size, 4 * channels]);
          const h = tf.relu(tf.add(tf.matMul(y as tf.Tensor2D, w1 as tf.Tensor2D), b1));
          const dx = tf.matMul(h as tf.Tensor2D, w2 as tf.Tensor2D);
          return tf.add(now, tf.mul(tf.reshape(dx, [batch, size, size, channels]), mask));
        }),
      x,
    );
  return perStep(
    steps,
    contestant('tfjs-wasm', () => {
      tf.setBackend('wasm');
      held ??= make();
      const inputs = held;
      tf.tidy(() => {
        const result = gradient
          ? tf.grads((...leaves) =>
              tf.sum(tf.square(run(...(leaves as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor])))),
            )(inputs)
          : [run(...(inputs as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]))];
        result[0].dataSync();
      });
    }),
  );
}

const peer = PythonPeer.start('nca.py');
function torch({ spec, batch, size, steps }: Setting, gradient: boolean): Contestant[] {
  if (!peer) return [];
  const parameters = { channels: spec.channels, hidden: spec.hidden, batch, size, steps, threads: 2 };
  return [
    perStep(steps, peer.contestant('PyTorch, 2 threads', gradient ? 'gradient' : 'forward', parameters)),
  ];
}

await startBackend({ prefer: 'loom' });
const wasm = createRequire(import.meta.url)('@tensorflow/tfjs-backend-wasm');
const bundle = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
wasm.setWasmPaths(`${dirname(bundle)}/`);
await tf.setBackend('wasm');
await tf.ready();

const table = new Comparison(`one NCA step (${kernelBuild()}, Node ${process.version})`, [
  'engine, 2 threads',
  'engine, 1 thread',
  'tfjs-wasm',
  'PyTorch, 2 threads',
]);
const { hypernca, compact } = SPECS;
const questions: [Setting, boolean, { wasm: boolean; rounds: number }][] = [
  [{ spec: hypernca, batch: 1, size: 128, steps: 8 }, false, { wasm: true, rounds: 11 }],
  [{ spec: hypernca, batch: 4, size: 128, steps: 8 }, false, { wasm: false, rounds: 7 }],
  [{ spec: hypernca, batch: 1, size: 128, steps: 8 }, true, { wasm: true, rounds: 4 }],
  [{ spec: hypernca, batch: 1, size: 128, steps: 32 }, true, { wasm: true, rounds: 3 }],
  [{ spec: hypernca, batch: 4, size: 128, steps: 32 }, true, { wasm: false, rounds: 3 }],
  [{ spec: compact, batch: 8, size: 24, steps: 32 }, true, { wasm: false, rounds: 7 }],
  [{ spec: compact, batch: 64, size: 24, steps: 32 }, true, { wasm: false, rounds: 5 }],
];
for (const [setting, gradient, { wasm, rounds }] of questions) {
  const { spec, batch, size, steps } = setting;
  const contestants = [
    engine(setting, gradient, 2),
    engine(setting, gradient, 1),
    ...(wasm ? [tfjs(setting, gradient)] : []),
    ...torch(setting, gradient),
  ];
  const what = gradient ? 'forward and backward' : 'forward';
  table.add(
    `${spec.name}, ${size}x${size}, batch ${batch}, ${steps} steps, ${what}`,
    await interleave(contestants, { rounds, warmUp: wasm && gradient ? 1 : 2 }),
  );
}
table.print();
peer?.stop();
