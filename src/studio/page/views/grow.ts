/** One NCA, live. */
import { html, nothing } from 'lit';
import { FILTERS, maskSeed, specText, weightCount } from '../../../nca/index.ts';
import { playControls } from '../controls.ts';
import { type EngineInfo, engine, webgpuAdapter } from '../engine.ts';
import { Player } from '../player.ts';
import type { Computer } from '../protocol.ts';
import { pictureUrl } from '../server.ts';
import { NcaView } from './nca-view.ts';

const SIZES = [64, 128, 256, 512];

export class GrowView extends NcaView {
  private player: Player | null = null;
  private info: EngineInfo | null = null;
  private size = 128;
  private seed: number | null = null;
  private brush = 8;
  private on: Computer = 'wasm';
  /** The adapter of WebGPU; null where there is none. */
  private adapter: string | null = null;
  private fallback: string | null = null;

  constructor() {
    super('grow');
  }

  protected async begin(weights: Float32Array, still: () => boolean): Promise<void> {
    const { spec } = this.set!;
    const seed = this.seed ?? this.usualSeed;
    this.info = await engine();
    webgpuAdapter().then(found => {
      this.adapter = found;
      this.update();
    });
    const { on, size } = this;
    const player = await Player.make([{ spec, weights, size, seeds: [maskSeed(seed)], on }]);
    if (!still()) {
      player.dispose();
      return;
    }
    const before = this.player;
    this.player = player;
    if (before) {
      player.speed = before.speed;
      if (before.channels.every(c => c < spec.channels)) await player.show(before.channels);
      before.dispose();
    }
    player.onChange = () => this.update();
    player.onError = error => this.fail(error);
    player.onFallback = fault => {
      this.on = 'wasm';
      this.fallback = fault;
      this.update();
    };
    this.draws(player);
    player.canvases[0].dataset.seed = String(seed);
    player.canvases[0].dataset.on = on;
    player.play();
  }

  override close(): void {
    super.close();
    this.player?.dispose();
    this.player = null;
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

  /** Which engine grows it, where there is a choice; and why it is another than was chosen. */
  private computerTemplate() {
    if (!this.adapter) return nothing;
    return html`<label>computed by <select data-do="computer" @change=${(event: Event) => {
      this.on = (event.target as HTMLSelectElement).value as Computer;
      this.fallback = null;
      this.again();
    }}><option value="wasm" .selected=${this.on === 'wasm'}>WebAssembly</option><option value="webgpu" .selected=${this.on === 'webgpu'}>WebGPU (${this.adapter})</option></select></label>
    ${this.fallback ? html`<span class="problem" role="status" data-fallback>${this.fallback}</span>` : nothing}`;
  }

  private set3(place: number, channel: number): void {
    const channels = [...(this.player?.channels ?? [0, 1, 2])];
    channels[place] = channel;
    this.player?.show(channels).then(() => this.update());
  }

  protected template() {
    const { set, player, row, size, info } = this;
    if (!set) return html`<p class="dim">Opening …</p>`;
    const { spec } = set;
    const seed = this.seed ?? this.usualSeed;
    const chosen = player?.channels ?? [0, 1, 2];
    const argument = set.argument.by === 'row' ? `#${row}` : set.names.length > 1 ? `#${set.names[row]}` : '';
    const command = `npx weightloom nca render --weights ${set.argument.path}${argument} --steps ${set.steps} --size ${size} --seed ${seed} --out picture.png`;
    return html`${this.listTemplate()}
<div class="stage">
  <h2>${set.names[row]}</h2>
  <div class="canvases"><figure class="main">${player?.canvases[0] ?? html`<div class="empty"></div>`}<figcaption>growing — draw on it to erase</figcaption></figure>
  ${set.pictures[row] ? html`<figure class="target"><img src=${pictureUrl(set, row)} alt="the texture"><figcaption>the texture it was made for</figcaption></figure>` : nothing}</div>
  ${player ? playControls(player, set.steps) : nothing}
  <div class="settings">
    <label>size <select data-do="size" @change=${(event: Event) => {
      this.size = Number((event.target as HTMLSelectElement).value);
      this.again();
    }}>${SIZES.map(value => html`<option value=${value} ?selected=${value === size}>${value} × ${value}</option>`)}</select></label>
    <label>seed of the masks <input type="number" min="0" max=${Number.MAX_SAFE_INTEGER} .value=${String(seed)} data-do="seed" @change=${(
      event: Event,
    ) => {
      this.seed = Math.max(0, Math.floor(Number((event.target as HTMLInputElement).value))) || 0;
      this.again();
    }}></label>
    ${this.computerTemplate()}
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
