import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decode, describe } from './index.ts';

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

test.run();
