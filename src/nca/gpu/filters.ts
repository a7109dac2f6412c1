/** The random filters of the texture loss as src/nca/texture-loss.ts draws them: fresh ones for every call, or some of a bank. */
import { type RandomStream, randomStream } from '../../tensor/index.ts';
import { type PatchOptions, randomFilters } from '../texture-loss.ts';
import type { GpuTextureLoss, Responses } from './loss.ts';
import { GROUP } from './loss-code.ts';

/** The filters of one call: groups of responses. */
export interface DrawnFilters {
  readonly responses: Responses;
  readonly chosen: ArrayLike<number>;
  /** To be called when commands that use them are encoded. */
  release(): void;
}

/** Draws filters for a loss; a bank's responses are tabulated at the first call. Dispose of it. */
export class FilterSource {
  private bank: Responses | undefined;

  constructor(
    private readonly loss: GpuTextureLoss,
    private readonly patches: PatchOptions,
  ) {}

  draw(random: RandomStream): DrawnFilters {
    const { patches, loss } = this;
    const groups = patches.projections / GROUP;
    if (patches.bank === undefined) {
      const responses = loss.respond(randomFilters(patches, random), groups);
      const chosen = Array.from({ length: groups }, (_, group) => group);
      return { responses, chosen, release: () => loss.forget(responses) };
    }
    const { bank } = patches;
    this.bank ??= loss.respond(
      randomFilters({ ...patches, projections: bank }, randomStream(0, 'texture loss/bank')),
      bank / GROUP,
    );
    const chosen = random.permutation(bank / GROUP).subarray(0, groups);
    return { responses: this.bank, chosen, release: () => {} };
  }

  dispose(): void {
    if (this.bank) this.loss.forget(this.bank);
    this.bank = undefined;
  }
}
