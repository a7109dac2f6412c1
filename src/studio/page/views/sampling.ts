/** A sample as it comes into being: what the denoiser took the weights for at every noise level, each a living NCA. */
import { html, nothing } from 'lit';
import type { SetInfo } from '../../api.ts';
import { playControls } from '../controls.ts';
import { Player } from '../player.ts';
import type { Route } from '../route.ts';
import { pictureUrl, rowsAt, setInfo } from '../server.ts';
import { View } from '../view.ts';
import { figure } from '../words.ts';

/** Enough steps to see what a level's NCA grows. */
const SIZE = 64;

export class SamplingView extends View {
  private set: SetInfo | null = null;
  private player: Player | null = null;
  private texture = 0;
  private level = 0;
  private opening = 0;
  private readonly big = document.createElement('canvas');

  constructor() {
    super('sampling');
    this.big.width = SIZE;
    this.big.height = SIZE;
  }

  protected async open(route: Route): Promise<void> {
    this.set = await setInfo(route.set!);
    const { textures, columns } = this.set.kept!;
    this.texture = Math.min(this.texture, textures.length - 1);
    this.level = Math.min(this.level, columns.length - 1);
    this.update();
    await this.grow();
  }

  close(): void {
    this.opening++;
    this.player?.dispose();
    this.player = null;
  }

  private async grow(): Promise<void> {
    const opening = ++this.opening;
    const set = this.set!;
    const { columns, textures, seeds, steps } = set.kept!;
    const weights = await rowsAt(
      set,
      columns.map((_, level) => level * textures.length + this.texture),
    );
    const player = await Player.make([
      { spec: set.spec, weights, size: SIZE, seeds: columns.map(() => seeds[this.texture]) },
    ]);
    if (opening !== this.opening) {
      player.dispose();
      return;
    }
    player.speed = this.player?.speed ?? 'normal';
    this.player?.dispose();
    this.player = player;
    player.onFrame = () => this.enlarge();
    player.onChange = () => this.update();
    player.onError = error => this.fail(error);
    await player.playTo(steps);
    this.update();
  }

  /** The chosen level, large. */
  private enlarge(): void {
    const from = this.player?.canvases[this.level];
    if (from) this.big.getContext('2d')?.drawImage(from, 0, 0);
  }

  private choose(level: number): void {
    this.level = level;
    this.enlarge();
    this.update();
  }

  protected template() {
    const { set, player, level, texture } = this;
    if (!set?.kept) return html`<p class="dim">Opening …</p>`;
    const { columns, textures, label } = set.kept;
    const sigma = columns[level].sigma ?? 0;
    const last = columns.length - 1;
    return html`<h2>How ${label} comes to the weights for ${textures[texture]}</h2>
<p class="dim">Sampling begins with noise. At every noise level the denoiser says which NCA it takes the noisy weights for; each of these is alive here.</p>
<div class="filters"><label>texture <select data-do="texture" @change=${(event: Event) => {
      this.texture = Number((event.target as HTMLSelectElement).value);
      this.grow().catch(error => this.fail(error as Error));
    }}>${textures.map((name, i) => html`<option value=${i} ?selected=${i === texture}>${name}</option>`)}</select></label></div>
<div class="canvases"><figure class="big">${this.big}<figcaption data-level=${level}>${
      level === last
        ? 'the sample itself'
        : level === 0
          ? html`from pure noise, σ = ${figure(sigma)}`
          : html`at noise level σ = ${figure(sigma)}`
    }</figcaption></figure>
${set.pictures[texture] ? html`<figure class="big"><img src=${pictureUrl(set, texture)} alt="the texture"><figcaption>the texture it is asked for</figcaption></figure>` : nothing}</div>
<label class="noise"><span>noise</span><input type="range" min="0" max=${last} .value=${String(level)} data-do="level" aria-label="noise level" @input=${(
      event: Event,
    ) => this.choose(Number((event.target as HTMLInputElement).value))}><span>sample</span></label>
<div class="film">${columns.map(
      ({ sigma = 0 }, i) =>
        html`<button class="tile ${i === level ? 'chosen' : ''}" data-film=${i} @click=${() => this.choose(i)}>${player?.canvases[i] ?? nothing}${i === last ? 'sample' : figure(sigma)}</button>`,
    )}</div>
${player ? playControls(player, set.steps) : nothing}`;
  }
}
