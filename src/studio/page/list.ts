/** A list of NCAs with thumbnails: of any length, for only what is in sight is in the page. */
import { html, nothing, type TemplateResult } from 'lit';
import type { SetInfo } from '../api.ts';
import { pictureUrl } from './server.ts';

/** Height of an item in pixels; style.css has it too. */
const ITEM = 52;
const BEYOND = 6;

/** Which items are listed, and how far it is scrolled. */
export class NcaList {
  search = '';
  private top = 0;
  private height = 600;
  private found: number[] = [];
  private of: readonly [SetInfo | null, string] = [null, ''];

  constructor(private readonly update: () => void) {}

  /** Rows whose name has what is searched for. */
  private rowsOf(set: SetInfo): number[] {
    if (this.of[0] !== set || this.of[1] !== this.search) {
      const wanted = this.search.toLowerCase();
      this.found = [...set.names.keys()].filter(row => set.names[row].toLowerCase().includes(wanted));
      this.of = [set, this.search];
    }
    return this.found;
  }

  /** Scrolls to a row that is not in sight, once the list is there. */
  reveal(inside: HTMLElement, set: SetInfo, row: number): void {
    requestAnimationFrame(() => {
      const scroller = inside.querySelector('.scroller');
      const place = this.rowsOf(set).indexOf(row);
      if (!scroller || place < 0) return;
      const { scrollTop, clientHeight } = scroller;
      if (place * ITEM < scrollTop || (place + 1) * ITEM > scrollTop + clientHeight)
        scroller.scrollTop = Math.max(0, (place - 1) * ITEM);
      // A view that was put away and comes back has forgotten how far it was scrolled.
      this.top = scroller.scrollTop;
      this.height = clientHeight;
      this.update();
    });
  }

  template(set: SetInfo, chosen: number | null, choose: (row: number) => void): TemplateResult {
    const rows = this.rowsOf(set);
    const first = Math.max(0, Math.floor(this.top / ITEM) - BEYOND);
    const shown = rows.slice(first, Math.ceil((this.top + this.height) / ITEM) + BEYOND);
    return html`<aside class="list">
<input type="search" placeholder="search ${set.names.length.toLocaleString('en')} NCAs" aria-label="search NCAs" .value=${this.search}
  @input=${(event: InputEvent) => {
    this.search = (event.target as HTMLInputElement).value;
    this.top = 0;
    this.update();
  }}>
<div class="scroller" role="listbox" aria-label="NCAs" @scroll=${(event: Event) => {
      const scroller = event.target as HTMLElement;
      this.top = scroller.scrollTop;
      this.height = scroller.clientHeight;
      this.update();
    }}>
  <div class="all" .style=${`height: ${rows.length * ITEM}px`}>
  ${shown.map(
    (row, i) => html`<button role="option" aria-selected=${row === chosen} data-row=${row}
    .style=${`top: ${(first + i) * ITEM}px`} @click=${() => choose(row)}>
    ${set.pictures[row] ? html`<img src=${pictureUrl(set, row)} alt="" width="40" height="40" loading="lazy">` : html`<span class="blank"></span>`}
    <span class="name">${set.names[row]}</span>${set.splits?.[row] === 'held-out' ? html`<span class="tag">held out</span>` : nothing}</button>`,
  )}
  </div></div>
${rows.length === 0 ? html`<p class="dim">No NCA has that in its name.</p>` : nothing}</aside>`;
  }
}
