/**
 * The flat weight vector of an NCA: its blocks and their places. Nothing here needs Node: the page of the studio lays weights out by it too.
 */

/** What of a spec decides the layout. */
export interface NcaSizes {
  readonly channels: number;
  readonly hidden: number;
  readonly outputBias: boolean;
}

/** Inputs of the first layer: four filters per channel. */
export const perceptionSize = (spec: Pick<NcaSizes, 'channels'>) => 4 * spec.channels;

/** A block of the flat weight vector: one matrix or bias, row-major. */
export interface WeightBlock {
  readonly name: 'w1' | 'b1' | 'w2' | 'b2';
  /** w1 [hidden, 4 channels], b1 [hidden], w2 [channels, hidden], b2 [channels]. */
  readonly shape: readonly number[];
  /** Where it begins in the flat vector, and how many numbers it has. */
  readonly offset: number;
  readonly size: number;
}

/** The blocks of the flat weight vector in their order: w1 (row-major), b1, w2(, b2). */
export function weightBlocks(spec: NcaSizes): WeightBlock[] {
  const { channels, hidden, outputBias } = spec;
  const shapes: [WeightBlock['name'], number[]][] = [
    ['w1', [hidden, 4 * channels]],
    ['b1', [hidden]],
    ['w2', [channels, hidden]],
    ...(outputBias ? ([['b2', [channels]]] as [WeightBlock['name'], number[]][]) : []),
  ];
  let offset = 0;
  return shapes.map(([name, shape]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const block = { name, shape, offset, size };
    offset += size;
    return block;
  });
}

/** D, the length of the flat weight vector. */
export const weightCount = (spec: NcaSizes) => weightBlocks(spec).reduce((sum, { size }) => sum + size, 0);
