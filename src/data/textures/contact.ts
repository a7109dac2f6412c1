/** Contact sheets: many pictures on one. */

/** Lays [size, size, 3] pictures on a grid with `columns` columns, white gaps between, each enlarged `zoom` times (nearest). */
export function contactSheet(
  pictures: readonly Float32Array[],
  size: number,
  columns: number,
  { gap = 4, zoom = 1 } = {},
): { readonly width: number; readonly height: number; readonly data: Float32Array } {
  const cell = size * zoom + gap;
  const rows = Math.ceil(pictures.length / columns);
  const width = columns * cell + gap;
  const height = rows * cell + gap;
  const data = new Float32Array(width * height * 3).fill(1);
  pictures.forEach((picture, index) => {
    const left = gap + (index % columns) * cell;
    const top = gap + Math.floor(index / columns) * cell;
    for (let y = 0; y < size * zoom; y++) {
      for (let x = 0; x < size * zoom; x++) {
        const from = 3 * (Math.floor(y / zoom) * size + Math.floor(x / zoom));
        data.set(picture.subarray(from, from + 3), 3 * ((top + y) * width + left + x));
      }
    }
  });
  return { width, height, data };
}
