/**
 * Trains the tiny denoiser with checkpoints, for tests that kill it:
 *   node --import tsx property-tests/train-tiny.ts FOLDER [STEPS]
 * Prints a line for every step, and at the end `weights SHA-256`.
 */
import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { edm, fitNormaliser } from '../src/diffusion/index.ts';
import { startBackend } from '../src/tensor/index.ts';
import { trainDenoiser } from '../src/training/index.ts';
import { tinyData, tinyDenoiser, tinyEncoder, tinySpec } from './tiny.ts';

const [folder, steps = '80'] = process.argv.slice(2);
await startBackend();
const data = tinyData(40);
const denoiser = tinyDenoiser({ tokens: 3 });
const encoder = tinyEncoder(3);
await trainDenoiser({
  denoiser,
  encoder,
  diffusion: edm(),
  normaliser: fitNormaliser(tinySpec, data.weights),
  data,
  settings: { steps: Number(steps), batch: 8, warmup: 5, learningRate: 1e-2 },
  checkpoint: { folder, identity: { config: {}, dataHash: 'tiny' }, everySteps: 4, resume: true },
  // Unbuffered: a killed process has said what it did.
  onStep: ({ step }) => writeSync(1, `step ${step}\n`),
});
const hash = createHash('sha256');
for (const variable of [...Object.values(denoiser.variables), ...Object.values(encoder.variables)]) {
  hash.update(variable.dataSync() as Float32Array);
}
writeSync(1, `weights ${hash.digest('hex')}\n`);
process.exit(0);
