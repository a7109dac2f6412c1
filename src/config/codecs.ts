/** Codecs that configurations have in common; their names are what a failure says was expected. */
import * as t from 'io-ts';

export const natural = t.refinement(
  t.number,
  x => Number.isSafeInteger(x) && x >= 1,
  'a whole number from 1',
);
export const whole = t.refinement(t.number, x => Number.isSafeInteger(x) && x >= 0, 'a whole number from 0');

/** The value, or null for none. */
export const optional = <C extends t.Mixed>(codec: C) => t.union([codec, t.null]);

/** A list of at least one. */
export const listOf = <C extends t.Mixed>(codec: C) =>
  t.refinement(t.array(codec), list => list.length > 0, 'a list of at least one');
