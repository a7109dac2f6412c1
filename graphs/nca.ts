/** The parameter graph of an NCA: perception -> hidden -> update, one node per input, hidden unit and channel. */
import { type NcaSpec, perceptionSize } from '../src/nca/index.ts';
import type { NetworkSpec } from './network.ts';

/** How an NCA's update becomes a network. */
export interface NcaNetworkOptions {
  /**
   * Ties output channel c to the four perception inputs of channel c by weightless edges, so that a permutation of latent channels
   * is an isomorphism of the graph. Default false.
   */
  readonly recurrent?: boolean;
}

/** Channels the picture is made of; the others are latent and have no order of their own. */
const VISIBLE = 3;

/** The NCA's update as a network; its flat weights are the NCA's w1, b1, w2(, b2). */
export function ncaNetwork(spec: NcaSpec, options: NcaNetworkOptions = {}): NetworkSpec {
  const { channels, hidden } = spec;
  const filters = perceptionSize(spec) / channels;
  const perChannel = <T>(value: (channel: number) => T): T[] =>
    Array.from({ length: channels }, (_, c) => value(c));
  const perFilter = <T>(value: (filter: number) => T): T[] =>
    Array.from({ length: filters }, (_, f) => value(f));
  return {
    name: spec.name,
    layers: [
      { kind: 'linear', in: perceptionSize(spec), out: hidden },
      { kind: 'linear', in: hidden, out: channels, bias: spec.outputBias },
    ],
    ...(options.recurrent && {
      recurrence: perFilter(f => perChannel(c => filters * c + f)),
      inputOrder: perChannel(c => perFilter(f => filters * Math.min(c, VISIBLE) + f)).flat(),
      outputOrder: perChannel(c => Math.min(c, VISIBLE)),
    }),
  };
}
