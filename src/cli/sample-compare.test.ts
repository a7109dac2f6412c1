import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { watchCalls } from '../../property-tests/power-cut/watched-calls.ts';
import { refusal } from '../../property-tests/refusal.ts';
import { writeTinyZoo } from '../../property-tests/tiny-zoo.ts';
import { orThrow, settle, UserError } from '../config/index.ts';
import { pairMetrics, renderWeights } from '../evaluation/index.ts';
import {
  KEPT_METHODS,
  prepareTraining,
  readKeptNcas,
  resumeExperiment,
  runTraining,
  trainConfig,
} from '../experiment/index.ts';
import { encodePng, readSafetensors } from '../formats/index.ts';
import { weightCount } from '../nca/index.ts';
import { readResults } from '../runs/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import { main } from './main.ts';
import { compare } from './sample-compare.ts';

const test = suite('weightloom sample --compare');
const root = mkdtempSync(join(tmpdir(), 'weightloom-compare-'));
const at = (...names: string[]) => join(root, ...names);
const noise = (seed: number, side: number) => ({
  width: side,
  height: side,
  data: randomStream(seed, 'photo').uniforms(side * side * 3),
});

/** How the zoo says that it was built. */
const training = {
  iterations: 3,
  size: 12,
  pool: 3,
  batch: 2,
  seedEvery: 2,
  steps: [2, 4],
  overflow: 10,
  learningRate: 1e-3,
  milestones: [2],
  decay: 0.5,
  loss: { scales: 2, patch: 3, projections: 8, factor: 100, bank: 16 },
};
const build = {
  spec: 'compact',
  out: 'zoo',
  seed: 1,
  textures: { images: 'photos', pixelsPerTexel: 2 },
  picture: { kept: 16, target: 20 },
  base: { textures: { mosaic: 4 }, training },
  training,
  together: 2,
  rendering: { steps: 8, seed: 1 },
};

async function train(name: string, diffusion: object) {
  const config = {
    zoo: at('zoo'),
    denoiser: { kind: 'transformer', width: 16, layers: 1, heads: 2, noiseWidth: 8 },
    training: { steps: 2, batch: 4, validationBins: 2 },
    preview: null,
    diffusion,
  };
  const job = await prepareTraining(orThrow(trainConfig(config, 'test')), 'test');
  await runTraining(job, {
    folder: at(name),
    resume: false,
    progress: () => ({ update() {}, stop() {} }),
  });
  job.dispose();
  writeFileSync(at(name, 'config.yaml'), `zoo: ${at('zoo')}\nlimit: { train: null, heldOut: null }\n`);
}

test.before(async () => {
  await startBackend();
  await writeTinyZoo(at('zoo'));
  const manifest = at('zoo', 'zoo.json');
  const told = JSON.parse(readFileSync(manifest, 'utf8'));
  writeFileSync(manifest, JSON.stringify({ ...told, provenance: { config: build } }));
  await train('model', { process: 'edm', prior: 'gaussian', sampling: { steps: 2 } });
  await train('regression', { process: 'regression', prior: 'gaussian' });
  mkdirSync(at('photos'));
  const png = await encodePng(noise(1, 60));
  writeFileSync(at('photos', 'alpha.png'), await sharp(png).ensureAlpha(0.5).png().toBuffer());
  writeFileSync(at('photos', 'cmyk.jpg'), await sharp(png).toColourspace('cmyk').jpeg().toBuffer());
  writeFileSync(at('photos', 'small.png'), await sharp(png).greyscale().resize(9, 30).png().toBuffer());
  writeFileSync(at('photos', 'torn.png'), png.subarray(0, 2000));
});
test.after(() => rmSync(root, { recursive: true, force: true }));

const options = { count: 2, steps: 2, finetune: 2, seed: 1 };

/** What a call writes on standard error. */
async function said(work: () => Promise<unknown>, onLine?: (line: string) => void): Promise<string> {
  const { error } = console;
  const lines: string[] = [];
  console.error = (line: string) => {
    lines.push(line);
    onLine?.(line);
  };
  try {
    await work();
  } finally {
    console.error = error;
  }
  return lines.join('\n');
}

