import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import * as E from 'fp-ts/lib/Either.js';
import type * as TE from 'fp-ts/lib/TaskEither.js';
import * as t from 'io-ts';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import {
  CONFIGS,
  composeConfig,
  describe,
  type Failure,
  loadConfig,
  mergeConfigs,
  printConfig,
  settle,
} from './index.ts';

const root = mkdtempSync(join(tmpdir(), 'weightloom-config-'));
const test = suite('compose');
test.after(() => rmSync(root, { recursive: true }));

const write = (name: string, text: string) => {
  mkdirSync(dirname(join(root, name)), { recursive: true });
  writeFileSync(join(root, name), text);
};
const composed = async (name: string, ...overrides: string[]) =>
  (await settle(composeConfig(name, { roots: [root], overrides }))).config;
async function sentence(task: TE.TaskEither<Failure, unknown>): Promise<string> {
  const result = await task();
  return E.isLeft(result) ? describe(result.left) : 'no failure';
}
const says = async (expected: string, name: string, ...overrides: string[]) =>
  assert.match(await sentence(composeConfig(name, { roots: [root], overrides })), expected);

write('base.yaml', 'seed: 0\ntraining: { steps: 100, rate: 0.1 }\n');
write('main.yaml', 'defaults:\n  - base\n  - denoiser: graph\ntraining: { steps: 50 }\nlimit: null\n');
write('first.yaml', 'defaults: [_self_, base]\ntraining: { steps: 50, batch: 8 }\n');
write('denoiser/graph.yaml', 'name: graph\nlayers: 4\n');
write('denoiser/sequence.yaml', 'defaults: [common, { attention: full }]\nname: sequence\n');
write('denoiser/common.yaml', 'heads: 4\nname: common\n');
write('denoiser/attention/full.yaml', 'kind: full\n');
write('denoiser/attention/none.yaml', 'kind: none\n');
write('tracker/events.yaml', 'every: 10\n');

const graph = { name: 'graph', layers: 4 };

test('defaults are merged in order and the file itself comes last, or where _self_ stands', async () => {
  assert.equal(await composed('main'), {
    seed: 0,
    training: { steps: 50, rate: 0.1 },
    limit: null,
    denoiser: graph,
  });
  assert.equal(await composed('first'), { seed: 0, training: { steps: 100, rate: 0.1, batch: 8 } });
});

test('a group is chosen on the command line, with the groups it brings', async () => {
  const sequence = { heads: 4, name: 'sequence', attention: { kind: 'full' } };
  assert.equal((await composed('main', 'denoiser=sequence')).denoiser, sequence);
  assert.equal(
    (await composed('main', 'denoiser=sequence', 'denoiser.attention=none', 'denoiser.heads=2')).denoiser,
    {
      ...sequence,
      heads: 2,
      attention: { kind: 'none' },
    },
  );
  assert.equal((await composed('main', 'denoiser=null')).denoiser, undefined);
  assert.equal((await composed('main', '+tracker=events')).tracker, { every: 10 });
  assert.equal((await composed('main', '+tracker=events', 'tracker.every=5')).tracker, { every: 5 });
  const { files, choices } = await settle(
    composeConfig('main', { roots: [root], overrides: ['denoiser=sequence'] }),
  );
  assert.equal(choices, { denoiser: 'sequence', 'denoiser/attention': 'full' });
  assert.equal(
    files.map(file => file.slice(root.length + 1)),
    [
      'base.yaml',
      'denoiser/common.yaml',
      'denoiser/attention/full.yaml',
      'denoiser/sequence.yaml',
      'main.yaml',
    ],
  );
});

test('values are YAML: numbers, booleans, null, lists, mappings, text', async () => {
  const set = async (text: string) =>
    ((await composed('main', `training.steps=${text}`)).training as { steps: unknown }).steps;
  assert.is(await set('7'), 7);
  assert.is(await set('1e-3'), 0.001);
  assert.is(await set('true'), true);
  assert.is(await set('null'), null);
  assert.is(await set('"7"'), '7');
  assert.is(await set('a=b'), 'a=b');
  assert.equal(await set('[1, two, null]'), [1, 'two', null]);
  assert.equal(await set('{a: 1}'), { a: 1 });
  assert.equal(await composed('base', '+training.warmUp=5', '+new.deep=1'), {
    seed: 0,
    training: { steps: 100, rate: 0.1, warmUp: 5 },
    new: { deep: 1 },
  });
});

test('a later override wins', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer(), { minLength: 1 }), async values => {
      const overrides = values.map(value => `training.steps=${value}`);
      assert.equal((await composed('main', ...overrides)).training, { steps: values.at(-1), rate: 0.1 });
    }),
    { numRuns: 10 },
  );
});

test('another kind of thing comes with its own parameters alone', () => {
  const below = { noise: { kind: 'spectrum', low: 0.1 }, steps: 4 };
  assert.equal(mergeConfigs(below, { noise: { kind: 'log-normal', mean: 3 } }), {
    noise: { kind: 'log-normal', mean: 3 },
    steps: 4,
  });
  assert.equal(mergeConfigs(below, { noise: { kind: 'spectrum', high: 2 } }), {
    noise: { kind: 'spectrum', low: 0.1, high: 2 },
    steps: 4,
  });
});

