/** The one way to say a figure and its interval, in every table, page and line of the terminal. */

/** Three significant digits, without exponents for the sizes met here. */
export const number = (value: number): string =>
  Number.isFinite(value)
    ? Math.abs(value) >= 100
      ? value.toFixed(0)
      : Number(value.toPrecision(3)).toString()
    : String(value);

/** `0.0559 [0.0486, 0.0635]`: a mean and the ends of its interval. */
export const intervalText = ({ mean, low, high }: { mean: number; low: number; high: number }): string =>
  `${number(mean)} [${number(low)}, ${number(high)}]`;
