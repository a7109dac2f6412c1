/**
 * Multi-head self-attention with its residual connection. Queries, keys and values are three sets of edges into the same nodes, told apart,
 * like the heads, by the edge's position: [head, 0 query | 1 key | 2 value | 3 output, -1].
 */
import type { GraphBuilder, Nodes } from '../builder.ts';
import { NOWHERE, type NodeType, type Position } from '../types.ts';

export interface AttentionLayer {
  readonly kind: 'attention';
  readonly width: number;
  /** Default 1. */
  readonly heads?: number;
  /** Default true. */
  readonly bias?: boolean;
}

export const attentionInputs = ({ width }: AttentionLayer): { count: number; type: NodeType } => ({
  count: width,
  type: 'neuron',
});

export function attention(builder: GraphBuilder, layer: AttentionLayer, inputs: Nodes): Nodes {
  const { width, heads = 1, bias = true } = layer;
  builder.expect(width, inputs.length);
  if (width % heads !== 0)
    throw new RangeError(`attention: width ${width} is not a multiple of ${heads} heads`);
  const { reference } = builder.options;
  const depth = builder.depth(inputs);
  const biasType: NodeType = reference ? 'bias' : 'attention_bias';
  const place = (unit: number, part: number): Position =>
    reference ? NOWHERE : [Math.floor(unit / (width / heads)), part, -1];

  const inner = builder.nodes(width, 'attention_neuron', depth + 1);
  const weight = builder.parameter('attn.in_proj_weight', [3 * width, width]);
  const shift = bias ? builder.parameter('attn.in_proj_bias', [3 * width]) : -1;
  for (const part of [0, 1, 2]) {
    inner.forEach((target, unit) => {
      const row = weight + (part * width + unit) * width;
      builder.dense(inputs, [target], row, { type: 'lin_weight', layer: depth }, [place(unit, part)]);
    });
    if (bias) {
      const label = { type: 'lin_bias', layer: depth } as const;
      const place0 = reference ? NOWHERE : ([-1, part, -1] as const);
      builder.perUnit(inner, shift + part * width, { type: biasType, layer: depth + 1 }, label, place0);
    }
  }
  const outputs = builder.nodes(width, 'attention_neuron', depth + 2);
  let next = builder.parameter('attn.out_proj.weight', [width, width]);
  for (const target of outputs) {
    inner.forEach((source, unit) => {
      builder.edge(source, target, next++, { type: 'lin_weight', layer: depth + 1 }, place(unit, 3));
    });
  }
  if (bias) {
    const parameter = builder.parameter('attn.out_proj.bias', [width]);
    builder.perUnit(
      outputs,
      parameter,
      { type: biasType, layer: depth + 2 },
      { type: 'lin_bias', layer: depth + 1 },
    );
  }
  builder.pairs(inputs, outputs, null, { type: 'residual', layer: depth });
  return outputs;
}
