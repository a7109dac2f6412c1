/** A run's methods side by side: which is best, on what it fails, and what each grows. */
import { html, nothing } from 'lit';
import type { RunInfo, SetInfo, SourceInfo } from '../../api.ts';
import {
  alikeTo,
  bestOf,
  type Compared,
  compared,
  extremeOf,
  KINDS,
  type Kind,
  type Row,
  rowsOf,
} from '../comparison.ts';
import { playControls } from '../controls.ts';
import { Player } from '../player.ts';
import type { GrowthRequest } from '../protocol.ts';
import { hrefOf, type Route } from '../route.ts';
import { library, pictureUrl, rowsAt } from '../server.ts';
import { View } from '../view.ts';
import { familyOf, figure } from '../words.ts';

const KIND_NAMES: Readonly<Record<Kind, string>> = {
  denoiser: 'denoisers',
  baseline: 'baselines',
  bound: 'bound',
};

type MethodOrder = 'mean' | 'name' | 'texture';

export class CompareView extends View {
  private route: Route | null = null;
  /** The run of the route, and those that were added to it. */
  private compared: readonly Compared[] = [];
  /** Other runs that have the same textures and metrics. */
  private others: readonly SourceInfo[] = [];
  private metric = '';
  private method = '';
  private texture = 0;
  private sought = '';
  private family = '';
  private readonly kinds = new Set<Kind>(KINDS);
  private order: { readonly by: MethodOrder; readonly falling: boolean } = { by: 'mean', falling: false };
  private textures: { readonly by: 'value' | 'name'; readonly falling: boolean } = {
    by: 'value',
    falling: true,
  };
  private player: Player | null = null;
  private growing: readonly string[] = [];
  private opening = 0;

  constructor() {
    super('compare');
  }

  /** The run of the route. */
  private get run(): RunInfo | null {
    return this.compared[0]?.run ?? null;
  }

  private get set(): SetInfo | null {
    return this.compared[0]?.set ?? null;
  }

  protected async open(route: Route): Promise<void> {
    const { sources } = await library();
    const first = await compared(sources.find(({ id }) => id === route.source)!);
    if (this.route?.source !== route.source) {
      this.compared = [first];
      this.metric = first.run.metrics[0].name;
      this.family = '';
      const best = this.best('denoiser') ?? this.rows()[0];
      this.method = best.method;
      this.texture = this.extreme(best, 'worst');
    }
    this.route = route;
    this.update();
    const candidates = await Promise.all(
      sources
        .filter(source => source.compared && source.id !== route.source)
        .map(async source => ((await alikeTo(first.run, source)) ? source : null)),
    );
    this.others = candidates.filter(source => source !== null);
    await this.grow();
  }

  /** Adds another run, or takes it away. */
  private async toggle(source: SourceInfo): Promise<void> {
    const there = this.compared.some(other => other.source === source.id);
    this.compared = there
      ? this.compared.filter(other => other.source !== source.id)
      : [...this.compared, await compared(source)];
    if (!this.rows().some(({ method }) => method === this.method)) this.method = this.rows()[0].method;
    this.update();
    await this.grow();
  }

  close(): void {
    this.opening++;
    this.player?.dispose();
    this.player = null;
  }

  private get lower(): boolean {
    return this.run?.metrics.find(({ name }) => name === this.metric)?.better === 'lower';
  }

  /** All methods under the chosen metric. */
  private rows(): Row[] {
    return rowsOf(this.compared, this.metric);
  }

  private best(kind: Kind): Row | undefined {
    return bestOf(this.rows(), kind, this.lower);
  }

  private extreme(row: Row, which: 'worst' | 'best'): number {
    return extremeOf(row, which, this.lower);
  }

  /** What kinds, families and words leave, in the order of the table. */
  private shown(): Row[] {
    const { by, falling } = this.order;
    const value = (row: Row) => (by === 'texture' ? row.values[this.texture] : row.mean);
    const better = this.lower ? 1 : -1;
    const sign = falling ? -1 : 1;
    return this.rows()
      .filter(
        ({ kind, method }) =>
          this.kinds.has(kind) && method.toLowerCase().includes(this.sought.toLowerCase()),
      )
      .sort((a, b) =>
        by === 'name' ? sign * a.method.localeCompare(b.method) : sign * better * (value(a) - value(b)),
      );
  }

