/**
 * What an iteration of `zoo build configs/zoo/photographs-compact.yaml` is made of: `WEIGHTLOOM_THREADS=1 WEIGHTLOOM_BENCH_CLOCK=cpu npm run bench -- zoo-build`.
 * The engine's forward and backward pass on the batch of an iteration, the loss on its pictures, a whole iteration, and beside them a matrix product as the
 * measure of what the processor gives; with the arithmetic of the engine.
 */
import { randomStream, rollout, SPECS, startBackend, tf, weightCount } from '../src/index.ts';
import { NcaTrainer, patchSlicedWasserstein, seedState, seedsFor } from '../src/nca/index.ts';
import { contestant, interleave } from './harness.ts';

// Of the configuration.
const [TOGETHER, BATCH, SIDE, STEPS] = [8, 2, 32, 36] as const;
const ROWS = TOGETHER * BATCH;
const PRODUCT = 512;

await startBackend();
const spec = SPECS.compact;
const size = weightCount(spec);
const random = randomStream(1, 'zoo-build');
const loss = patchSlicedWasserstein({ scales: 3, patch: 5, projections: 24, factor: 100, bank: 256 });
const targets = tf.tensor4d(random.uniforms(TOGETHER * 64 * 64 * 3), [TOGETHER, 64, 64, 3]);
const trainer = new NcaTrainer(spec, targets, {
  ...{
    size: SIDE,
    height: SIDE,
    width: SIDE,
    pool: 16,
    batch: BATCH,
    seedEvery: 8,
    steps: [STEPS, STEPS + 1],
  },
  ...{ overflow: 10, learningRate: 1e-3, loss, seed: 1, iterations: 1e6 },
});
for (let i = 0; i < 30; i++) trainer.step();
const rows = new Float32Array(ROWS * size);
for (let row = 0; row < ROWS; row++)
  rows.set(
    trainer.weights.subarray(Math.floor(row / BATCH) * size, (Math.floor(row / BATCH) + 1) * size),
    row * size,
  );
const weights = tf.tensor2d(rows, [ROWS, size]);
const start = seedState(spec, ROWS, SIDE, SIDE);
const prepared = loss.prepare(targets);
const seeds = seedsFor(2, ROWS);
const grown = (x: tf.Tensor2D) => rollout(spec, x, start, { steps: STEPS, seeds });
const pictures = tf.tidy(() =>
  tf.clipByValue(tf.add(tf.slice4d(grown(weights), [0, 0, 0, 0], [-1, -1, -1, 3]), 0.5), 0, 1),
) as tf.Tensor4D;
const a = tf.ones<tf.Rank.R2>([PRODUCT, PRODUCT]);
const work: [string, () => unknown][] = [
  ['a whole iteration', () => trainer.step()],
  ['engine, forward', () => tf.tidy(() => void grown(weights).dataSync())],
  [
    'engine, forward and backward',
    () =>
      tf.tidy(
        () =>
          void tf
            .grad(x => tf.sum(grown(x as tf.Tensor2D)))(weights)
            .dataSync(),
      ),
  ],
  [
    'loss, forward and backward',
    () =>
      tf.tidy(
        () =>
          void tf
            .grad(x => tf.sum(prepared.loss(x as tf.Tensor4D, randomStream(3, 'loss'))))(pictures)
            .dataSync(),
      ),
  ],
  ['512 x 512 x 512 product', () => tf.tidy(() => void tf.matMul(a, a).dataSync())],
];
const timings = await interleave(work.map(([name, run]) => contestant(name, run)));

/** Multiplications and additions of an active cell's step: both layers. Half of the cells are active. */
const layers = 2 * (4 * spec.channels * spec.hidden + spec.hidden * spec.channels);
const active = ROWS * SIDE * SIDE * STEPS * 0.5;
const arithmetic: Record<string, number> = {
  'engine, forward': layers * active,
  // Backward: gradients of inputs and of weights, each as much as forward.
  'engine, forward and backward': 3 * layers * active,
  '512 x 512 x 512 product': 2 * PRODUCT ** 3,
};
for (const { name, median, low, high } of timings) {
  const flops = arithmetic[name];
  const rate = flops
    ? `, ${(flops / 1e9).toFixed(2)} GFLOP in layers: ${(flops / median / 1e6).toFixed(1)} GFLOP/s`
    : '';
  console.log(`${name}: ${median.toFixed(1)} ms (${low.toFixed(1)}..${high.toFixed(1)})${rate}`);
}
process.exit(0);
