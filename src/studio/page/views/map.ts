/** All NCAs of a zoo where their weights put them. */
import { html } from 'lit';
import type { SetInfo } from '../../api.ts';
import { goTo, type Route } from '../route.ts';
import { mapOf, pictureUrl, setInfo } from '../server.ts';
import { View } from '../view.ts';

/** Pictures on the screen at most; where more would be, NCAs are dots. */
const PICTURES = 500;
/** Pictures asked for at a time. */
const AT_ONCE = 12;

export class MapView extends View {
  private route: Route | null = null;
  private set: SetInfo | null = null;
  private points: Float32Array | null = null;
  private hint: { readonly x: number; readonly y: number; readonly row: number } | null = null;
  private readonly canvas = document.createElement('canvas');
  private readonly pictures = new Map<number, HTMLImageElement | null>();
  private queue: number[] = [];
  private loading = 0;
  /** From the points' unit to pixels: x * zoom + left. */
  private camera = { zoom: 1, left: 0, top: 0 };
  private readonly pointers = new Map<number, { x: number; y: number }>();
  private travelled = 0;
  private drawing = false;
  private readonly seen = new ResizeObserver(() => this.fit());

  constructor() {
    super('map');
    this.canvas.setAttribute(
      'aria-label',
      'map of the zoo; drag to move, wheel to zoom, click to open an NCA',
    );
    this.listen();
  }

  protected async open(route: Route): Promise<void> {
    const set = await setInfo(route.set!);
    if (this.set?.id !== set.id) {
      this.pictures.clear();
      this.queue = [];
      this.points = null;
    }
    this.route = route;
    this.set = set;
    this.update();
    this.points = await mapOf(set.id);
    this.seen.observe(this.canvas);
    this.fit();
    this.update();
  }

  close(): void {
    this.seen.disconnect();
    this.hint = null;
  }

  /** All points in sight. */
  private fit(): void {
    const { points, canvas } = this;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (!points || width === 0) return;
    canvas.width = width * devicePixelRatio;
    canvas.height = height * devicePixelRatio;
    const ranges = [0, 1].map(k => {
      let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
      for (let i = k; i < points.length; i += 2) {
        low = Math.min(low, points[i]);
        high = Math.max(high, points[i]);
      }
      return { low, extent: high - low || 1 };
    });
    const margin = 40;
    const zoom = Math.min((width - 2 * margin) / ranges[0].extent, (height - 2 * margin) / ranges[1].extent);
    this.camera = {
      zoom,
      left: width / 2 - zoom * (ranges[0].low + ranges[0].extent / 2),
      top: height / 2 - zoom * (ranges[1].low + ranges[1].extent / 2),
    };
    this.draw();
  }

  private at(row: number): { x: number; y: number } {
    const { zoom, left, top } = this.camera;
    return { x: this.points![2 * row] * zoom + left, y: this.points![2 * row + 1] * zoom + top };
  }

  /** Rows in sight. */
  private visible(): number[] {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    return Array.from(this.set!.names.keys()).filter(row => {
      const { x, y } = this.at(row);
      return x > -30 && y > -30 && x < width + 30 && y < height + 30;
    });
  }

  private side(count: number): number {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    return Math.max(14, Math.min(56, Math.sqrt((0.35 * width * height) / Math.max(1, count))));
  }

