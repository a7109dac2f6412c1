import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../config/index.ts';
import { cellsNamed, splitValues, sweepCells, sweepWords } from './cells.ts';

test('commas inside brackets and quotes do not part values', () => {
  assert.equal(splitValues('[a,b],c,{d: [1,2]}'), ['[a,b]', 'c', '{d: [1,2]}']);
  assert.equal(splitValues('"x,y",z'), ['"x,y"', 'z']);
  assert.equal(splitValues("['a,b',c],'d,e'"), ["['a,b',c]", "'d,e'"]);
  // In the middle of a value it is an apostrophe.
  assert.equal(splitValues("it's,2,o'clock"), ["it's", '2', "o'clock"]);
});

test('a sweep has one cell for every combination, each with an id of its own', () => {
  const word = fc.tuple(
    fc.stringMatching(/^[a-z]{1,5}$/),
    fc.uniqueArray(fc.stringMatching(/^[a-z][a-z0-9]{0,5}$/), { minLength: 1, maxLength: 4 }),
  );
  fc.assert(
    fc.property(fc.uniqueArray(word, { selector: ([key]) => key, maxLength: 4 }), axes => {
      const cells = sweepCells(axes.map(([key, values]) => `${key}=${values.join(',')}`));
      assert.is(
        cells.length,
        axes.reduce((product, [, values]) => product * values.length, 1),
      );
      assert.is(new Set(cells.map(({ id }) => id)).size, cells.length);
      for (const { overrides } of cells) {
        axes.forEach(([key, values], i) => {
          assert.ok(values.some(value => overrides[i] === `${key}=${value}`));
        });
      }
    }),
  );
});

test('a sweep block becomes words; the command line wins', () => {
  const block = {
    seed: [0, 1],
    'training.batch': [16],
    denoisers: [['a', 'b'], []],
    name: ['plain', 'a,b', 'true', '1'],
  };
  assert.equal(sweepWords(block, ['+seed=7'], 'x.yaml'), [
    'training.batch=16',
    'denoisers=["a","b"],[]',
    'name=plain,"a,b","true","1"',
  ]);
  assert.equal(splitValues('plain,"a,b","true","1"'), ['plain', '"a,b"', '"true"', '"1"']);
  assert.equal(sweepWords(undefined, [], 'x.yaml'), []);
});

test('what is no sweep is refused with one sentence', () => {
  const sentence = (work: () => unknown) => {
    try {
      work();
    } catch (error) {
      assert.instance(error, UserError);
      return (error as Error).message;
    }
    return 'nothing was refused';
  };
  assert.is(
    sentence(() => sweepWords({ seed: 3 }, [], 'x.yaml')),
    'x.yaml: sweep.seed: expected a list of values, found 3.',
  );
  assert.is(
    sentence(() => sweepWords([1], [], 'x.yaml')),
    'x.yaml: sweep: expected a mapping of keys to lists of values, found [1].',
  );
  assert.is(
    sentence(() => sweepCells(['seed'])),
    'sweep: expected key=value,value,..., found "seed".',
  );
  assert.is(
    sentence(() => sweepCells(['seed=1,1'])),
    'sweep: seed=1,1: a value stands there twice.',
  );
  assert.is(
    sentence(() => sweepCells(['rate=1e-3,2,0.001'])),
    'sweep: rate=1e-3,2,0.001: a value stands there twice, as 1e-3 and as 0.001.',
  );
  assert.is(
    sentence(() => sweepCells(['seed=1', '+seed=2'])),
    'sweep: the key seed stands there twice.',
  );
  assert.match(
    sentence(() => cellsNamed(sweepCells(['seed=1,2']), ['seed=3'])),
    /^option --only: expected the name of one of 2 cells, such as seed=1-\w{8} or seed=2-\w{8}, found "seed=3"\.$/,
  );
});

test('cells are found by name and by hash', () => {
  const cells = sweepCells(['seed=1,2']);
  assert.equal(cellsNamed(cells, [cells[1].id, cells[0].id.slice(-8)]), [cells[1], cells[0]]);
});

test.run();
