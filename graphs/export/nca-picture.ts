/** How an NCA's graph is drawn: columns by their part in the update, inputs coloured by filter, visible channels by their colour. */
import { FILTERS, type NcaSpec } from '../../src/nca/index.ts';
import type { PictureOptions } from './picture.ts';

const FILTER_COLOURS = ['#1b1f24', '#4d7ea8', '#6fa287', '#b07aa1'];
const CHANNEL_COLOURS = ['#d33f3f', '#3f9a4d', '#3a62c9'];

/** Title, column names, legend and colours for the picture of an NCA's graph, as `ncaNetwork` makes it. */
export function ncaPicture(spec: NcaSpec): PictureOptions {
  const { channels, hidden, outputBias } = spec;
  const inputs = FILTERS.length * channels;
  // Nodes: inputs, hidden units, the bias of b1, channels(, the bias of b2).
  const firstOutput = inputs + hidden + 1;
  return {
    title: `${spec.name}: ${inputs} perceived, ${hidden} hidden, ${channels} channels${outputBias ? ', output bias' : ''}`,
    columns: ['perception', 'hidden', 'update'],
    legend: FILTERS.map((filter, f) => [FILTER_COLOURS[f], filter.replace('_', ' ')] as const),
    colour: key => {
      const node = Number(key);
      if (node < inputs) return FILTER_COLOURS[node % FILTERS.length];
      return node >= firstOutput ? CHANNEL_COLOURS[node - firstOutput] : undefined;
    },
  };
}