  private draw(): void {
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      if (!this.points || !this.set) return;
      const context = this.canvas.getContext('2d')!;
      context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
      context.clearRect(0, 0, this.canvas.width, this.canvas.height);
      const rows = this.visible();
      const pictured = rows.length <= PICTURES;
      const side = this.side(rows.length);
      const style = getComputedStyle(this.canvas);
      const [train, heldOut] = [style.getPropertyValue('--baseline'), style.getPropertyValue('--denoiser')];
      this.queue = [];
      for (const row of rows) {
        const { x, y } = this.at(row);
        const held = this.set.splits?.[row] === 'held-out';
        const picture = this.pictures.get(row);
        context.fillStyle = held ? heldOut : train;
        if (pictured && picture) {
          if (held) context.fillRect(x - side / 2 - 2, y - side / 2 - 2, side + 4, side + 4);
          context.drawImage(picture, x - side / 2, y - side / 2, side, side);
        } else {
          context.beginPath();
          context.arc(x, y, pictured ? 4 : 2, 0, 2 * Math.PI);
          context.fill();
          if (pictured && picture === undefined && this.set.pictures[row]) this.queue.push(row);
        }
      }
      this.canvas.dataset.drawn = `${rows.length} ${pictured ? 'pictures' : 'dots'}`;
      this.load();
    });
  }

  private load(): void {
    const { set } = this;
    while (set && this.loading < AT_ONCE && this.queue.length > 0) {
      const row = this.queue.shift()!;
      if (this.pictures.has(row)) continue;
      this.pictures.set(row, null);
      this.loading++;
      const image = new Image();
      image.src = pictureUrl(set, row);
      image
        .decode()
        .then(() => {
          if (this.set === set) this.pictures.set(row, image);
        })
        .catch(() => {})
        .finally(() => {
          this.loading--;
          this.draw();
        });
    }
  }

  /** The NCA nearest to a place, where one is near. */
  private nearest(x: number, y: number): number | null {
    if (!this.points) return null;
    const reach = Math.max(12, this.side(this.visible().length) / 2);
    let best: number | null = null;
    let least = reach * reach;
    for (let row = this.points.length / 2 - 1; row >= 0; row--) {
      const place = this.at(row);
      const distance = (place.x - x) ** 2 + (place.y - y) ** 2;
      if (distance < least) [best, least] = [row, distance];
    }
    return best;
  }

  private zoomBy(factor: number, x: number, y: number): void {
    const { zoom, left, top } = this.camera;
    this.camera = { zoom: zoom * factor, left: x - (x - left) * factor, top: y - (y - top) * factor };
    this.draw();
  }

  private listen(): void {
    const { canvas } = this;
    canvas.addEventListener(
      'wheel',
      event => {
        event.preventDefault();
        this.zoomBy(1.0015 ** -event.deltaY, event.offsetX, event.offsetY);
      },
      { passive: false },
    );
    canvas.addEventListener('pointerdown', event => {
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
      this.travelled = 0;
    });
    canvas.addEventListener('pointermove', event => {
      const now = { x: event.offsetX, y: event.offsetY };
      const before = this.pointers.get(event.pointerId);
      if (!before) {
        const row = this.nearest(now.x, now.y);
        this.hint = row === null ? null : { ...now, row };
        this.update();
        return;
      }
      const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      this.pointers.set(event.pointerId, now);
      this.travelled += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
      if (other) {
        const spread = (place: typeof now) => Math.hypot(place.x - other.x, place.y - other.y) || 1;
        this.zoomBy(spread(now) / spread(before), other.x, other.y);
      } else {
        this.camera = {
          ...this.camera,
          left: this.camera.left + now.x - before.x,
          top: this.camera.top + now.y - before.y,
        };
        this.draw();
      }
    });
    canvas.addEventListener('pointerup', event => {
      this.pointers.delete(event.pointerId);
      const row = this.travelled < 5 ? this.nearest(event.offsetX, event.offsetY) : null;
      if (row !== null) goTo({ ...this.route!, view: 'grow', set: this.set!.id, row });
    });
    canvas.addEventListener('pointercancel', event => this.pointers.delete(event.pointerId));
    canvas.addEventListener('pointerleave', () => {
      this.hint = null;
      this.update();
    });
  }

  protected template() {
    const { set, hint, points } = this;
    if (!set) return html`<p class="dim">Opening …</p>`;
    return html`<div class="stage"><h2>${set.names.length.toLocaleString('en')} NCAs of ${set.title} by their weights</h2>
<p class="dim">${points ? 'Near each other: alike weights. The plane is the one in which the weights differ most. Click an NCA to see it grow; drag to move, wheel to zoom.' : 'Looking for the plane in which the weights differ most …'}
${set.splits ? html`<span class="kind"></span>to train on <span class="kind denoiser"></span>held out` : ''} <button @click=${() => this.fit()}>all</button></p>
<div class="plane">${this.canvas}${hint ? html`<span class="hint" .style=${`left: ${hint.x + 12}px; top: ${hint.y + 12}px`}>${set.names[hint.row]}</span>` : ''}</div></div>`;
  }
}
