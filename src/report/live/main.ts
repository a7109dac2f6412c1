/** The script of a report: tables sort by a click on their head, tiles of the gallery grow by a click on them. It runs from the disk, on one thread. */
import { setThreadCount } from '../../compute/index.ts';
import { provideKernels } from '../../compute/web.ts';
import { Growth, weightCount } from '../../nca/index.ts';
import type { LiveNcas } from '../live-gallery.ts';

/** NCA steps a frame. */
const PACE = 2;

/** A table's cell as what it is sorted by: its number, or its text. */
function keyOf(row: HTMLTableRowElement, column: number): number | string {
  const text = row.cells[column]?.textContent?.trim() ?? '';
  const number = Number.parseFloat(text.replace('−', '-').replaceAll(',', ''));
  return Number.isNaN(number) ? text : number;
}

function sortable(table: HTMLTableElement): void {
  const [body] = table.tBodies;
  const heads = [...(table.tHead?.rows[0]?.cells ?? [])];
  if (!body || body.rows.length < 2) return;
  heads.forEach((head, column) => {
    head.setAttribute('aria-sort', 'none');
    head.tabIndex = 0;
    head.title = 'sort';
    const sort = () => {
      const falling = head.getAttribute('aria-sort') === 'ascending';
      for (const other of heads) other.setAttribute('aria-sort', 'none');
      head.setAttribute('aria-sort', falling ? 'descending' : 'ascending');
      const sign = falling ? -1 : 1;
      const rows = [...body.rows].map(row => ({ row, key: keyOf(row, column) }));
      // Numbers before texts, whichever way.
      rows.sort((a, b) =>
        typeof a.key === 'number' && typeof b.key === 'number'
          ? sign * (a.key - b.key)
          : typeof a.key === typeof b.key
            ? sign * String(a.key).localeCompare(String(b.key))
            : typeof a.key === 'number'
              ? -1
              : 1,
      );
      body.append(...rows.map(({ row }) => row));
    };
    head.addEventListener('click', sort);
    head.addEventListener('keydown', event => {
      if (event.key !== 'Enter' && event.key !== ' ') return;
      event.preventDefault();
      sort();
    });
  });
}

const bytes = (base64: string) => Uint8Array.from(atob(base64), sign => sign.charCodeAt(0));

/** Makes the tiles grow. */
function alive({ spec, size, steps, seeds, places, ...encoded }: LiveNcas & { kernel: string }): void {
  let ready: Promise<Float32Array> | undefined;
  const prepare = async () => {
    // The page's own thread may not wait for others, even where a server lets it have them.
    setThreadCount(1);
    provideKernels({ build: 'simd', modules: [await WebAssembly.compile(bytes(encoded.kernel))] });
    return new Float32Array(bytes(encoded.weights).buffer);
  };
  const growing = new Map<HTMLElement, () => void>();
  const grow = async (tile: HTMLElement): Promise<void> => {
    ready ??= prepare();
    const all = await ready;
    growing.get(tile)?.();
    const [row, method] = [Number(tile.dataset.row), Number(tile.dataset.method)];
    const length = weightCount(spec);
    const place = places[row][method];
    const growth = new Growth(spec, all.slice(place * length, (place + 1) * length), {
      size,
      seeds: [seeds[row]],
    });
    const canvas = tile.querySelector('canvas') ?? tile.appendChild(document.createElement('canvas'));
    canvas.width = size;
    canvas.height = size;
    const context = canvas.getContext('2d')!;
    const picture = new ImageData(size, size);
    let stopped = false;
    const stop = () => {
      if (stopped) return;
      stopped = true;
      growth.dispose();
      growing.delete(tile);
    };
    growing.set(tile, stop);
    const frame = () => {
      if (stopped) return;
      growth.paint(0, picture.data);
      context.putImageData(picture, 0, 0);
      tile.dataset.steps = String(growth.steps);
      if (growth.steps >= steps) stop();
      else {
        growth.step(Math.min(PACE, steps - growth.steps));
        requestAnimationFrame(frame);
      }
    };
    frame();
  };
  for (const tile of document.querySelectorAll<HTMLElement>('.live')) {
    tile.addEventListener('click', () => {
      grow(tile).catch(error => {
        tile.title = `cannot grow here: ${(error as Error).message}`;
        console.warn(tile.title);
      });
    });
  }
}

document.querySelectorAll('table').forEach(sortable);
const data = document.getElementById('live')?.textContent;
if (data) alive(JSON.parse(data));
