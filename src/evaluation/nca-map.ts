/** A map of NCAs: their pictures as thumbnails where points in the plane say, moved apart just enough not to hide each other. */
import sharp from 'sharp';
import { escapeMarkup, type Picture, pictureBytes } from '../formats/index.ts';

/** What `renderMap` draws: pictures and where they lie. */
export interface NcaMap {
  readonly title: string;
  readonly pictures: readonly Picture[];
  /** [count][2], in any unit; both axes are drawn to one scale. */
  readonly points: readonly (readonly number[])[];
  /** A frame each, by label; none when there are more labels than colours. */
  readonly labels?: readonly string[];
  /** Side of the map in pixels; default 1000. */
  readonly size?: number;
  /** Side of a thumbnail; default so that all together cover a quarter of the map, between 20 and 64. */
  readonly thumbnail?: number;
}

/** Okabe and Ito (2008), and black. */
const COLOURS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#b3a125', '#222222'];
const MARGIN = 24;
const HEADER = 40;
const FOOTER = 34;
const FRAME = 2;
const ROUNDS = 400;
const FITTINGS = 40;

/**
 * Moves squares apart until none overlap, or rounds run out: every overlapping pair gives way along the axis on which it overlaps least, each
 * by half. What lies free stays where it is. Deterministic.
 * @param points [n][2], centres  @param side of a square  @param bounds the centres stay within [0, bounds]; without it they go where they must
 */
export function spreadSquares(
  points: readonly (readonly number[])[],
  side: number,
  bounds = Number.POSITIVE_INFINITY,
): number[][] {
  const places = points.map(([x, y]) => [x, y]);
  const first = Number.isFinite(bounds) ? 0 : Number.NEGATIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    let moved = false;
    for (let i = 0; i < places.length; i++) {
      for (let j = i + 1; j < places.length; j++) {
        const [a, b] = [places[i], places[j]];
        const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
        const [overX, overY] = [side - Math.abs(dx), side - Math.abs(dy)];
        if (overX <= 1e-6 || overY <= 1e-6) continue;
        moved = true;
        const axis = overX < overY ? 0 : 1;
        // Of two at one place the later gives way to the right or downwards.
        const step = ((axis === 0 ? overX : overY) / 2) * ((axis === 0 ? dx : dy) < 0 ? -1 : 1);
        a[axis] -= step;
        b[axis] += step;
      }
    }
    for (const place of places) {
      for (const k of [0, 1]) place[k] = Math.min(bounds, Math.max(first, place[k]));
    }
    if (!moved) break;
  }
  return places;
}

/**
 * Places for squares in a room that is wide enough: what is dense takes the space it needs and what is empty gives it, so that a lone point
 * far off does not press the others onto the border.
 */
function layOut(points: readonly (readonly number[])[], side: number, room: number): number[][] {
  let places = fit(points, room);
  for (let round = 0; round < FITTINGS; round++) {
    const free = spreadSquares(places, side);
    const extent = Math.max(
      ...[0, 1].map(k => Math.max(...free.map(p => p[k])) - Math.min(...free.map(p => p[k]))),
    );
    places = fit(free, room);
    if (extent <= 1.002 * room) break;
  }
  return spreadSquares(places, side, room);
}

/** Centred points to pixels in [0, side], both axes to one scale. */
function fit(points: readonly (readonly number[])[], side: number): number[][] {
  const range = [0, 1].map(k => {
    const values = points.map(point => point[k]);
    return [Math.min(...values), Math.max(...values)];
  });
  const extent = Math.max(...range.map(([low, high]) => high - low)) || 1;
  return points.map(point =>
    point.slice(0, 2).map((x, k) => side / 2 + ((x - (range[k][0] + range[k][1]) / 2) / extent) * side),
  );
}

/** Renders the map as a PNG. */
export async function renderMap({
  title,
  pictures,
  points,
  labels,
  size = 1000,
  ...options
}: NcaMap): Promise<Uint8Array> {
  const covering = Math.sqrt((size * size) / 4 / Math.max(1, pictures.length));
  const thumbnail = options.thumbnail ?? Math.round(Math.min(64, Math.max(20, covering)));
  const kinds = [...new Set(labels ?? [])];
  const coloured = labels !== undefined && kinds.length <= COLOURS.length;
  const side = thumbnail + (coloured ? 2 * FRAME : 0);
  const room = size - 2 * MARGIN - side;
  const spread = layOut(points, side + 2, room);
  // No empty bands above and below.
  const top = Math.min(...spread.map(([, y]) => y));
  const places = spread.map(([x, y]) => [x, y - top]);
  const high = Math.max(...places.map(([, y]) => y)) + side;
  const height = Math.ceil(high) + 2 * MARGIN + HEADER + (coloured ? FOOTER : 0);
  const corner = ([x, y]: readonly number[]) => [Math.round(MARGIN + x), Math.round(HEADER + MARGIN + y)];
  const colour = (i: number) => COLOURS[kinds.indexOf(labels![i])];
  const frames = coloured
    ? places.map((place, i) => {
        const [left, top] = corner(place);
        return `<rect x="${left}" y="${top}" width="${side}" height="${side}" fill="${colour(i)}"/>`;
      })
    : [];
  const step = (size - 2 * MARGIN) / Math.max(1, kinds.length);
  const legend = coloured
    ? kinds.map(
        (kind, k) =>
          `<g transform="translate(${(MARGIN + k * step).toFixed(1)} ${height - 18})"><rect y="-6" width="12" height="12" fill="${COLOURS[k]}"/><text x="18" font-size="14" dominant-baseline="central">${escapeMarkup(kind)}</text></g>`,
      )
    : [];
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" width="${size}" height="${height}" font-family="sans-serif" fill="#222"><rect width="100%" height="100%" fill="#fff"/>
<text x="${MARGIN}" y="${HEADER / 2 + 4}" font-size="17" font-weight="600" dominant-baseline="central">${escapeMarkup(title)}</text>${frames.join('')}${legend.join('')}</svg>`;
  const thumbnails = await Promise.all(
    pictures.map(async ({ width, height, data }, i) => {
      const [left, top] = corner(places[i]);
      const input = await sharp(pictureBytes(data), { raw: { width, height, channels: 3 } })
        .resize(thumbnail, thumbnail, { kernel: width < thumbnail ? 'nearest' : 'lanczos3', fit: 'fill' })
        .png()
        .toBuffer();
      const inset = coloured ? FRAME : 0;
      return { input, left: left + inset, top: top + inset };
    }),
  );
  return sharp(Buffer.from(drawing))
    .composite(thumbnails)
    .flatten({ background: '#fff' })
    .png({ compressionLevel: 9 })
    .toBuffer();
}
