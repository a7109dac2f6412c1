/** `weightloom nca train` goes on only with the picture it began with. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { settle } from '../../config/index.ts';
import { writePng } from '../../formats/index.ts';
import { main } from '../main.ts';

const test = suite('weightloom nca train');
const root = mkdtempSync(join(tmpdir(), 'weightloom-nca-train-'));
test.after(() => rmSync(root, { recursive: true, force: true }));

test('another picture under the same path is refused', async () => {
  const path = join(root, 'a.png');
  const paint = (value: number) =>
    settle(writePng(path, { width: 20, height: 20, data: new Float32Array(1200).fill(value) }));
  const words = ['nca', 'train', path, '--out', join(root, 'out'), '--size', '20', '--grid', '20'];
  words.push('--iterations', '1', '--batch', '1', '--pool', '1', '--min-steps', '1', '--max-steps', '1');
  const { log, error } = console;
  let said = '';
  console.log = console.error = (...parts: unknown[]) => {
    said += `${parts.join(' ')}\n`;
  };
  try {
    await paint(0.2);
    await main(words);
    await main(words);
    assert.not.match(said, 'expected');
    await paint(0.8);
    await main(words);
  } finally {
    Object.assign(console, { log, error });
    process.exitCode = 0;
  }
  assert.match(
    said,
    `${path}: expected the picture that ${join(root, 'out', 'state.safetensors')} was trained on`,
  );
});

test.run();