const numbers = async (folder: string) => (await readResults(folder)).perTexture;

test('every picture that can be read has its verdict; distances are those of the weights that are kept', async () => {
  const before = tf.memory().numTensors;
  const out = at('compared');
  const text = await said(() => compare({ ...options, run: at('model'), image: [at('photos')], out }));
  assert.is(tf.memory().numTensors, before);
  assert.match(text, /torn\.png is left out: /);
  assert.match(text, '1 of 4 pictures cannot be read');
  assert.match(text, 'small: too small: 9 x 30. It is taken all the same.');
  const results = await readResults(out);
  assert.equal(results.textures, ['alpha', 'cmyk', 'small']);
  const names = results.summary.map(({ method }) => method);
  for (const name of [
    ...['own NCA, second rendering', 'sample 1', 'sample 2', 'mean of 2 samples', 'one step'],
    ...['sample 1, 2 iterations', 'nearest', 'nearest-orbit', 'ridge', 'base'],
  ]) {
    assert.ok(names.includes(name), name);
  }
  const { verdicts } = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'));
  assert.is(verdicts.length, 3);
  for (const { sentence } of verdicts) assert.ok(text.includes(sentence), sentence);
  const report = readFileSync(join(out, 'report.html'), 'utf8');
  assert.not.match(report, /(src|href)="(?!data:)/);
  assert.match(report, 'How the verdict is made');
  assert.is((await sharp(join(out, 'compare.png')).metadata()).format, 'png');

  const { kept, spec } = await readKeptNcas(join(out, KEPT_METHODS));
  const { tensors } = await settle(readSafetensors(join(out, KEPT_METHODS)));
  const weights = tensors.weights.data as Float32Array;
  const targets = Float32Array.from(tensors.targets.data as Uint8Array, x => x / 255);
  const D = weightCount(spec);
  const [row, count] = [kept.columns.findIndex(({ name }) => name === 'nearest'), 3];
  const own = weights.slice(row * count * D, (row + 1) * count * D);
  const { pictures } = await renderWeights(spec, own, { steps: kept.steps, size: kept.size, seed: 1000 });
  const metric = pairMetrics(0, kept.size).find(({ name }) => name === 'patch-sw')!;
  const [shown, asked] = [pictures, targets].map(data => tf.tensor4d(data, [count, kept.size, kept.size, 3]));
  const again = await metric.compare(shown, asked);
  tf.dispose([shown, asked]);
  const told = results.perTexture.find(({ method }) => method === 'nearest')!['patch-sw'] as number[];
  // Targets are kept in 8 bits.
  told.forEach((x, i) => {
    assert.ok(Math.abs(x - again[i]) < 2 / 255, `${x} ${again[i]}`);
  });
});

test('pixels to a cell are as the zoo has them, or as asked', async () => {
  const large = at('large.png');
  writeFileSync(large, await encodePng(noise(2, 120)));
  const said1 = await said(() =>
    compare({ ...options, run: at('regression'), image: [large], out: at('piece') }),
  );
  assert.match(said1, 'large: only the middle 40 of 120 pixels are looked at');
  const all = { ...options, run: at('regression'), image: [large], pixelsPerTexel: 'fit' as const };
  assert.not.match(await said(() => compare({ ...all, out: at('all') })), 'only the middle');
  const notes = (name: string) =>
    JSON.parse(readFileSync(at(name, 'results.json'), 'utf8')).verdicts[0].notes[0];
  assert.match(notes('piece'), 'the middle 40 x 40 are used, 2 to a cell');
  assert.match(notes('all'), 'the middle 120 x 120 are used, 6 to a cell');
});

/** A comparison that takes a moment, and how many calls that write it makes. */
const small = { ...options, run: at('regression'), image: [at('photos', 'alpha.png')] };
let calls = 0;

test('a regression has one answer', async () => {
  const out = at('regressed', 'run');
  mkdirSync(at('regressed'));
  await said(async () => {
    ({ calls } = await watchCalls(at('regressed'), () => compare({ ...small, out })));
  });
  const { summary } = await readResults(out);
  assert.is(summary[0].metrics['patch-sw'].high, Infinity);
  assert.equal(
    summary.filter(({ kind }) => kind === 'denoiser').map(({ method }) => method),
    ['regression', 'regression, 2 iterations'],
  );
});

test('what cannot be compared is refused in one sentence, and leaves no folder', async () => {
  mkdirSync(at('empty'));
  const out = at('refused');
  const refused = async (more: object) => {
    let sentence = '';
    await said(async () => {
      sentence = await refusal(() => compare({ ...options, run: at('model'), out, ...more }));
    });
    assert.is(existsSync(out), false, sentence);
    assert.not.match(sentence, '\n');
    return sentence;
  };
  assert.match(await refused({}), 'option --image: expected pictures to compare on, found none');
  assert.match(await refused({ image: [at('empty')] }), 'empty: expected pictures (.jpg');
  assert.match(await refused({ image: [at('nowhere.jpg')] }), 'nowhere.jpg: expected a picture');
  assert.match(await refused({ image: [at('photos', 'torn.png')] }), 'torn.png: expected a picture, found');
  assert.match(await refused({ run: at('empty'), image: [at('photos')] }), 'Name the zoo: --zoo FOLDER');
  assert.match(
    await refused({ run: at('empty'), zoo: at('zoo'), image: [at('photos')] }),
    'model.safetensors: expected',
  );
  const flags = ['sample', '--run', at('model'), '--image', at('photos'), '--compare', '--canonical', 'd4'];
  assert.is(await said(() => main(flags)), 'option --canonical: expected without --compare, found both.');
  process.exitCode = 0;
});

test('a disk that is full in the middle loses nothing that was finished', async () => {
  const out = at('full', 'run');
  mkdirSync(at('full'));
  const work = () => compare({ ...small, out });
  let failure: unknown;
  await said(async () => {
    failure = (await watchCalls(at('full'), work, { call: Math.floor(0.8 * calls), code: 'ENOSPC' })).error;
  });
  assert.instance(failure, UserError);
  assert.match((failure as Error).message, 'expected room on the disk, found a full disk');
  assert.is(existsSync(join(out, 'results.json')), false);
  assert.ok(readdirSync(join(out, 'parts')).length > 0);
  await said(() => resumeExperiment(out));
  assert.equal(await numbers(out), await numbers(at('regressed', 'run')));
});

test('stopped by Ctrl-C it says how it goes on, and ends with the same numbers', async () => {
  const out = at('stopped');
  let sentence = '';
  let sent = false;
  await said(
    async () => {
      sentence = await refusal(() => compare({ ...small, out }));
    },
    // As the terminal's signal comes: once.
    line => {
      if (!sent && line.includes('fine-tune')) sent = process.emit('SIGINT');
    },
  );
  assert.match(sentence, 'photographs: interrupted; to go on: npx weightloom runs resume');
  await said(() => resumeExperiment(out));
  assert.equal(await numbers(out), await numbers(at('regressed', 'run')));
});

test('stopped by Ctrl-C twice it ends at once, and nothing that was finished is lost', async () => {
  const out = at('stopped-twice');
  const cli = fileURLToPath(new URL('weightloom.mjs', import.meta.url));
  const words = ['--run', small.run, '--image', ...small.image, '--count', '2', '--steps', '2'];
  const child = spawn(process.execPath, [
    ...[cli, 'sample', '--compare', ...words, '--finetune', '2', '--out', out],
  ]);
  let text = '';
  let sent = 0;
  child.stderr.on('data', part => {
    text += part;
    if (sent === 0 && text.includes('fine-tune')) sent = Number(child.kill('SIGINT'));
    if (sent === 1 && text.includes('finishing this step')) sent += Number(child.kill('SIGINT'));
  });
  const code = await new Promise(resolve => child.on('close', resolve));
  assert.not.equal(code, 0, text);
  assert.is(existsSync(join(out, 'results.json')), false);
  assert.ok(readdirSync(join(out, 'parts')).length > 0);
  await said(() => resumeExperiment(out));
  assert.equal(await numbers(out), await numbers(at('regressed', 'run')));
});

test.run();
