import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
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

test('the curve up to the latest checkpoint comes back, whatever was written after it', () => {
  let runs = 0;
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 9 }),
      fc.integer({ min: 0, max: 9 }),
      fc.boolean(),
      (saved, more, torn) => {
        const folder = join(root, `run-${runs++}`);
        const run = { file: (name: string) => join(folder, name) };
        const key = ['settings', Float32Array.of(1, 2)];
        const first = unfinishedTraining<Point>(run, key);
        assert.equal(first.curve, []);
        const points = Array.from({ length: saved + more }, (_, i) => ({ step: i + 1, loss: 1 / (i + 1) }));
        for (const point of points) first.add(point);
        const { folder: checkpoints } = first.checkpoint;
        if (saved > 0) mkdirSync(join(checkpoints, `step-${String(saved).padStart(8, '0')}`));
        if (torn) appendFileSync(join(checkpoints, 'curve.jsonl'), '{"step":');
        const again = unfinishedTraining<Point>(run, key);
        assert.equal(again.curve, points.slice(0, saved));
        assert.is(again.checkpoint.folder, checkpoints);
        // Another training has nothing to do with it.
        assert.equal(unfinishedTraining<Point>(run, ['settings', Float32Array.of(1, 3)]).curve, []);
        again.remove();
        assert.not.ok(existsSync(checkpoints));
        assert.is(readdirSync(join(folder, 'parts')).length, 1);
      },
    ),
    { numRuns: 20 },
  );
});

test.run();
