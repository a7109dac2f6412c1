import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { settle } from '../../config/index.ts';
import { SPECS } from '../../nca/index.ts';
import { startBackend } from '../../tensor/index.ts';
import { buildZoo, type ZooBuildConfig } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'weightloom-kill-'));
test.after(() => rmSync(folder, { recursive: true, force: true }));

const training = {
  iterations: 25,
  size: 12,
  pool: 3,
  batch: 2,
  seedEvery: 2,
  steps: [4, 8] as [number, number],
  overflow: 10,
  learningRate: 1e-3,
  milestones: [2],
  decay: 0.5,
  loss: { scales: 2, patch: 3, projections: 8, factor: 100, bank: 16 },
};
const config: ZooBuildConfig = {
  spec: { ...SPECS.compact, name: 'tiny', channels: 4, hidden: 8 },
  out: join(folder, 'killed'),
  seed: 3,
  textures: [{ family: 'stripes', train: 6, heldOut: 2 }],
  picture: { kept: 12, target: 16, format: 'webp' },
  base: { textures: [{ family: 'pebbles', count: 1 }], training },
  training,
  together: 2,
  runaways: { loss: 1e6, saturated: 1, retry: 0.5 },
  rendering: { steps: 6, seed: 1 },
};

const filesOf = (path: string) =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => relative(path, join(entry.parentPath, entry.name)))
    .sort();

const command = 'the same';
const whole = { ...config, out: join(folder, 'whole') };
test.before(async () => {
  await startBackend();
  assert.ok((await settle(buildZoo(whole, { work: join(folder, 'other'), command }))).finished);
});

/** Builds the zoo in a process of its own and stops it when two NCAs are done: by a kill, or by Ctrl-C twice. @returns exit code or signal */
function stopped(of: ZooBuildConfig, work: string, signal: 'SIGKILL' | 'SIGINT') {
  const path = join(folder, 'zoo.yaml');
  // JSON is YAML.
  writeFileSync(path, JSON.stringify(of));
  const cli = fileURLToPath(new URL('../../cli/weightloom.mjs', import.meta.url));
  const child = spawn(process.execPath, [cli, 'zoo', 'build', path, '--work', work]);
  const parts = () => (existsSync(work) ? filesOf(work).filter(name => /nca-[^/]*$/.test(name)).length : 0);
  let sent = false;
  const watch = setInterval(() => {
    if (!sent && parts() >= 2) sent = child.kill(signal);
  }, 2);
  let text = '';
  child.stderr.on('data', part => {
    text += part;
    if (text.includes('Ctrl-C again')) child.kill(signal);
  });
  return new Promise<string | number | null>(resolve =>
    child.on('exit', (code, by) => {
      clearInterval(watch);
      resolve(by ?? code);
    }),
  );
}

for (const [way, signal, ending] of [
  ['killed', 'SIGKILL', 'SIGKILL'],
  ['stopped by Ctrl-C twice', 'SIGINT', 130],
] as const) {
  test(`a build that was ${way} ends with the bytes of one that was not`, async () => {
    const out = join(folder, `after-${signal}`);
    const work = join(folder, `work-${signal}`);
    assert.is(await stopped({ ...config, out }, work, signal), ending);
    assert.is(existsSync(out), false);

    assert.ok((await settle(buildZoo({ ...config, out }, { work, command }))).finished);
    assert.equal(filesOf(out), filesOf(whole.out));
    for (const name of filesOf(whole.out)) {
      const [one, other] = [out, whole.out].map(each => readFileSync(join(each, name)));
      // The manifest tells the folder it was made for.
      const same = name === 'zoo.json' ? other.toString().replaceAll(whole.out, out) : other;
      assert.equal(one.toString('latin1'), Buffer.from(same).toString('latin1'), name);
    }
    assert.equal(
      readdirSync(folder).filter(name => name.startsWith('.')),
      [],
    );
  });
}

test.run();
