/** The symmetries of weight space, at work: an NCA and its copy with other weights, growing side by side. */
import { html, nothing } from 'lit';
import {
  actOnWeights,
  composeElements,
  describeElement,
  elementSize,
  gridTurn,
  identityElement,
  type NcaSpec,
  SYMMETRIES,
  type SymmetryElement,
  weightBlocks,
} from '../../../nca/index.ts';
import { randomStream } from '../../../tensor/index.ts';
import { playControls } from '../controls.ts';
import { ask } from '../engine.ts';
import { GraphPlot } from '../graph-plot.ts';
import { Player } from '../player.ts';
import { counted, figure } from '../words.ts';
import { NcaView } from './nca-view.ts';

/** A button: what it does in words, the group it is of, and the element it multiplies with. */
interface Move {
  readonly title: string;
  readonly group: string;
  readonly hint: string;
  make(spec: NcaSpec, draw: number): SymmetryElement;
}

const sampled =
  (group: string) =>
  (spec: NcaSpec, draw: number): SymmetryElement =>
    SYMMETRIES[group].sample(spec, randomStream(draw, `studio/${group}`));

const MOVES: readonly Move[] = [
  {
    title: 'shuffle hidden units',
    group: 'hidden-permutation',
    hint: 'the hidden units change places and take their weights along',
    make: sampled('hidden-permutation'),
  },
  {
    title: 'swap two hidden units',
    group: 'hidden-permutation',
    hint: 'two hidden units change places',
    make: (spec, draw) => {
      const [i, j] = randomStream(draw, 'studio/swap').permutation(spec.hidden);
      return SYMMETRIES['hidden-permutation'].generator(spec, i, j, 1);
    },
  },
  {
    title: 'rescale hidden units',
    group: 'hidden-scaling',
    hint: 'what comes into a unit is multiplied, what goes out divided',
    make: sampled('hidden-scaling'),
  },
  {
    title: 'turn',
    group: 'd4',
    hint: 'a quarter to the right: the two Sobel inputs of every channel change places',
    make: spec => gridTurn(elementSize(spec), [0, -1, 1, 0]),
  },
  {
    title: 'mirror',
    group: 'd4',
    hint: 'left to right: one Sobel input of every channel changes its sign',
    make: spec => gridTurn(elementSize(spec), [-1, 0, 0, 1]),
  },
  { title: 'recolour', group: 'colour', hint: 'colours swapped and inverted', make: sampled('colour') },
  { title: 'turn the hues', group: 'hue', hint: 'all hues turned about grey', make: sampled('hue') },
  {
    title: 'new latent basis',
    group: 'channel-rotation',
    hint: 'the channels that nobody sees are mixed with each other',
    make: sampled('channel-rotation'),
  },
];

const SIZE = 96;
const NAMES = { w1: 'into the hidden units', b1: 'hidden biases', w2: 'out of them', b2: 'output biases' };

export class SymmetryView extends NcaView {
  private acting: SymmetryElement | null = null;
  private moved: Float32Array | null = null;
  private player: Player | null = null;
  private draws = 0;
  private last: Move | null = null;
  private difference = 0;
  private measuring = false;
  private readonly plot = new GraphPlot();

  constructor() {
    super('symmetry');
    this.plot.share = 0.35;
  }

  protected async begin(weights: Float32Array, still: () => boolean): Promise<void> {
    const { spec } = this.set!;
    const element = this.acting ?? identityElement(elementSize(spec));
    const fits = element.permutation.length === spec.hidden && element.basis.length === spec.channels ** 2;
    const g = fits ? element : identityElement(elementSize(spec));
    if (!fits) this.last = null;
    this.acting = g;
    this.moved = actOnWeights(spec, g, weights);
    const common = { spec, size: SIZE, seeds: [this.usualSeed] };
    const turned = g.turn.join() !== '1,0,0,1';
    const player = await Player.make([
      { ...common, weights },
      { ...common, weights: this.moved, ...(turned && { turn: g }) },
    ]);
    if (!still()) {
      player.dispose();
      return;
    }
    player.speed = this.player?.speed ?? 'normal';
    this.player?.dispose();
    this.player = player;
    this.difference = 0;
    player.onChange = () => {
      this.measure(player, g);
      this.update();
    };
    player.onError = error => this.fail(error);
    player.target = this.set!.steps;
    player.play();
    this.update();
    await this.plot.draw({ spec, weights: this.moved, origin: g.permutation, coloured: true });
  }