  /** Every method's NCA for the chosen texture, from the seed, under the masks it was measured under. */
  private async grow(): Promise<void> {
    const opening = ++this.opening;
    const { texture } = this;
    const rows = this.rows();
    const requests: GrowthRequest[] = [];
    const growing: string[] = [];
    for (const { set, source } of this.compared) {
      const kept = set?.kept;
      if (!set || !kept) continue;
      const weights = await rowsAt(
        set,
        kept.columns.map((_, column) => column * kept.textures.length + texture),
      );
      const seeds = kept.columns.map(() => kept.seeds[texture]);
      requests.push({ spec: set.spec, weights, size: kept.size, seeds });
      for (const column of kept.columns)
        growing.push(rows.find(row => row.of.source === source && row.name === column.name)?.method ?? '');
    }
    if (requests.length === 0) return;
    const player = await Player.make(requests);
    if (opening !== this.opening) {
      player.dispose();
      return;
    }
    player.speed = this.player?.speed ?? 'normal';
    this.player?.dispose();
    this.player = player;
    this.growing = growing;
    player.onChange = () => this.update();
    player.onError = error => this.fail(error);
    await player.playTo(this.set?.kept?.steps ?? 0);
    this.update();
  }

  private choose(change: { texture?: number; method?: string }): void {
    const other = change.texture !== undefined && change.texture !== this.texture;
    Object.assign(this, change);
    this.update();
    if (other) this.grow().catch(error => this.fail(error as Error));
  }

  protected template() {
    const { run, set } = this;
    if (!run) return html`<p class="dim">Opening …</p>`;
    const best = this.best('denoiser');
    const chosen = this.rows().find(({ method }) => method === this.method) ?? this.rows()[0];
    return html`${best ? this.cards(best) : nothing}
<div class="filters">
  <label>measured by <select data-do="metric" @change=${(event: Event) => {
    this.metric = (event.target as HTMLSelectElement).value;
    this.update();
  }}>${run.metrics.map(({ name }) => html`<option value=${name} ?selected=${name === this.metric}>${run.labels[name]}</option>`)}</select></label>
  <span class="dim">${this.lower ? 'lower is better' : 'higher is better'}</span>
  ${KINDS.filter(kind => run.summary.some(row => row.kind === kind)).map(
    kind =>
      html`<button aria-pressed=${this.kinds.has(kind)} data-kind=${kind} @click=${() => {
        if (!this.kinds.delete(kind)) this.kinds.add(kind);
        this.update();
      }}><span class="kind ${kind}"></span>${KIND_NAMES[kind]}</button>`,
  )}
  ${this.others.map(
    source =>
      html`<button aria-pressed=${this.compared.some(other => other.source === source.id)} data-with=${source.id} @click=${() =>
        this.toggle(source).catch(error => this.fail(error as Error))}>with ${source.title}</button>`,
  )}
  <input type="search" placeholder="search methods" aria-label="search methods" data-do="methods" .value=${this.sought} @input=${(
    event: InputEvent,
  ) => {
    this.sought = (event.target as HTMLInputElement).value;
    this.update();
  }}>
</div>
<div class="tables">${this.methodTable()}${this.textureTable(chosen)}</div>
<h2>${run.textures[this.texture]}: what each method grows</h2>
${
  set
    ? this.tiles()
    : html`<p class="dim">The run kept no weights, so nothing can be grown: run it again with this version.</p>`
}`;
  }

  /** The answers first: the best denoiser, where it is worst, where it is best, what it is up against. */
  private cards(best: Row) {
    const { run, set } = this;
    const worst = this.extreme(best, 'worst');
    const finest = this.extreme(best, 'best');
    const rival = this.best('baseline');
    const card = (
      title: string,
      texture: number,
    ) => html`<button class="card" data-card=${title} @click=${() =>
      this.choose({ texture, method: best.method })}>
  ${set?.pictures[texture] ? html`<img src=${pictureUrl(set, texture)} alt="">` : nothing}
  <span><small>${title}</small><b>${run!.textures[texture]}</b><small>${figure(best.values[texture])}</small></span></button>`;
    return html`<div class="cards">
<button class="card" data-card="best" @click=${() => this.choose({ method: best.method })}><span><small>best denoiser of this run</small><b>${best.method}</b><small>${run!.labels[this.metric]} ${figure(best.mean)} [${figure(best.low)}, ${figure(best.high)}], mean of ${run!.textures.length} textures</small></span></button>
${card('its worst texture', worst)}${card('its best texture', finest)}
${rival ? html`<button class="card" data-card="rival" @click=${() => this.choose({ method: rival.method })}><span><small>best baseline</small><b>${rival.method}</b><small>${figure(rival.mean)}${(this.lower ? rival.mean < best.mean : rival.mean > best.mean) ? ' — ahead of every denoiser' : ''}</small></span></button>` : nothing}
</div>`;
  }