test('nothing merged is no change, merging twice is merging once, and what is printed is read back', () => {
  const key = (...names: string[]) => fc.constantFrom(...names);
  const options = { noNullPrototype: true };
  const config = fc.dictionary(
    key('a', 'b', 'c'),
    fc.oneof(
      fc.integer(),
      fc.constant(null),
      fc.array(fc.integer()),
      fc.dictionary(key('x', 'y'), fc.string(), options),
    ),
    options,
  );
  fc.assert(
    fc.property(config, config, (a, b) => {
      assert.equal(mergeConfigs(a, {}), a);
      assert.equal(mergeConfigs({}, a), a);
      assert.equal(mergeConfigs(mergeConfigs(a, b), b), mergeConfigs(a, b));
      assert.equal(parse(printConfig(a)), a);
    }),
  );
});

test('what cannot be composed is one sentence', async () => {
  await says(
    'command line (training.stesp=1): training.stesp: expected one of the keys steps, rate, found the unknown key stesp. Did you mean steps?',
    'main',
    'training.stesp=1',
  );
  await says('Write +epochs=1 to add it.', 'main', 'epochs=1');
  await says('seed: expected a mapping, found 0', 'main', 'seed.x=1');
  await says(
    'command line: denoiser: expected one of common, graph, sequence, found "grpah". Did you mean graph?',
    'main',
    'denoiser=grpah',
  );
  await says('expected key=value, +key=value or group=name, found "nonsense"', 'main', 'nonsense');
  await says('expected key=value', 'main', '__proto__.x=1');
  await says('command line (seed=[1): expected YAML', 'main', 'seed=[1');
  await says('expected one of base, first, main, found "mian". Did you mean main?', 'mian');
  write('circle.yaml', 'defaults: [round]\n');
  write('round.yaml', 'defaults: [circle]\n');
  await says('a circle: circle.yaml -> round.yaml -> circle.yaml', 'circle');
  write('bad/list.yaml', '- 1\n');
  await says('expected a mapping of keys to values, found [1]', join(root, 'bad/list.yaml'));
  write('bad/syntax.yaml', 'a: [1\nb: 2\n');
  await says('syntax.yaml: expected YAML, found text that is not (', join(root, 'bad/syntax.yaml'));
  write('bad/twice.yaml', 'a: 1\na: 2\n');
  await says('Map keys must be unique', join(root, 'bad/twice.yaml'));
  write('bad/leaves.yaml', 'defaults: [../base]\n');
  await says(
    'defaults[0]: expected the name of a configuration, found "../base"',
    join(root, 'bad/leaves.yaml'),
  );
  await says('expected a file or folder that exists', join(root, 'none.yaml'));
});

test("a configuration given by path finds its own groups first, then the library's", async () => {
  write('mine/my.yaml', 'defaults:\n  - denoiser: own\n  - tracker: events\n');
  write('mine/denoiser/own.yaml', 'name: own\n');
  assert.equal(await composed(join(root, 'mine/my.yaml')), {
    denoiser: { name: 'own' },
    tracker: { every: 10 },
  });
});

test('a preset goes over the rest of its file, chooses groups, and gives way to other overrides', async () => {
  write(
    'with-presets.yaml',
    `defaults: [{ denoiser: graph }]
preset: quick
presets:
  quick: { training: { steps: 5 } }
  full:
    defaults: [{ denoiser: sequence }]
    training: { steps: 500 }
training: { steps: 50, rate: 0.1 }
`,
  );
  assert.equal(await composed('with-presets'), {
    preset: 'quick',
    training: { steps: 5, rate: 0.1 },
    denoiser: graph,
  });
  const full = await composed('with-presets', 'training.rate=1', 'preset=full');
  assert.equal(full.training, { steps: 500, rate: 1 });
  assert.is((full.denoiser as { name: string }).name, 'sequence');
  const chosen = await composed('with-presets', 'preset=full', 'denoiser=graph', 'training.steps=1');
  assert.equal(chosen, { preset: 'full', training: { steps: 1, rate: 0.1 }, denoiser: graph });
  await says(
    'command line (preset=fulll): preset: expected one of quick, full, found "fulll"',
    'with-presets',
    'preset=fulll',
  );
});

test('decoding blames the override that brought the value, else the configuration', async () => {
  const codec = t.strict({
    seed: t.number,
    training: t.intersection([
      t.strict({ steps: t.number, rate: t.number }),
      t.partial({ warmUp: t.number }),
    ]),
  });
  const load = (...overrides: string[]) => loadConfig(codec, 'base', { roots: [root], overrides });
  assert.equal((await settle(load('training.steps=3'))).value.training.steps, 3);
  assert.is(
    await sentence(load('training.steps=many')),
    'command line (training.steps=many): training.steps: expected a number, found "many".',
  );
  assert.match(
    await sentence(load('+training.warmup=3')),
    'command line (+training.warmup=3): training.warmup: expected one of the keys steps, rate, warmUp, found the unknown key warmup. Did you mean warmUp?',
  );
  assert.match(await sentence(loadConfig(t.strict({ seed: t.string }), 'base', { roots: [root] })), 'base: ');
});

test('every configuration of the library can be composed', async () => {
  for (const name of readdirSync(CONFIGS).filter(file => file.endsWith('.yaml'))) {
    await settle(composeConfig(name.slice(0, -5)));
  }
});

test.run();
