/** Fine-tuning from a start as experiments do it: under one protocol, kept by the run, measured along the way. */
import * as t from 'io-ts';
import { natural, notNegative, positive, whole } from '../config/index.ts';
import { fineTune, type Method, type MethodResult } from '../evaluation/index.ts';
import { patchSlicedWasserstein } from '../nca/index.ts';
import type { TuningCurve } from '../report/index.ts';
import type { RunContext } from './experiment.ts';
import type { Protocol } from './protocol.ts';

/** Configuration of a fine-tuning. */
export const FineTuningCodec = t.strict({
  /** Iterations after which the NCAs are measured; the first is 0. */
  checkpoints: t.array(whole),
  learningRate: positive,
  /** Grid cells a side. */
  size: natural,
  pool: natural,
  batch: natural,
  seedEvery: natural,
  steps: t.tuple([natural, natural]),
  overflow: notNegative,
  loss: t.strict({ scales: natural, patch: natural, projections: natural, factor: positive }),
  seed: whole,
  /** NCAs that train side by side: changes the speed, not the result. */
  together: natural,
});
/** What `FineTuningCodec` decodes to. */
export type FineTuning = t.TypeOf<typeof FineTuningCodec>;

/** Fine-tunes the NCAs of a method on the study's textures, each on its own, and measures them at every checkpoint. */
export async function tuneFrom(
  context: RunContext,
  protocol: Protocol,
  start: MethodResult,
  fineTuning: FineTuning,
): Promise<TuningCurve> {
  const { study } = protocol;
  const { checkpoints, size, loss, together, steps, ...rest } = fineTuning;
  const total = checkpoints.at(-1)! * study.heldOut.names.length;
  const { weights, skipped, seconds } = await protocol.once(
    { fineTuning, initial: start.weights, timed: true },
    async () => {
      const bar = context.progress(`fine-tune ${start.name} at ${fineTuning.learningRate}`, total);
      const began = performance.now();
      const tuned = await fineTune({
        spec: study.spec,
        initial: start.weights,
        targets: study.heldOut.pictures,
        checkpoints,
        together,
        training: {
          ...rest,
          steps: [steps[0], steps[1]],
          height: size,
          width: size,
          milestones: [],
          decay: 1,
          loss: patchSlicedWasserstein(loss),
        },
        signal: context.signal,
        onProgress: done => bar.update(done),
      }).finally(() => bar.stop());
      return { ...tuned, seconds: (performance.now() - began) / 1000 };
    },
  );
  const later = checkpoints.slice(1).map(
    (checkpoint, i): Method => ({
      name: `${start.name}, ${checkpoint} iterations`,
      kind: start.kind,
      weights: weights[i + 1],
    }),
  );
  const results = [start, ...(await protocol.measure(later, `run and measure ${start.name}`))];
  results.forEach(({ values }, i) => {
    context.run.log({
      start: start.name,
      learningRate: fineTuning.learningRate,
      iteration: checkpoints[i],
      values,
    });
  });
  return { start: start.name, results, skipped, seconds };
}
