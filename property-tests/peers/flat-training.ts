/**
 * Two thousand steps of real training hold as much memory at the end as after the first few hundred, on the backend that WEIGHTLOOM_BACKEND
 * names: WEIGHTLOOM_BACKEND=tensorflow node --import tsx property-tests/peers/flat-training.ts
 * tfjs counts its tensors; what the process has resident also shows what a native library keeps. Exit code 1 when either grows.
 */

import { orThrow } from '../../src/config/index.ts';
import { denoiserKind } from '../../src/denoisers/index.ts';
import { edm, fitNormaliser } from '../../src/diffusion/index.ts';
import { startBackend, tf } from '../../src/tensor/index.ts';
import { trainDenoiser } from '../../src/training/index.ts';
import { tinyData, tinySpec } from '../tiny.ts';

const STEPS = 2000;
const SETTLED = 500;
/** Garbage that is not collected yet comes and goes. */
const ROOM = 64 * 2 ** 20;

console.log((await startBackend()).summary);
const data = { ...tinyData(40), features: null };
for (const name of ['transformer', 'graph-dit']) {
  const kind = orThrow(denoiserKind(name));
  const denoiser = kind.build(
    {
      ...kind.defaults,
      ...(name === 'transformer' ? { width: 16, layers: 2, heads: 2 } : { hidden: 8, basis: 8 }),
    },
    { spec: tinySpec, condition: null, seed: 1 },
  );
  const held: { step: number; tensors: number; bytes: number; resident: number; loss: number }[] = [];
  await trainDenoiser({
    denoiser,
    encoder: null,
    diffusion: edm(),
    normaliser: fitNormaliser(tinySpec, data.weights),
    data,
    settings: { steps: STEPS, batch: 8, warmup: 5, learningRate: 1e-3 },
    onStep({ step, loss }) {
      if (step % 250 !== 0) return;
      const { numTensors, numBytes } = tf.memory();
      held.push({ step, tensors: numTensors, bytes: numBytes, resident: process.memoryUsage.rss(), loss });
    },
  });
  for (const { step, tensors, bytes, resident, loss } of held) {
    console.log(
      `${name}: step ${step}, ${tensors} tensors, ${bytes} bytes, ${(resident / 2 ** 20).toFixed(0)} MiB resident, loss ${loss.toFixed(3)}`,
    );
  }
  const [first, last] = [held.find(({ step }) => step >= SETTLED)!, held.at(-1)!];
  const flat =
    last.tensors === first.tensors && last.bytes === first.bytes && last.resident < first.resident + ROOM;
  console.log(`${name}: ${flat ? 'flat' : 'GROWS'}`);
  if (!flat) process.exitCode = 1;
  denoiser.dispose();
}
process.exit();
