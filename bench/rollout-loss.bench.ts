/**
 * What the loss through the rollout costs: its forward and backward pass beside the engine's own on the same NCAs and steps. The texture loss and
 * the way back to normalised weights are the difference.
 */

import { normaliserOf } from '../src/diffusion/index.ts';
import { edm, randomStream, rollout, SPECS, startBackend, tf, weightCount } from '../src/index.ts';
import { patchSlicedWasserstein, seedState, seedsFor } from '../src/nca/index.ts';
import { rolloutLoss } from '../src/training/index.ts';

const ROWS = 8;
const SIDE = 32;
const STEPS = 40;
const ROUNDS = 7;

await startBackend();
for (const spec of [SPECS.compact, SPECS.hypernca]) {
  const D = weightCount(spec);
  const random = randomStream(1, 'bench');
  const normaliser = normaliserOf(new Float32Array(D), new Float32Array(D).fill(20));
  const batch = {
    step: 0,
    indices: new Uint32Array(ROWS),
    clean: new Float32Array(0),
    noise: new Float32Array(0),
    levels: new Float64Array(ROWS).fill(0.5),
    features: null,
    present: new Float32Array(ROWS).fill(1),
    images: random.uniforms(ROWS * SIDE * SIDE * 3),
  };
  const term = rolloutLoss({
    ...{ spec, texture: patchSlicedWasserstein(), normaliser, diffusion: edm(), seed: 1, imageSize: SIDE },
    ...{ weight: 1, steps: [STEPS, STEPS + 1] },
  });
  const weights = tf.tensor2d(random.normals(ROWS * D, 0, 0.5), [ROWS, D]);
  const whole = async () => {
    const { evaluate, release } = await term.prepare(batch, 0, ROWS, () => weights.clone());
    tf.tidy(
      () =>
        void tf
          .grad(x => evaluate(x as tf.Tensor2D).penalty)(weights)
          .dataSync(),
    );
    release();
  };
  const engine = () =>
    tf.tidy(() =>
      tf
        .grad(x =>
          tf.sum(
            rollout(spec, normaliser.restoreTensor(x as tf.Tensor2D), seedState(spec, ROWS, SIDE, SIDE), {
              steps: STEPS,
              seeds: seedsFor(1, ROWS),
            }),
          ),
        )(weights)
        .dataSync(),
    );
  const ratios: number[] = [];
  let [best, bestEngine] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round <= ROUNDS; round++) {
    const times: number[] = [];
    for (const work of [engine, whole]) {
      const started = performance.now();
      await work();
      times.push(performance.now() - started);
    }
    // The first round warms up.
    if (round === 0) continue;
    ratios.push(times[1] / times[0]);
    [bestEngine, best] = [Math.min(bestEngine, times[0]), Math.min(best, times[1])];
  }
  ratios.sort((a, b) => a - b);
  console.log(
    `${spec.name}: ${ROWS} NCAs, ${SIDE}x${SIDE}, ${STEPS} steps: rollout loss ${best.toFixed(0)} ms, engine alone ${bestEngine.toFixed(0)} ms; ratio median ${ratios[ROUNDS >> 1].toFixed(2)} (${ratios[0].toFixed(2)} to ${ratios.at(-1)!.toFixed(2)})`,
  );
  weights.dispose();
}
process.exit(0);
