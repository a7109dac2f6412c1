/** Buttons that several views have. */
import { html, type TemplateResult } from 'lit';
import type { Player, Speed } from './player.ts';
import { SPEED_NAMES } from './words.ts';

/** Play, pause, one step, from the seed; speed; what it does now. */
export function playControls(player: Player, target: number): TemplateResult {
  const { playing, steps, rate, speed } = player;
  return html`<div class="controls" role="group" aria-label="growing">
<button class="primary" data-do="play" @click=${() => player.toggle()}>${playing ? '❚❚ pause' : '▶ play'}</button>
<button data-do="step" @click=${() => player.step(1)}>one step</button>
<button data-do="reset" @click=${() => player.reset()}>from the seed</button>
<button data-do="to" title="the picture that the command line writes" @click=${() => player.playTo(target, 'full')}>to step ${target}</button>
<span class="choice" role="group" aria-label="speed">${(Object.keys(SPEED_NAMES) as Speed[]).map(
    name =>
      html`<button aria-pressed=${speed === name} data-speed=${name} @click=${() => {
        player.speed = name;
        player.onChange();
      }}>${SPEED_NAMES[name]}</button>`,
  )}</span>
<output class="steps" aria-live="off" data-busy-steps=${player.busy.steps} data-busy-milliseconds=${player.busy.milliseconds}><b data-steps=${steps}>${steps.toLocaleString('en')}</b> steps${playing && rate > 0 ? html`, <b>${Math.round(rate)}</b> a second` : ''}</output>
</div>`;
}
