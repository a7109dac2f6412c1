/** One NCA, live. */
import { html, nothing } from 'lit';
import { FILTERS, specText, weightCount } from '../../../nca/index.ts';
import type { SetInfo } from '../../api.ts';
import { playControls } from '../controls.ts';
import { type EngineInfo, engine } from '../engine.ts';
import { NcaList } from '../list.ts';
import { Player } from '../player.ts';
import { goTo, type Route } from '../route.ts';
import { pictureUrl, rows, setInfo } from '../server.ts';
import { View } from '../view.ts';

const SIZES = [64, 128, 256, 512];

export class GrowView extends View {
  private set: SetInfo | null = null;
  private row = 0;
  private route: Route | null = null;
  private player: Player | null = null;
  private info: EngineInfo | null = null;
  private size = 128;
  private seed = 1;
  private brush = 8;
  private opening = 0;
  private readonly list = new NcaList(() => this.update());

  constructor() {
    super('grow');
  }

  protected async open(route: Route): Promise<void> {
    this.route = route;
    const set = await setInfo(route.set!);
    this.set = set;
    this.row = Math.min(route.row ?? 0, set.names.length - 1);
    if (set.kept) this.seed = set.kept.seeds[this.row % set.kept.textures.length];
    await this.start();
  }

  close(): void {
    this.player?.dispose();
    this.player = null;
  }

  /** Grows the chosen NCA from its seed. */
  private async start(): Promise<void> {
    const { set, row, size, seed } = this;
    if (!set) return;
    const opening = ++this.opening;
    const [weights, info] = await Promise.all([rows(set, row), engine()]);
    const player = await Player.make([{ spec: set.spec, weights, size, seeds: [seed] }]);
    if (opening !== this.opening) {
      player.dispose();
      return;
    }
    const before = this.player;
    this.info = info;
    this.player = player;
    if (before) {
      player.speed = before.speed;
      if (before.channels.every(c => c < set.spec.channels)) await player.show(before.channels);
      before.dispose();
    }
    player.onChange = () => this.update();
    player.onError = error => this.fail(error);
    this.draws(player);
    player.play();
    this.update();
  }

  /** The brush: what the pointer passes over goes back to the seed. */
  private draws(player: Player): void {
    const [canvas] = player.canvases;
    canvas.setAttribute('aria-label', 'the NCA; draw on it to erase');
    const erase = ({ clientX, clientY }: PointerEvent) => {
      const { left, top, width } = canvas.getBoundingClientRect();
      const scale = canvas.width / width;
      player.erase((clientX - left) * scale, (clientY - top) * scale, this.brush);
    };
    canvas.addEventListener('pointerdown', event => {
      canvas.setPointerCapture(event.pointerId);
      erase(event);
    });
    canvas.addEventListener('pointermove', event => {
      if (event.buttons & 1) erase(event);
    });
  }

  private choose(row: number): void {
    goTo({ ...this.route!, set: this.set!.id, row });
  }

  private set3(place: number, channel: number): void {
    const channels = [...(this.player?.channels ?? [0, 1, 2])];
    channels[place] = channel;
    this.player?.show(channels).then(() => this.update());
  }

  protected template() {
    const { set, player, row, size, seed, info } = this;
    if (!set) return html`<p class="dim">Opening …</p>`;
    const { spec } = set;
    const chosen = player?.channels ?? [0, 1, 2];
    const argument = set.argument.by === 'row' ? `#${row}` : set.names.length > 1 ? `#${set.names[row]}` : '';
    const command = `npx weightloom nca render --weights ${set.argument.path}${argument} --steps ${set.steps} --size ${size} --seed ${seed} --out picture.png`;
    return html`${set.names.length > 1 ? this.list.template(set, row, at => this.choose(at)) : nothing}
<div class="stage">
  <h2>${set.names[row]}</h2>
  <div class="canvases"><figure class="main">${player?.canvases[0] ?? html`<div class="empty"></div>`}<figcaption>growing — draw on it to erase</figcaption></figure>
  ${set.pictures[row] ? html`<figure class="target"><img src=${pictureUrl(set, row)} alt="the texture"><figcaption>the texture it was made for</figcaption></figure>` : nothing}</div>
  ${player ? playControls(player, set.steps) : nothing}
  <div class="settings">
    <label>size <select data-do="size" @change=${(event: Event) => {
      this.size = Number((event.target as HTMLSelectElement).value);
      this.start().catch(error => this.fail(error));
    }}>${SIZES.map(value => html`<option value=${value} ?selected=${value === size}>${value} × ${value}</option>`)}</select></label>
    <label>seed of the masks <input type="number" min="0" max="4294967295" .value=${String(seed)} data-do="seed" @change=${(
      event: Event,
    ) => {
      this.seed = Number((event.target as HTMLInputElement).value) >>> 0;
      this.start().catch(error => this.fail(error));
    }}></label>
    <label>brush <input type="range" min="2" max="32" .value=${String(this.brush)} @input=${(
      event: Event,
    ) => {
      this.brush = Number((event.target as HTMLInputElement).value);
    }}></label>
    <span class="channels">${['red', 'green', 'blue'].map(
      (colour, place) =>
        html`<label class=${colour}>${colour} <select data-channel=${place} @change=${(event: Event) =>
          this.set3(place, Number((event.target as HTMLSelectElement).value))}>${Array.from(
          { length: spec.channels },
          (_, c) =>
            html`<option value=${c} ?selected=${chosen[place] === c}>channel ${c}${c < 3 ? '' : ' (latent)'}</option>`,
        )}</select></label>`,
    )}</span>
  </div>
  <details><summary>what it is</summary><p>${specText(spec)}. Every cell sees ${FILTERS.length} filters of ${spec.channels} channels; ${weightCount(spec).toLocaleString('en')} weights say how it changes.</p>
  <p>Step ${set.steps} is the picture that this writes, from the same weights, seed and masks:</p><pre><code>${command}</code></pre>
  ${info ? html`<p class="dim">Kernel build ${info.build}, ${info.threads === 1 ? 'one thread' : `${info.threads} threads`}.</p>` : nothing}</details>
</div>`;
  }
}
