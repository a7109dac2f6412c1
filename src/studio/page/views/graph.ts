/** The parameter graph of an NCA, or of the difference of two. */
import { html, nothing } from 'lit';
import { actOnWeights, align } from '../../../nca/index.ts';
import { GraphPlot, type NodeWeights, nodeNames } from '../graph-plot.ts';
import { rows } from '../server.ts';
import { figure } from '../words.ts';
import { NcaView } from './nca-view.ts';

/** Weights that stand in the table of a node. */
const LISTED = 12;

export class GraphView extends NcaView {
  private other: number | null = null;
  private matched = 0;
  private at: NodeWeights | null = null;
  private sought = '';
  private readonly plot = new GraphPlot();

  constructor() {
    super('graph-view');
    this.plot.onNode = (node, clicked) => {
      const shown = node ?? this.plot.chosen;
      if (node === null && !clicked && this.plot.chosen === null) return;
      this.at = shown === null ? null : this.plot.weightsAt(shown);
      this.update();
    };
  }

  protected async begin(weights: Float32Array, still: () => boolean): Promise<void> {
    const set = this.set!;
    this.plot.choose(null);
    this.at = null;
    let drawn = weights;
    if (this.other !== null && this.other < set.names.length) {
      const reference = await rows(set, this.other);
      const element = align(set.spec, weights, reference);
      this.matched = element.permutation.reduce((count, from, i) => count + Number(from !== i), 0);
      drawn = actOnWeights(set.spec, element, weights).map((x, i) => x - reference[i]);
    }
    if (!still()) return;
    this.update();
    await this.plot.draw({ spec: set.spec, weights: drawn });
  }

  override close(): void {
    super.close();
    this.plot.dispose();
  }

  private seek(text: string): void {
    this.sought = text;
    const names = nodeNames(this.set!.spec);
    const wanted = text.trim().toLowerCase();
    const found =
      wanted === ''
        ? -1
        : [names.indexOf(wanted), names.findIndex(name => name.includes(wanted))].find(at => at >= 0);
    const node = found === undefined || found < 0 ? null : String(found);
    this.plot.choose(node);
    this.at = node === null ? null : this.plot.weightsAt(node);
    this.update();
  }

  protected template() {
    const { set, other, at } = this;
    if (!set) return html`<p class="dim">Opening …</p>`;
    const names = nodeNames(set.spec);
    return html`${this.listTemplate()}
<div class="stage wide">
  <h2>${other === null ? html`The parameter graph of ${set.names[this.row]}` : html`${set.names[this.row]} less ${set.names[other]}`}</h2>
  <div class="filters">
    <label>node <input type="search" list="nodes" placeholder="hidden unit 17" data-do="seek" .value=${this.sought} @input=${(event: InputEvent) => this.seek((event.target as HTMLInputElement).value)}></label>
    <datalist id="nodes">${names.map(name => html`<option value=${name}></option>`)}</datalist>
    <label>strongest <input type="range" min="1" max="100" data-do="share" .value=${String(Math.round(100 * this.plot.share))} @input=${(
      event: Event,
    ) => {
      this.plot.setShare(Number((event.target as HTMLInputElement).value) / 100);
      this.update();
    }}> ${Math.round(100 * this.plot.share)}%</label>
    ${
      set.names.length > 1
        ? html`<label>less <input type="search" list="ncas" placeholder="another NCA" data-do="less" @change=${(
            event: Event,
          ) => {
            const found = set.names.indexOf((event.target as HTMLInputElement).value);
            this.other = found < 0 ? null : found;
            this.again();
          }}></label><datalist id="ncas">${set.names.slice(0, 2000).map(name => html`<option value=${name}></option>`)}</datalist>`
        : nothing
    }
  </div>
  ${
    other === null
      ? nothing
      : html`<p class="verdict" data-verdict>Before the weights are subtracted the hidden units are matched: ${this.matched} of ${set.spec.hidden} ${this.matched === 1 ? 'goes' : 'go'} to another place, and each takes its partner’s scale.</p>`
  }
  <div class="split"><div><div class="columns"><span>what a cell perceives</span><span>hidden units</span><span>what a cell changes</span></div>${this.plot.element}
  <p class="dim">Red above zero, blue below; wider is stronger. Point at a node for its weights, click to keep it.</p></div>
  <div class="side" data-side>${at === null ? html`<p class="dim">No node chosen.</p>` : this.side(at)}</div></div>
</div>`;
  }

  private side({ name, incoming, outgoing }: NodeWeights) {
    const most = Math.max(...[...incoming, ...outgoing].map(({ weight }) => Math.abs(weight)), 1e-12);
    const listed = (title: string, weights: NodeWeights['incoming']) =>
      weights.length === 0
        ? nothing
        : html`<h3>${weights.length} ${title}</h3><table>${weights
            .slice(0, LISTED)
            .map(
              ({ name, weight }) =>
                html`<tr><td>${name}</td><td><span class="weight"><i class=${weight < 0 ? 'minus' : 'plus'} .style=${`width: ${(50 * Math.abs(weight)) / most}%`}></i></span></td><td class="number">${figure(weight)}</td></tr>`,
            )}</table>`;
    return html`<h2>${name}</h2>${listed('incoming, the strongest', incoming)}${listed('outgoing, the strongest', outgoing)}`;
  }
}
