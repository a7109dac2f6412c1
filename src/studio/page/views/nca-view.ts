/** Views of one NCA of a set: the list beside it, its weights, and what follows when another is chosen. */
import { nothing, type TemplateResult } from 'lit';
import type { SetInfo } from '../../api.ts';
import { NcaList } from '../list.ts';
import { goTo, type Route } from '../route.ts';
import { rows, setInfo } from '../server.ts';
import { View } from '../view.ts';

export abstract class NcaView extends View {
  protected set: SetInfo | null = null;
  protected row = 0;
  protected weights: Float32Array | null = null;
  private route: Route | null = null;
  private opening = 0;
  private readonly list = new NcaList(() => this.update());

  /** Begins with the set's NCA `row`, whose weights are there. `still` says whether it is still wanted. */
  protected abstract begin(weights: Float32Array, still: () => boolean): Promise<void>;

  protected async open(route: Route): Promise<void> {
    const opening = ++this.opening;
    this.route = route;
    const set = await setInfo(route.set!);
    this.set = set;
    this.row = Math.min(route.row ?? 0, set.names.length - 1);
    this.update();
    this.list.reveal(this.element, set, this.row);
    const weights = await rows(set, this.row);
    if (opening !== this.opening) return;
    this.weights = weights;
    await this.begin(weights, () => opening === this.opening);
  }

  close(): void {
    this.opening++;
  }

  /** Begins again with the same NCA: for other settings. */
  protected again(): void {
    const opening = ++this.opening;
    if (this.weights)
      this.begin(this.weights, () => opening === this.opening).catch(error => this.fail(error as Error));
  }

  /** The seed of the masks under which a run measured this NCA; the command line's own where none did. */
  protected get usualSeed(): number {
    const kept = this.set?.kept;
    return kept ? kept.seeds[this.row % kept.textures.length] : 1;
  }

  protected listTemplate(): TemplateResult | typeof nothing {
    const { set, row, route } = this;
    if (!set || !route || set.names.length < 2) return nothing;
    return this.list.template(set, row, chosen => goTo({ ...route, set: set.id, row: chosen }));
  }
}
