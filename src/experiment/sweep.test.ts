import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { splitValues, sweepCells } from './sweep.ts';

test('commas inside brackets and quotes do not part values', () => {
  assert.equal(splitValues('[a,b],c,{d: [1,2]}'), ['[a,b]', 'c', '{d: [1,2]}']);
  assert.equal(splitValues('"x,y",z'), ['"x,y"', 'z']);
});

test('a sweep has one cell for every combination, each with an id of its own', () => {
  const word = fc.tuple(
    fc.stringMatching(/^[a-z]{1,5}$/),
    fc.uniqueArray(fc.stringMatching(/^[a-z0-9.]{1,6}$/), { minLength: 1, maxLength: 4 }),
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

test.run();
