// weightloom test my-experiment.test.ts
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { experimentConfig, runExperiment, startBackend, tf } from 'weightloom';
import { readResults } from 'weightloom/runs';
import experiment from './my-experiment.ts';

const config = fileURLToPath(new URL('my-experiment.yaml', import.meta.url));
const small = ['shares=[0.5]', 'limit.train=6', 'limit.heldOut=2', 'evaluation.steps=8'];

test('runs, writes a report and keeps no tensor', async () => {
  await startBackend();
  const folder = mkdtempSync(join(tmpdir(), 'my-experiment-'));
  const { parameters } = await experimentConfig(experiment, config, small);
  const before = tf.memory().numTensors;
  const run = await runExperiment(experiment, parameters, { folder, command: 'test' });
  assert.equal(tf.memory().numTensors, before);
  const { summary } = await readResults(run.path);
  assert.ok(summary.some(({ method }) => method === '50% mean'));
  assert.match(readFileSync(run.file('report.html'), 'utf8'), /50% mean/);
  rmSync(folder, { recursive: true });
});
