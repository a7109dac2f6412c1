import type * as t from 'io-ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  finite,
  listOf,
  mappingOf,
  natural,
  notNegative,
  optional,
  positive,
  share,
  whole,
} from './codecs.ts';

const numbers = [-Infinity, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2 ** 53, Infinity, Number.NaN];

test('which numbers each codec takes: none takes what is infinite or no number', () => {
  const taken = (codec: t.Mixed) => numbers.filter(codec.is);
  assert.equal(taken(natural), [1, 2]);
  assert.equal(taken(whole), [0, 1, 2]);
  assert.equal(taken(finite), [-1, -0.5, 0, 0.5, 1, 1.5, 2, 2 ** 53]);
  assert.equal(taken(positive), [0.5, 1, 1.5, 2, 2 ** 53]);
  assert.equal(taken(notNegative), [0, 0.5, 1, 1.5, 2, 2 ** 53]);
  assert.equal(taken(share), [0, 0.5, 1]);
  assert.ok([natural, whole, finite, positive, notNegative, share].every(codec => !codec.is('1')));
});

test('lists and mappings of at least one, and null for none', () => {
  assert.equal([[], [1], [1, 0]].map(listOf(natural).is), [false, true, false]);
  assert.equal([{}, { a: 1 }, { a: 0 }].map(mappingOf(natural).is), [false, true, false]);
  assert.equal([null, 1, undefined].map(optional(natural).is), [true, true, false]);
});

test.run();
