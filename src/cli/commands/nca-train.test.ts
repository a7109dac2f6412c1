/** `weightloom nca train` goes on only with the picture it began with, and one process at a time. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { weightloom } from '../../../property-tests/command-line.ts';
import { settle } from '../../config/index.ts';
import { lock, writePng } from '../../formats/index.ts';

const test = suite('weightloom nca train');
const root = mkdtempSync(join(tmpdir(), 'weightloom-nca-train-'));
test.after(() => rmSync(root, { recursive: true, force: true }));

const path = join(root, 'a.png');
const out = join(root, 'out');
const paint = (value: number) =>
  settle(writePng(path, { width: 20, height: 20, data: new Float32Array(1200).fill(value) }));
const train = () =>
  weightloom(
    ...['nca', 'train', path, '--out', out, '--size', '20', '--grid', '20', '--iterations', '1'],
    ...['--batch', '1', '--pool', '1', '--min-steps', '1', '--max-steps', '1'],
  );

test('another picture under the same path is refused', async () => {
  await paint(0.2);
  assert.is((await train()).code, 0);
  assert.is((await train()).code, 0);
  await paint(0.8);
  const { code, text } = await train();
  assert.is(code, 1);
  assert.match(
    text,
    `${path}: expected the picture that ${join(out, 'state.safetensors')} was trained on, found another one`,
  );
});

test('of two trainings in one folder the second is refused by name', async () => {
  await paint(0.2);
  const leave = await lock(join(out, 'run.lock'), 'it');
  const { code, text } = await train();
  assert.is(code, 1);
  assert.match(text, `expected the run ${out} free, found process ${process.pid} at work on it`);
  await leave();
  assert.is((await train()).code, 0);
});

test.run();
