/**
 * The patterns of the texture families: functions on the cell plane. Each gives how much of the second colour shows, in [0, 1], and
 * how much lighter or darker (about -1 to 1) the place is.
 */
import type { Frame } from './frame.ts';

/** A family's own parameters by name, and those that all share. */
export type Parameters = Readonly<Record<string, number>>;
/** At (u, v): [mix of the second colour, shade]. */
export type Pattern = (
  u: number,
  v: number,
  parameters: Parameters,
  frame: Frame,
) => readonly [number, number];

const TAU = 2 * Math.PI;
const { floor, abs, hypot, sin, cos, min, max, sqrt } = Math;
const fraction = (x: number) => x - floor(x);
const clamp = (x: number) => min(1, max(0, x));
/** Triangle wave of period 1 between 0 and 1. */
const triangle = (x: number) => abs(2 * fraction(x) - 1);
const smooth = (t: number) => t * t * (3 - 2 * t);
/** From 0 to 1 as `x` passes `edge`, over the width of the softness parameter. */
const step = (edge: number, x: number, softness: number) =>
  smooth(clamp((x - edge) / max(softness, 1e-3) + 0.5));

/** Gradient noise of about [-1, 1] over the lattice (Perlin 1985). */
function noise(u: number, v: number, frame: Frame, channel: number, octave = 0): number {
  const i = floor(u);
  const j = floor(v);
  const corner = (di: number, dj: number) => {
    const turn = TAU * frame.random(i + di, j + dj, channel, octave);
    return cos(turn) * (u - i - di) + sin(turn) * (v - j - dj);
  };
  const x = smooth(u - i);
  const y = smooth(v - j);
  const top = corner(0, 0) * (1 - x) + corner(1, 0) * x;
  return 1.5 * (top * (1 - y) + (corner(0, 1) * (1 - x) + corner(1, 1) * x) * y);
}

/** Octaves of noise, each half as large and twice as fine. */
function fractal(u: number, v: number, frame: Frame, channel: number, roughness: number): number {
  let sum = 0;
  let weight = 1;
  for (let octave = 0; octave < 3; octave++, weight *= roughness) {
    sum += weight * noise(u * 2 ** octave, v * 2 ** octave, frame, channel, octave);
  }
  return sum;
}

/** Distances to the nearest and second nearest of one jittered point a cell, and the nearest's cell (Worley 1996). */
function nearestPoints(u: number, v: number, jitter: number, frame: Frame) {
  const found = { first: 9, second: 9, i: 0, j: 0 };
  for (let j = floor(v) - 1; j <= floor(v) + 1; j++) {
    for (let i = floor(u) - 1; i <= floor(u) + 1; i++) {
      const x = i + 0.5 + jitter * (frame.random(i, j, 0) - 0.5);
      const y = j + 0.5 + jitter * (frame.random(i, j, 1) - 0.5);
      const distance = hypot(x - u, y - v);
      if (distance < found.first) {
        found.second = found.first;
        Object.assign(found, { first: distance, i, j });
      } else if (distance < found.second) found.second = distance;
    }
  }
  return found;
}

export const stripes: Pattern = (u, v, { duty, softness, wobble }, frame) => {
  const bend = wobble * noise(u * 0.5, v * 0.5, halved(frame), 0);
  return [step(1 - duty, triangle(v + bend), 2 * softness), 0];
};

/** The frame of cells twice as large; only for patterns whose period is 2. */
const halved = (frame: Frame): Frame => ({
  toCell: frame.toCell,
  random: (i, j, channel, octave = 0) => frame.random(2 * i, 2 * j, channel + 8, octave),
});

export const zigzag: Pattern = (u, v, { height, duty, softness }) => [
  step(1 - duty, triangle(v + height * triangle(u * 0.5)), 2 * softness),
  0,
];

export const waves: Pattern = (u, v, { height, softness }) => {
  const crest = 0.5 + 0.5 * sin(TAU * (v + height * sin(TAU * u * 0.5)));
  return [step(0.5, crest, 0.3 + 2 * softness), 0.5 * (crest - 0.5)];
};

export const checks: Pattern = (u, v, { softness, duty }) => {
  const across = triangle(u * 0.5) - duty;
  const down = triangle(v * 0.5) - duty;
  const a = step(0, across, softness);
  const b = step(0, down, softness);
  return [a + b - 2 * a * b, 0];
};

export const plaid: Pattern = (u, v, { duty, softness, thread }) => {
  const across = step(1 - duty, triangle(u), 2 * softness);
  const down = step(1 - duty, triangle(v), 2 * softness);
  const fine = max(step(0.9, triangle(u + 0.5), softness), step(0.9, triangle(v + 0.5), softness));
  return [0.5 * (across + down), thread * fine];
};

export const dots: Pattern = (u, v, { radius, jitter, softness }, frame) => {
  let best = 0;
  const row = floor(v);
  for (let j = row - 1; j <= row + 1; j++) {
    const shift = j & 1 ? 0.5 : 0;
    for (let i = floor(u) - 1; i <= floor(u) + 1; i++) {
      const x = i + 0.5 + shift + jitter * (frame.random(i, j, 0) - 0.5);
      const y = j + 0.5 + jitter * (frame.random(i, j, 1) - 0.5);
      best = max(best, step(-radius, -hypot(u - x, v - y), softness));
    }
  }
  return [best, 0];
};

