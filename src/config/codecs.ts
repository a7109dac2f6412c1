/** Codecs that configurations have in common; their names are what a failure says was expected. */
import * as t from 'io-ts';

const numberThat = (holds: (x: number) => boolean, name: string) => t.refinement(t.number, holds, name);

/** A whole number from 1, exact as a double: counts and sizes. */
export const natural = numberThat(x => Number.isSafeInteger(x) && x >= 1, 'a whole number from 1');
/** A whole number from 0; seeds too: streams of random numbers know no fractions. */
export const whole = numberThat(x => Number.isSafeInteger(x) && x >= 0, 'a whole number from 0');
/** YAML also knows .inf and .nan. */
export const finite = numberThat(Number.isFinite, 'a finite number');
/** A finite number above 0. */
export const positive = numberThat(x => Number.isFinite(x) && x > 0, 'a number above 0');
/** A finite number from 0. */
export const notNegative = numberThat(x => Number.isFinite(x) && x >= 0, 'a number from 0');
/** A number from 0 to 1, both included: probabilities and parts of a whole. */
export const share = numberThat(x => x >= 0 && x <= 1, 'a number from 0 to 1');

/** The value, or null for none. The key itself must be there: a missing one is refused. */
export const optional = <C extends t.Mixed>(codec: C) => t.union([codec, t.null]);

/** A list of at least one. */
export const listOf = <C extends t.Mixed>(codec: C) =>
  t.refinement(t.array(codec), list => list.length > 0, 'a list of at least one');

/** A mapping from names, of at least one. */
export const mappingOf = <C extends t.Mixed>(codec: C) =>
  t.refinement(t.record(t.string, codec), map => Object.keys(map).length > 0, 'a mapping of at least one');
