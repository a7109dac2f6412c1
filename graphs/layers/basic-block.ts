/** The basic block of a ResNet (He et al. 2016): two 3x3 convolutions with batch norm, and a shortcut, projected where the channels change. */
import type { GraphBuilder, Nodes } from '../builder.ts';
import type { NodeType } from '../types.ts';
import { conv } from './conv.ts';
import { norm } from './norm.ts';

export interface BasicBlockLayer {
  readonly kind: 'basic-block';
  readonly in: number;
  readonly out: number;
  /** A 1x1 convolution on the shortcut; default: when `in` and `out` differ. */
  readonly project?: boolean;
}

export const basicBlockInputs = ({ in: count }: BasicBlockLayer): { count: number; type: NodeType } => ({
  count,
  type: 'channel',
});

export function basicBlock(builder: GraphBuilder, layer: BasicBlockLayer, inputs: Nodes): Nodes {
  const { in: channels, out, project = channels !== out } = layer;
  const depth = builder.depth(inputs);
  const part = (name: string, from: Nodes, kernel: readonly number[], at: number): Nodes => {
    const [convName, normName] =
      name === 'shortcut' ? ['shortcut.0', 'shortcut.1'] : [`conv${name}`, `bn${name}`];
    builder.within(convName);
    const outputs = conv(builder, { in: from.length, out, kernel, bias: false }, from, at);
    builder.within(normName);
    norm(builder, { norm: 'batch', features: out }, outputs, at);
    builder.within('');
    return outputs;
  };
  const inner = part('1', inputs, [3, 3], depth);
  const outputs = part('2', inner, [3, 3], depth + 1);
  const shortcut = project ? part('shortcut', inputs, [1, 1], depth + 1) : inputs;
  builder.pairs(shortcut, outputs, null, { type: 'residual', layer: depth });
  return outputs;
}
