/** Words and numbers as the page shows them. */
import type { Speed } from './player.ts';

export const SPEED_NAMES: Readonly<Record<Speed, string>> = { slow: 'slow', normal: 'normal', full: 'fast' };

/** A number in three significant digits. */
export const figure = (value: number): string =>
  !Number.isFinite(value)
    ? String(value)
    : value === 0
      ? '0'
      : Math.abs(value) >= 1e-3 && Math.abs(value) < 1e4
        ? String(Number(value.toPrecision(3)))
        : value.toExponential(1);

/** `1 weight`, `2 weights` */
export const counted = (count: number, noun: string): string =>
  `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;

/** What kind of texture a name is of: what stands before its number, `acg-bricks` of `acg-bricks-0144`. */
export const familyOf = (name: string): string => name.replace(/[-_ ]?\d+$/, '');
