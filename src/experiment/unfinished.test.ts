import { createHash } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { unfinishedTraining } from './unfinished.ts';

const test = suite('unfinished trainings');
const root = mkdtempSync(join(tmpdir(), 'weightloom-unfinished-'));
test.after(() => rmSync(root, { recursive: true }));

type Point = { readonly step: number; readonly loss: number };

/** A checkpoint of a network without a weight. */
function saveCheckpoint(folder: string, step: number): string {
  const here = join(folder, `step-${String(step).padStart(8, '0')}`);
  mkdirSync(here);
  const state = Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('{}')]);
  writeFileSync(join(here, 'state.safetensors'), state);
  const sha256 = createHash('sha256').update(state).digest('hex');
  const manifest = { format: 1, step, seconds: 1, sha256, config: {}, dataHash: '' };
  writeFileSync(join(here, 'manifest.json'), JSON.stringify(manifest));
  return here;
}

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

test('the curve up to the latest whole checkpoint comes back, whatever was written after it', async () => {
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 2 }),
      fc.integer({ min: 0, max: 9 }),
      fc.boolean(),
      fc.boolean(),
      async (saved, more, torn, damaged) => {
        const folder = join(root, `run-${runs++}`);
        const run = { file: (name: string) => join(folder, name) };
        const key = ['settings', Float32Array.of(1, 2)];
        const first = await unfinishedTraining<Point>(run, key);
        assert.equal(first.curve, []);
        const last = Math.max(0, ...saved);
        const points = Array.from({ length: last + more }, (_, i) => ({ step: i + 1, loss: 1 / (i + 1) }));
        for (const point of points) first.add(point);
        const { folder: checkpoints } = first.checkpoint;
        const made = saved.sort((a, b) => a - b).map(step => saveCheckpoint(checkpoints, step));
        if (torn) appendFileSync(join(checkpoints, 'curve.jsonl'), '{"step":');
        const broken = damaged ? made.at(-1) : undefined;
        if (broken) truncateSync(join(broken, 'state.safetensors'), 4);
        const said = await saying(async () => {
          const again = await unfinishedTraining<Point>(run, key);
          assert.equal(again.curve, points.slice(0, broken ? (saved.at(-2) ?? 0) : last));
          assert.is(again.checkpoint.folder, checkpoints);
          // Another training has nothing to do with it.
          assert.equal((await unfinishedTraining<Point>(run, ['settings', Float32Array.of(1, 3)])).curve, []);
          if (broken) assert.ok(existsSync(`${broken}.damaged`));
          again.remove();
        });
        if (broken)
          assert.match(
            said,
            saved.length === 2 ? `training goes on from step ${saved[0]}` : 'training begins anew',
          );
        else assert.is(said, '');
        assert.not.ok(existsSync(checkpoints));
        assert.is(readdirSync(join(folder, 'parts')).length, 1);
      },
    ),
    { numRuns: 30 },
  );
});

test.run();
