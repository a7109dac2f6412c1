/** Pictures side by side in a labelled grid: the first thing to look at in any comparison. */
import sharp from 'sharp';
import type { MethodResult } from '../evaluation/index.ts';
import { escapeMarkup, type Picture } from '../formats/index.ts';

/** What `renderGallery` draws: a grid of pictures with labels. */
export interface Gallery {
  readonly title?: string;
  /** Labels, as many as there are columns and rows. */
  readonly columns: readonly string[];
  readonly rows: readonly string[];
  /** cells[row][column]; null leaves the cell empty. Values outside [0, 1] are clipped, non-finite ones drawn magenta. */
  readonly cells: readonly (readonly (Picture | null)[])[];
  /** Two lines below every cell. */
  readonly captions?: readonly (readonly (readonly [string, string])[])[];
  /** Side of a cell in pixels; pictures are enlarged without smoothing to fill it. Default 96. */
  readonly cell?: number;
}

const GAP = 6;
const ROW_LABEL = 132;
const CELL = 96;
/** Height of the captions below a row. */
const CAPTION = 34;
/** A line of a caption is never broken. */
const CAPTION_SIGNS = 100;
const MAGENTA = [255, 0, 255];

/** Long labels are broken at spaces, dashes, slashes or underscores into at most three lines. */
function wrap(label: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of label.split(/(?<=[ \-/_])/)) {
    const last = lines.at(-1);
    if (last !== undefined && (last + word).trim().length <= width) lines[lines.length - 1] = last + word;
    else lines.push(word);
  }
  return lines.slice(0, 3).map(line => line.trim());
}

function text(label: string, x: number, y: number, anchor: 'middle' | 'end', width: number): string {
  const lines = wrap(label, width);
  return lines
    .map(
      (line, i) =>
        `<text x="${x}" y="${y + (i - (lines.length - 1) / 2) * 14}" text-anchor="${anchor}" dominant-baseline="central">${escapeMarkup(line)}</text>`,
    )
    .join('');
}

/** Writes one picture into an RGB canvas at (left, top), enlarged by nearest neighbour to side x side pixels. */
function draw(
  canvas: Uint8Array,
  stride: number,
  picture: Picture,
  left: number,
  top: number,
  side: number,
): void {
  const { width, height, data } = picture;
  const scale = side / Math.max(width, height);
  const drawnWidth = Math.round(width * scale);
  const drawnHeight = Math.round(height * scale);
  for (let y = 0; y < drawnHeight; y++) {
    for (let x = 0; x < drawnWidth; x++) {
      const from =
        (Math.floor((y * height) / drawnHeight) * width + Math.floor((x * width) / drawnWidth)) * 3;
      const to = ((top + y) * stride + left + x) * 3;
      for (let c = 0; c < 3; c++) {
        const value = data[from + c];
        canvas[to + c] = Number.isFinite(value)
          ? Math.round(Math.min(1, Math.max(0, value)) * 255)
          : MAGENTA[c];
      }
    }
  }
}

const headerOf = (title?: string) => (title ? 28 : 0) + 48;

/** Where the cell of a row and a column lies in a gallery with a title, and how large that is: pixels of its PNG, at the usual size of a cell. */
export function galleryCell(
  rows: number,
  columns: number,
  row: number,
  column: number,
  { captions = false }: { readonly captions?: boolean } = {},
) {
  const pitch = CELL + GAP;
  const down = pitch + (captions ? CAPTION : 0);
  return {
    left: ROW_LABEL + column * pitch,
    top: headerOf('title') + row * down,
    side: CELL,
    width: ROW_LABEL + columns * pitch + GAP,
    height: headerOf('title') + rows * down + GAP,
  };
}

/** Renders the grid as a PNG. Throws when a row has another number of cells than there are columns. */
export async function renderGallery({
  title,
  columns,
  rows,
  cells,
  captions,
  cell = CELL,
}: Gallery): Promise<Uint8Array> {
  for (const row of cells) {
    if (row.length !== columns.length)
      throw new Error(`gallery row of ${row.length} cells under ${columns.length} columns`);
  }
  const header = headerOf(title);
  const pitch = cell + GAP;
  const width = ROW_LABEL + columns.length * pitch + GAP;
  const down = pitch + (captions ? CAPTION : 0);
  const height = header + rows.length * down + GAP;
  const canvas = new Uint8Array(width * height * 3).fill(255);
  cells.forEach((row, i) => {
    row.forEach((picture, j) => {
      if (picture) draw(canvas, width, picture, ROW_LABEL + j * pitch, header + i * down, cell);
    });
  });
  const labels = [
    title
      ? `<text x="12" y="18" font-weight="600" font-size="15" dominant-baseline="central">${escapeMarkup(title)}</text>`
      : '',
    ...columns.map((label, j) =>
      text(label, ROW_LABEL + j * pitch + cell / 2, header - 24, 'middle', Math.floor(cell / 6.4)),
    ),
    ...rows.map((label, i) => text(label, ROW_LABEL - 10, header + i * down + cell / 2, 'end', 18)),
    ...(captions ?? []).flatMap((row, i) =>
      row.flatMap((lines, j) =>
        lines.map((line, l) =>
          text(
            line,
            ROW_LABEL + j * pitch + cell / 2,
            header + i * down + cell + 10 + 14 * l,
            'middle',
            CAPTION_SIGNS,
          ),
        ),
      ),
    ),
  ].join('');
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="12" fill="#222">${labels}</svg>`;
  return sharp(canvas, { raw: { width, height, channels: 3 } })
    .composite([{ input: Buffer.from(svg) }])
    .png({ compressionLevel: 9 })
    .toBuffer();
}

interface Pictures {
  readonly names: readonly string[];
  /** [M, H, W, 3] */
  readonly targets: { readonly data: Float32Array; readonly size: number };
}

const nth = (data: Float32Array, size: number, i: number) => ({
  width: size,
  height: size,
  data: data.subarray(i * size * size * 3, (i + 1) * size * size * 3),
});

/** Target and every method side by side, one row a texture. @param captions below target and methods of each texture */
export function comparisonGallery(
  { names, targets }: Pictures,
  results: readonly MethodResult[],
  size: number,
  title: string,
  captions?: Gallery['captions'],
): Promise<Uint8Array> {
  return renderGallery({
    title,
    captions,
    columns: ['target', ...results.map(({ name }) => name)],
    rows: names,
    cells: names.map((_, i) => [
      nth(targets.data, targets.size, i),
      ...results.map(({ pictures }) => nth(pictures, size, i)),
    ]),
  });
}