  private sorted(by: MethodOrder, title: string, className = '') {
    const { order } = this;
    return html`<th class=${className} aria-sort=${order.by === by ? (order.falling ? 'descending' : 'ascending') : 'none'}><button data-sort=${by} @click=${() => {
      this.order = { by, falling: order.by === by ? !order.falling : false };
      this.update();
    }}>${title}</button></th>`;
  }

  private methodTable() {
    const rows = this.shown();
    const most = Math.max(...rows.map(({ mean }) => Math.abs(mean)), 1e-12);
    return html`<div class="box"><table data-table="methods"><thead><tr>${this.sorted('name', 'method')}${this.sorted('mean', 'mean [95%]', 'number')}<th></th>${this.sorted('texture', `on ${this.run!.textures[this.texture]}`, 'number')}</tr></thead><tbody>
${rows.map(
  ({
    method,
    kind,
    mean,
    low,
    high,
    values,
  }) => html`<tr data-pick=${method} aria-selected=${method === this.method} @click=${() => this.choose({ method })}>
<td><span class="kind ${kind}"></span>${method}</td><td class="number"><b>${figure(mean)}</b> <small>[${figure(low)}, ${figure(high)}]</small></td>
<td><span class="bar ${kind}" .style=${`width: ${(6 * Math.abs(mean)) / most}rem`}></span></td><td class="number">${figure(values[this.texture])}</td></tr>`,
)}</tbody></table>${rows.length === 0 ? html`<p class="dim">No method is left.</p>` : nothing}</div>`;
  }

  private textureTable({ method, kind, values }: Row) {
    const { by, falling } = this.textures;
    const { textures } = this.run!;
    const families = [...new Set(textures.map(familyOf))].sort();
    const shown = [...textures.keys()].filter(i => !this.family || familyOf(textures[i]) === this.family);
    const rows = shown.sort((a, b) => {
      const difference = by === 'name' ? textures[a].localeCompare(textures[b]) : values[a] - values[b];
      return falling ? -difference : difference;
    });
    const most = Math.max(...values.map(Math.abs), 1e-12);
    const head = (key: 'value' | 'name', title: string) =>
      html`<th aria-sort=${by === key ? (falling ? 'descending' : 'ascending') : 'none'}><button data-sort=${key} @click=${() => {
        this.textures = { by: key, falling: by === key ? !falling : key === 'value' };
        this.update();
      }}>${title}</button></th>`;
    const several = families.length > 1 && families.length < textures.length;
    return html`<div class="box">${
      several
        ? html`<label class="family">family <select data-do="family" @change=${(event: Event) => {
            this.family = (event.target as HTMLSelectElement).value;
            this.update();
          }}><option value="">all</option>${families.map(name => html`<option ?selected=${name === this.family}>${name}</option>`)}</select></label>`
        : nothing
    }<table data-table="textures"><thead><tr>${head('name', 'texture')}${head('value', method)}<th></th></tr></thead><tbody>
${rows.map(
  i =>
    html`<tr data-pick=${textures[i]} aria-selected=${i === this.texture} @click=${() => this.choose({ texture: i })}><td>${textures[i]}</td><td class="number">${figure(values[i])}</td><td><span class="bar ${kind}" .style=${`width: ${(3.5 * Math.abs(values[i])) / most}rem`}></span></td></tr>`,
)}</tbody></table></div>`;
  }

  private tiles() {
    const { set, player, texture } = this;
    const kept = set!.kept!;
    return html`${player ? playControls(player, kept.steps) : nothing}
<div class="tiles">${set!.pictures[texture] ? html`<div class="tile"><img src=${pictureUrl(set!, texture)} alt="the target">the target</div>` : nothing}
${this.shown().map(({ method, name, of, kind, values }) => {
  const column = this.growing.indexOf(method);
  const place = of.set?.kept?.columns.findIndex(column => column.name === name) ?? -1;
  const row = Math.max(0, place) * kept.textures.length + texture;
  return html`<div class="tile ${method === this.method ? 'chosen' : ''}" data-tile=${method}>
<a href=${hrefOf({ view: 'grow', source: of.source, set: of.set?.id ?? null, row })} title="open this NCA">${player && column >= 0 ? player.canvases[column] : nothing}</a>
<span class="kind ${kind}"></span>${method} <span class="value">${figure(values[texture])}</span></div>`;
})}</div>`;
  }
}