export const rings: Pattern = (u, v, { count, softness }) => {
  const distance = hypot(fraction(u) - 0.5, fraction(v) - 0.5);
  return [step(0.5, 0.5 + 0.5 * cos(TAU * count * distance), 0.4 + 2 * softness), 0];
};

export const diamonds: Pattern = (u, v, { radius, softness, bevel }) => {
  const x = fraction(u) - 0.5;
  const y = fraction(v) - 0.5;
  const distance = abs(x) + abs(y);
  const inside = step(-radius, -distance, softness);
  return [inside, bevel * inside * (y > 0 ? 1 : -1) * 0.6 * distance];
};

export const bricks: Pattern = (u, v, { mortar, softness, tone }, frame) => {
  const row = floor(v);
  const along = u * 0.5 + (row & 1 ? 0.5 : 0);
  const brick = floor(along);
  const x = abs(fraction(along) - 0.5) * 2;
  const y = abs(fraction(v) - 0.5);
  const edge = min(1 - x, 0.5 - y);
  const inside = step(mortar, edge, softness);
  return [inside, inside * tone * (frame.random(2 * brick - (row & 1 ? 1 : 0), row, 2) - 0.5)];
};

export const weave: Pattern = (u, v, { width, softness, relief }) => {
  const over = (floor(u) + floor(v)) & 1;
  const x = fraction(u) - 0.5;
  const y = fraction(v) - 0.5;
  const warp = step(abs(x), 0.5 * width, softness);
  const weft = step(abs(y), 0.5 * width, softness);
  // The thread on top covers; the other shows in the gap beside it.
  const warpOnTop = over === 1 ? warp : warp * (1 - weft);
  const weftOnTop = over === 1 ? weft * (1 - warp) : weft;
  const bend = over === 1 ? warpOnTop * cos(Math.PI * y) : weftOnTop * cos(Math.PI * x);
  return [weftOnTop, relief * (bend - 0.6) - 0.7 * (1 - max(warp, weft))];
};

export const scales: Pattern = (u, v, { rim, softness, relief }) => {
  // Rows of discs, each over the row below it; the first disc from the top that covers the place is seen.
  const rows = 2 * v;
  const row = floor(rows);
  for (let j = row + 1; j >= row - 2; j--) {
    const shift = j & 1 ? 0.5 : 0;
    const x = fraction(u + shift) - 0.5;
    const y = (rows - j) * 0.5;
    const distance = hypot(x, y);
    if (j <= row && distance < 0.56) {
      return [step(0.56 - rim, distance, softness), relief * (0.45 - 1.6 * y)];
    }
  }
  return [1, -relief * 0.4];
};

export const cells: Pattern = (u, v, { wall, jitter, softness, tone }, frame) => {
  const { first, second, i, j } = nearestPoints(u, v, jitter, frame);
  const inside = step(wall, second - first, softness);
  return [inside, inside * tone * (frame.random(i, j, 2) - 0.5)];
};

export const pebbles: Pattern = (u, v, { jitter, relief, softness }, frame) => {
  const { first, second } = nearestPoints(u, v, jitter, frame);
  const inside = step(0.12, second - first, 0.1 + softness);
  return [inside, relief * inside * (0.6 - 1.9 * first)];
};

export const clouds: Pattern = (u, v, { roughness, softness, cover }, frame) => [
  step(1 - cover, 0.5 + 0.5 * fractal(u, v, frame, 4, roughness), 0.5 + 2 * softness),
  0,
];

export const camouflage: Pattern = (u, v, { roughness, softness, cover }, frame) => [
  step(1 - cover, 0.5 + 0.7 * fractal(u, v, frame, 5, roughness), softness),
  0.35 * smooth(clamp(2 * noise(u, v, frame, 7))),
];

export const grain: Pattern = (u, v, { stretch, roughness, softness }, frame) => {
  // Long fibres: noise that is summed over neighbouring places along u.
  let sum = 0;
  const taps = 7;
  for (let k = 0; k < taps; k++) {
    const s = (k / (taps - 1) - 0.5) * stretch;
    sum += noise(u + s, v, frame, 4) + roughness * noise(2 * (u + s), 2 * v, frame, 4, 1);
  }
  return [clamp(0.5 + ((sum / taps) * 1.5) / (0.5 + softness)), 0];
};

export const truchet: Pattern = (u, v, { width, softness }, frame) => {
  const i = floor(u);
  const j = floor(v);
  const x = frame.random(i, j, 3) < 0.5 ? u - i : 1 - (u - i);
  const y = v - j;
  const distance = min(abs(hypot(x, y) - 0.5), abs(hypot(1 - x, 1 - y) - 0.5));
  return [step(distance, 0.5 * width, softness), 0];
};

export const hexagons: Pattern = (u, v, { wall, softness, tone }, frame) => {
  // Nearest centre of a staggered lattice, rows sqrt(3)/2 apart made 1 apart so that the pattern tiles.
  let first = 9;
  let second = 9;
  let hue = 0;
  for (let j = floor(v) - 1; j <= floor(v) + 1; j++) {
    for (let i = floor(u) - 1; i <= floor(u) + 1; i++) {
      const dx = i + 0.5 + (j & 1 ? 0.5 : 0) - u;
      const dy = (j + 0.5 - v) * sqrt(0.75);
      const distance = hypot(dx, dy);
      if (distance < first) {
        second = first;
        first = distance;
        hue = frame.random(i, j, 2);
      } else if (distance < second) second = distance;
    }
  }
  const inside = step(wall, second - first, softness);
  return [inside, inside * tone * (hue - 0.5)];
};