  override close(): void {
    super.close();
    this.player?.dispose();
    this.player = null;
    this.plot.dispose();
    this.acting = null;
    this.last = null;
  }

  /** How far the copy's picture is from what the group says, now and then. */
  private measure(player: Player, element: SymmetryElement): void {
    if (this.measuring || player.growths.length < 2) return;
    this.measuring = true;
    const [a, b] = player.growths;
    ask('difference', { a, b, element })
      .then(difference => {
        if (player === this.player) this.difference = difference;
        this.update();
      })
      .catch(() => {})
      .finally(() => setTimeout(() => (this.measuring = false), 200));
  }

  private act(move: Move | null): void {
    const { spec } = this.set!;
    const before = this.acting ?? identityElement(elementSize(spec));
    const step = move?.make(spec, this.draws++) ?? null;
    this.last = move;
    this.acting = step ? composeElements(step, before) : identityElement(elementSize(spec));
    this.again();
  }

  protected template() {
    const { set, player, weights, moved, acting: g, last } = this;
    if (!set) return html`<p class="dim">Opening …</p>`;
    const { spec } = set;
    return html`${this.listTemplate()}
<div class="stage wide">
  <h2>${set.names[this.row]}: other weights, the same automaton</h2>
  <div class="moves" role="group" aria-label="symmetries">${MOVES.map(move => {
    const obstacle = SYMMETRIES[move.group].obstacle(spec);
    return html`<button data-move=${move.title} ?disabled=${obstacle !== null} title=${obstacle === null ? move.hint : `not exact here: ${obstacle}`} @click=${() => this.act(move)}>${move.title}</button>`;
  })}<button data-move="undo" ?disabled=${last === null} @click=${() => this.act(null)}>undo all</button></div>
  <div class="playground"><div><div class="pair"><figure><div>${player?.canvases[0] ?? nothing}</div><figcaption>the NCA</figcaption></figure>
  <figure><div>${player?.canvases[1] ?? nothing}</div><figcaption>its copy</figcaption></figure></div>
  ${weights && moved && g ? this.verdict(spec, g, weights, moved) : nothing}
  ${player ? playControls(player, set.steps) : nothing}</div>
  <div><div class="columns"><span>what a cell perceives</span><span>hidden units of the copy, in the colours of their old places</span><span>what a cell changes</span></div>
  ${this.plot.element}</div></div>
</div>`;
  }

  private verdict(spec: NcaSpec, g: SymmetryElement, weights: Float32Array, moved: Float32Array) {
    if (!this.last) {
      return html`<p class="verdict" data-verdict>Both have the same weights. Press a button: the copy gets other weights, and both grow again under the same masks.</p>`;
    }
    const changed = weightBlocks(spec).map(({ name, offset, size }) => {
      let count = 0;
      for (let i = offset; i < offset + size; i++) if (weights[i] !== moved[i]) count++;
      return { name, count, size };
    });
    const total = changed.reduce((sum, { count }) => sum + count, 0);
    const stays = g.turn.join() === '1,0,0,1' && [0, 1, 2].every(c => isUnit(g.basis, spec.channels, c));
    const units = [...g.permutation.keys()].filter(i => g.permutation[i] !== i).length;
    return html`<div class="verdict" data-verdict>
<b>${this.last.hint[0].toUpperCase() + this.last.hint.slice(1)}.</b>
${units > 0 ? `${counted(units, 'hidden unit')} of ${spec.hidden} now ${units === 1 ? 'stands' : 'stand'} elsewhere.` : nothing}
${total.toLocaleString('en')} of ${weights.length.toLocaleString('en')} weights are other numbers than before (${changed
      .filter(({ count }) => count > 0)
      .map(({ name, count }) => `${count.toLocaleString('en')} ${NAMES[name]}`)
      .join(', ')}).
${stays ? html`<b>The picture stays the same.</b>` : html`<b>The picture moves exactly as the group says.</b>`}
<span class="dim">Largest difference ${stays ? 'between the two pictures' : 'from the picture of the NCA, moved'}, on a scale from 0 to 1: <span data-difference=${this.difference}>${figure(this.difference)}</span>${this.difference > 0 ? ' (sums in another order are rounded otherwise)' : ''}.</span>
<details><summary>the element</summary><p class="dim">${describeElement(g)}</p></details></div>`;
  }
}

/** Whether row c of a basis leaves channel c alone. */
const isUnit = (basis: Float64Array, channels: number, c: number): boolean =>
  basis.subarray(c * channels, (c + 1) * channels).every((x, k) => x === (k === c ? 1 : 0));
