/** Run folders of strangers: what they name is code, and it does not run unless the person names it too. */

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { weightloom } from '../../../property-tests/command-line.ts';
import { writeTinyZoo } from '../../../property-tests/tiny-zoo.ts';
import { settle } from '../../config/index.ts';
import { readSafetensors, writePng, writeSafetensors } from '../../formats/index.ts';

const test = suite('data never names code');
const root = mkdtempSync(join(tmpdir(), 'weightloom-trust-'));
const at = (...names: string[]) => join(root, ...names);
test.before(async () => {
  await writeTinyZoo(at('zoo'));
});
test.after(() => rmSync(root, { recursive: true, force: true }));

/** A file that leaves a trace when it runs, and no kind of anything. */
function evil(name: string): { path: string; ran: () => boolean } {
  const trace = at(`${name}.ran`);
  const path = at(`${name}.ts`);
  writeFileSync(
    path,
    `import { writeFileSync } from 'node:fs';\nwriteFileSync(${JSON.stringify(trace)}, '');\n`,
  );
  return { path, ran: () => existsSync(trace) };
}

/** A denoiser that passes its weights through. */
function mine(folder: string): string {
  mkdirSync(at(folder), { recursive: true });
  const path = at(folder, 'mine.ts');
  writeFileSync(
    path,
    `import { t, tf } from 'weightloom';
const build = (config, { spec }) => {
  const gain = tf.variable(tf.scalar(1));
  return { name: 'mine', spec, variables: { gain }, symmetries: new Set(), apply: w => tf.mul(w, gain), dispose: () => gain.dispose() };
};
export default { name: 'mine', summary: 'x', config: t.strict({}), defaults: {}, build };
`,
  );
  return path;
}

const train = (out: string, kind: string, ...more: string[]) =>
  weightloom(
    ...['train', 'quick', `zoo=${at('zoo')}`, `denoiser={kind: ${kind}}`, 'training.batch=2'],
    ...['training.validationBins=2', 'training.steps=4', 'diffusion.sampling.steps=2', 'preview=null'],
    ...['rollout=null', ...more, '--out', at(out)],
  );

test('environment.json names an experiment: refused, and the file is not run', async () => {
  const { path, ran } = evil('experiment');
  mkdirSync(at('stranger'));
  writeFileSync(at('stranger', 'config.yaml'), 'seed: 0\n');
  writeFileSync(
    at('stranger', 'environment.json'),
    JSON.stringify({ command: 'weightloom run x', experiment: path, commit: null }),
  );
  const refused = await weightloom('runs', 'resume', at('stranger'));
  assert.is(refused.code, 1);
  assert.match(refused.text, /environment\.json: expected modules that are named on the command line/);
  assert.match(refused.text, `runs resume ${at('stranger')} ${path}`);
  assert.not(ran());
  // Told to, it shows what it runs.
  const trusted = await weightloom('runs', 'resume', at('stranger'), '--trust');
  const hash = createHash('sha256').update(readFileSync(path)).digest('hex');
  assert.match(trusted.text, `trusted: ${path} (SHA-256 ${hash})`);
  assert.ok(ran());
});

test("a model's metadata and a training's config.yaml name a denoiser: refused, and the file is not run", async () => {
  const path = mine('one');
  const trained = await train('model', path);
  assert.is(trained.code, 0, trained.text);
  const model = at('model', 'model.safetensors');
  const { tensors, metadata } = await settle(readSafetensors(model));
  const about = JSON.parse(metadata.about);
  const hash = createHash('sha256').update(readFileSync(path)).digest('hex');
  assert.equal(about.modules, { [path]: hash });

  const sampling = ['sample', '--run', at('model'), '--image', at('dots.png'), '--no-gif', '--size', '8'];
  sampling.push('--nca-steps', '2', '--out', at('samples'));
  await settle(writePng(at('dots.png'), { width: 16, height: 16, data: new Float32Array(768).fill(0.5) }));
  assert.match((await weightloom(...sampling)).text, /expected modules that are named on the command line/);
  const named = await weightloom(...sampling, '--module', path);
  assert.is(named.code, 0, named.text);
  // The same file elsewhere will do, another of its name will not.
  const moved = mine('two');
  assert.is((await weightloom(...sampling, '--module', moved)).code, 0);
  writeFileSync(moved, `${readFileSync(moved, 'utf8')}// changed\n`);
  const other = await weightloom(...sampling, '--module', moved);
  assert.is(other.code, 1);
  assert.match(other.text, /two\/mine\.ts: expected the module that .* was made with .*found another one/);

  const { path: bad, ran } = evil('denoiser');
  about.config.denoiser = { kind: bad };
  await settle(writeSafetensors(model, tensors, { ...metadata, about: JSON.stringify(about) }));
  assert.is((await weightloom(...sampling)).code, 1);
  assert.is((await weightloom(...sampling, '--module', path)).code, 1);
  about.config.denoiser = { kind: path };
  about.config.encoder = { kind: bad };
  await settle(writeSafetensors(model, tensors, { ...metadata, about: JSON.stringify(about) }));
  assert.is((await weightloom(...sampling, '--module', path)).code, 1);

  rmSync(model);
  const config = readFileSync(at('model', 'config.yaml'), 'utf8').replaceAll(path, bad);
  writeFileSync(at('model', 'config.yaml'), config);
  assert.match((await weightloom('runs', 'resume', at('model'))).text, /named on the command line/);
  const again = await weightloom('train', at('model', 'config.yaml'), '--out', at('again'));
  assert.match(again.text, /config\.yaml: expected modules that are named on the command line/);
  assert.not(ran());
});

test("a run's parameters name a denoiser: refused, and the file is not run", async () => {
  const { path: bad, ran } = evil('parameter');
  mkdirSync(at('parameters'));
  const own = { command: 'x', experiment: 'quickstart', commit: null };
  writeFileSync(at('parameters', 'environment.json'), JSON.stringify(own));
  const words = [`zoo=${at('zoo')}`, 'denoisers=[dit]', 'parameters={}'];
  const { text: plain } = await weightloom('run', 'quickstart', ...words, '--dry-run');
  const text = plain.replace('- dit', `- ${bad}`);
  assert.match(text, bad);
  writeFileSync(at('parameters', 'config.yaml'), text);
  const refused = await weightloom('runs', 'resume', at('parameters'));
  assert.is(refused.code, 1);
  assert.match(refused.text, /expected modules that are named on the command line/);
  assert.not(ran());
});

test.run();
