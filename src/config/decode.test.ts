import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decode, describe, failure, parseYaml, printable, show, UserError } from './index.ts';

const sentence = (codec: t.Decoder<unknown, unknown>, value: unknown) => {
  const result = decode(codec, value, 'x.yaml');
  return E.isLeft(result) ? describe(result.left) : 'fine';
};

const model = t.intersection([
  t.strict({ layers: t.number, kind: t.keyof({ graph: null, sequence: null }) }),
  t.partial({ dropout: t.union([t.number, t.null]), sizes: t.array(t.number) }),
]);
const config = t.strict({ model, tags: t.record(t.string, t.strict({ on: t.boolean })) });
const good = { model: { layers: 2, kind: 'graph', sizes: [1, 2] }, tags: { a: { on: true } } };

test('what fits is decoded', () => {
  assert.equal(decode(config, good, 'x'), E.right(good));
});

test('failures name the path, what was expected and what was found', () => {
  const change = (patch: object) => ({ ...good, model: { ...good.model, ...patch } });
  assert.is(
    sentence(config, change({ layers: 'two' })),
    'x.yaml: model.layers: expected a number, found "two".',
  );
  assert.is(
    sentence(config, change({ sizes: [1, null] })),
    'x.yaml: model.sizes[1]: expected a number, found null.',
  );
  assert.is(
    sentence(config, change({ dropout: 'x' })),
    'x.yaml: model.dropout: expected a number or null, found "x".',
  );
  assert.is(
    sentence(config, change({ kind: 'grph' })),
    'x.yaml: model.kind: expected one of graph, sequence, found "grph". Did you mean graph?',
  );
  assert.is(
    sentence(config, { ...good, tags: { a: { on: 1 } } }),
    'x.yaml: tags.a.on: expected true or false, found 1.',
  );
  assert.is(
    sentence(config, { tags: {} }),
    'x.yaml: model: expected a mapping with layers, kind, dropout, sizes, found nothing.',
  );
  assert.is(sentence(t.number, 'x'), 'x.yaml: expected a number, found "x".');
});

test('a key that no codec knows is refused with the nearest one, wherever it stands', () => {
  assert.is(
    sentence(config, { ...good, model: { ...good.model, layres: 3 } }),
    'x.yaml: model.layres: expected one of the keys layers, kind, dropout, sizes, found the unknown key layres. Did you mean layers?',
  );
  assert.match(sentence(config, { ...good, tags: { a: { on: true, of: 1 } } }), 'tags.a.of');
  const lists = t.array(t.strict({ a: t.number }));
  assert.match(sentence(lists, [{ a: 1 }, { a: 1, b: 2 }]), '[1].b');
});

test('in a union the member that fits best explains the failure', () => {
  const shape = t.union([
    t.strict({ kind: t.literal('circle'), radius: t.number }),
    t.strict({ kind: t.literal('box'), width: t.number, height: t.number }),
  ]);
  assert.is(
    sentence(shape, { kind: 'box', width: 1, height: 'x' }),
    'x.yaml: height: expected a number, found "x".',
  );
  assert.match(sentence(shape, { kind: 'circle', radius: 1, width: 2 }), 'the unknown key width');
  assert.is(sentence(shape, { kind: 'circle', radius: 1 }), 'fine');
});

test('a sentence is one line of printable signs, whatever the value', () => {
  const hostile = failure('a\x1b]0;x\x07.json', 'text', `\x1b[31m${'y'.repeat(10_000_000)}\r\n\u202e`, {
    field: 'f\n'.repeat(1000),
  });
  const said = describe(hostile);
  assert.ok(said.length < 700, String(said.length));
  assert.not.match(said, /[\p{Cc}\u202e]/u);
  assert.is(printable('a\tb\nc'), 'a b c');
  assert.is(printable('abcdef', 5), 'ab...');
});

test('any value is shown at once: deep, wide, circular, long, not JSON', () => {
  let deep: unknown = [];
  for (let i = 0; i < 1_000_000; i++) deep = [deep];
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  const wide = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, i]));
  for (const value of [deep, circle, wide, 'x'.repeat(1e7), 10n, Symbol('s'), () => 1, Number.NaN, null]) {
    assert.ok(show(value).length <= 80);
  }
  assert.is(show({ a: [1, { b: 'c' }] }), '{"a":[1,{"b":"c"}]}');
  assert.is(show(undefined), 'nothing');
});

test('YAML: aliases within reason, no circle, no depth', () => {
  assert.equal(parseYaml('a: &x [1]\nb: *x', 'x.yaml'), { a: [1], b: [1] });
  const tens = (name: string, of: string) => `${name}: &${name} [${Array(10).fill(of).join(',')}]\n`;
  const laughs = `${tens('a', '1')}${tens('b', '*a')}${tens('c', '*b')}${tens('d', '*c')}`;
  for (const text of [
    laughs,
    'a: &a [*a]',
    'a: &a {b: *a}',
    '['.repeat(1_000_000),
    '{a: '.repeat(100),
    '- '.repeat(100_000),
  ]) {
    assert.throws(
      () => parseYaml(text, 'x.yaml'),
      (error: Error) => error instanceof UserError && /^x\.yaml: expected YAML/.test(error.message),
    );
  }
});

test.run();
