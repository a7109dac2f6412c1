import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import * as E from 'fp-ts/lib/Either.js';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { writeTinyZoo } from '../../property-tests/tiny-zoo.ts';
import { describe, settle } from '../config/index.ts';
import { readSafetensorsRows, writeSafetensors } from '../formats/index.ts';
import { weightCount } from '../nca/index.ts';
import { openZoo, readZoo } from './index.ts';

const test = suite('zoo rows');
const folder = mkdtempSync(join(tmpdir(), 'weightloom-rows-'));
test.after(() => rmSync(folder, { recursive: true }));

test('rows of a tensor are its rows, and there are no others', async () => {
  const path = join(folder, 'rows.safetensors');
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
      fc.nat(5),
      fc.nat(5),
      async (shape, first, count) => {
        const size = shape.reduce((a, b) => a * b, 1);
        const data = Float32Array.from({ length: size }, (_, i) => i - 0.5);
        await settle(
          writeSafetensors(path, { other: { shape: [3], data: new Int32Array(3) }, it: { shape, data } }),
        );
        const result = await readSafetensorsRows(path, 'it', first, count)();
        const row = size / shape[0];
        if (first + count <= shape[0]) {
          assert.ok(E.isRight(result));
          assert.equal(result.right, data.subarray(first * row, (first + count) * row));
        } else {
          assert.ok(E.isLeft(result));
          assert.match(describe(result.left), `rows below ${shape[0]}`);
        }
      },
    ),
    { numRuns: 40 },
  );
  assert.ok(E.isLeft(await readSafetensorsRows(path, 'nowhere', 0, 1)()));
});

test('a zoo that stays on the disk has the weights of the one that is read', async () => {
  const zoo = await writeTinyZoo(join(folder, 'zoo'));
  const [whole, opened] = [await settle(readZoo(zoo)), await settle(openZoo(zoo))];
  const size = weightCount(whole.spec);
  assert.equal(opened.entries, whole.entries);
  for (const [first, count] of [
    [0, 8],
    [3, 2],
    [7, 1],
  ]) {
    assert.equal(await opened.rows(first, count), whole.weights.slice(first * size, (first + count) * size));
  }
  await opened.verify();
});

test('what is not what the manifest says is refused: at once, when it is read, or when all is looked at', async () => {
  const zoo = await writeTinyZoo(join(folder, 'broken'));
  const weights = join(zoo, 'weights.safetensors');
  const opened = await settle(openZoo(zoo));
  const bytes = readFileSync(weights);
  const refused = async (work: Promise<unknown>, expected: RegExp) => {
    try {
      await work;
    } catch (error) {
      assert.match((error as Error).message, expected);
      return;
    }
    assert.unreachable();
  };
  // The last number is of `base`, the one in the middle of some entry.
  const infinite = Buffer.from(bytes);
  infinite.writeFloatLE(Number.NaN, bytes.length - 4 * weightCount(opened.spec) - 4);
  writeFileSync(weights, infinite);
  await refused(opened.rows(0, 8), /finite weights/);
  await refused(opened.verify(), /the file that zoo\.json was written for/);
  writeFileSync(weights, bytes.subarray(0, bytes.length - 8));
  await refused(settle(openZoo(zoo)), /truncated/);
  writeFileSync(weights, bytes);
  appendFileSync(weights, 'more');
  await refused(settle(openZoo(zoo)), /belong to no tensor/);
});

test.run();
