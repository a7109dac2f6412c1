/** A trainer that trains nothing: every number of it is the step it is at. For tests of what is kept of a training. */
import * as assert from 'uvu/assert';
import { edm } from '../src/diffusion/index.ts';
import { tf } from '../src/tensor/index.ts';
import { Trainer } from '../src/training/index.ts';
import { tinyDenoiser } from './tiny.ts';

export function countingTrainer() {
  const denoiser = tinyDenoiser({ width: 2 });
  const trainer = new Trainer({ denoiser, encoder: null, diffusion: edm(), clip: 1, averages: [0.1] });
  return {
    trainer,
    go(step: number) {
      for (const variable of Object.values(trainer.variables)) {
        const value = tf.fill(variable.shape, step);
        variable.assign(value);
        value.dispose();
      }
      trainer.optimiser.steps = step;
    },
    /** Fails where it is at another step, or was put together from several. */
    stands(step: number) {
      assert.is(trainer.step, step);
      for (const variable of Object.values(trainer.variables)) {
        assert.ok(variable.dataSync().every(x => x === step));
      }
    },
  };
}
