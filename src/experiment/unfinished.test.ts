import { existsSync, mkdtempSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { countingTrainer } from '../../property-tests/counting-trainer.ts';
import { startBackend } from '../tensor/index.ts';
import { checkpoints } from '../training/checkpoints.ts';
import type { StepRecord } from '../training/index.ts';
import { type CurvePoint, trainingCurve } from './curve.ts';
import { unfinishedTraining } from './unfinished.ts';

const test = suite('unfinished trainings');
const root = mkdtempSync(join(tmpdir(), 'weightloom-unfinished-'));
test.before(async () => {
  await startBackend();
});
test.after(() => rmSync(root, { recursive: true }));

/** What `work` says on the terminal. */
async function saying(work: () => Promise<unknown>): Promise<string> {
  const { error } = console;
  let said = '';
  console.error = (line: string) => {
    said += `${line}\n`;
  };
  try {
    await work();
    return said;
  } finally {
    console.error = error;
  }
}

const STEPS = 12;
/** A step of which the losses are known. */
const stepAt = (step: number) =>
  ({
    step,
    steps: STEPS,
    seconds: step / 8,
    loss: Math.sin(step),
    rolloutLoss: step > 5 ? 1 / step : undefined,
  }) as StepRecord;

/** The curve of a training that nobody stopped. */
function wholeCurve(every: number): readonly CurvePoint[] {
  const { points, record } = trainingCurve(every, () => {});
  for (let step = 1; step <= STEPS; step++) record(stepAt(step));
  return points;
}

test('stopped anywhere and with a damaged checkpoint, a training goes on from a whole one, and its curve is the same', async () => {
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.integer({ min: 1, max: STEPS - 1 }), { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 5 }),
      fc.boolean(),
      async (saved, every, damaged) => {
        const folder = join(root, `run-${runs++}`);
        const run = { file: (name: string) => join(folder, name) };
        const key = ['settings', Float32Array.of(1, 2)];
        const open = async (told: CurvePoint[]) => {
          const unfinished = await unfinishedTraining(run, key);
          const curve = trainingCurve(every, point => told.push(point));
          const { trainer, go, stands } = countingTrainer();
          const store = checkpoints(trainer, { ...unfinished.checkpoint, beside: curve.beside });
          await store.resume();
          return { ...unfinished, curve, trainer, go, stands, store };
        };
        const first = await open([]);
        const order = saved.toSorted((a, b) => a - b);
        for (let step = 1; step <= order.at(-1)!; step++) {
          first.curve.record(stepAt(step));
          first.go(step);
          if (order.includes(step)) await first.store.save(step);
        }
        const { folder: training } = first.checkpoint;
        const kept = readdirSync(training).sort();
        assert.is(kept.length, Math.min(2, order.length));
        if (damaged) truncateSync(join(training, kept.at(-1)!, 'state.safetensors'), 4);
        const said = await saying(async () => {
          const told: CurvePoint[] = [];
          const again = await open(told);
          const from = (damaged ? order.at(-2) : order.at(-1)) ?? 0;
          if (from > 0) again.stands(from);
          for (let step = from + 1; step <= STEPS; step++) again.curve.record(stepAt(step));
          assert.equal(again.curve.points, wholeCurve(every));
          assert.equal(told, wholeCurve(every));
          // Another training has nothing to do with it.
          const { checkpoint } = await unfinishedTraining(run, ['settings', Float32Array.of(1, 3)]);
          assert.is.not(checkpoint.folder, training);
          if (damaged) assert.ok(readdirSync(training).some(name => name.endsWith('.damaged')));
          again.remove();
        });
        if (damaged) {
          const next =
            order.length > 1 ? `training goes on from step ${order.at(-2)}` : 'training begins anew';
          assert.match(said, next);
        } else assert.is(said, '');
        assert.not.ok(existsSync(training));
      },
    ),
    { numRuns: 25 },
  );
});

test.run();
