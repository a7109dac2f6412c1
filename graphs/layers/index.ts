/** All layer kinds: what a network starts with if it starts with one, and how each adds itself to a graph. */
import type { GraphBuilder, Nodes } from '../builder.ts';
import type { NodeType } from '../types.ts';
import { type AttentionLayer, attention, attentionInputs } from './attention.ts';
import { type BasicBlockLayer, basicBlock, basicBlockInputs } from './basic-block.ts';
import { type ConvLayer, conv, convInputs } from './conv.ts';
import { type DeepSetsLayer, deepSets, deepSetsInputs } from './deep-sets.ts';
import { type FeedForwardLayer, feedForward, feedForwardInputs } from './feed-forward.ts';
import { type FlattenLayer, flatten } from './flatten.ts';
import { type LinearLayer, linear, linearInputs } from './linear.ts';
import { type NormLayer, norm, normInputs } from './norm.ts';
import { type ResidualLayer, residual } from './residual.ts';
import { type TriplanarLayer, triplanar, triplanarInputs } from './triplanar.ts';

/** A layer of any kind, told by its `kind`; blocks such as `residual` hold layers of their own. */
export type Layer =
  | LinearLayer
  | ConvLayer
  | NormLayer
  | ResidualLayer<Layer>
  | FeedForwardLayer
  | AttentionLayer
  | BasicBlockLayer
  | DeepSetsLayer
  | TriplanarLayer
  | FlattenLayer;

/** The inputs of a network that begins with this layer. */
export function inputsOf(layer: Layer): { count: number; type: NodeType } {
  switch (layer.kind) {
    case 'linear':
      return linearInputs(layer);
    case 'conv':
      return convInputs(layer);
    case 'norm':
      return normInputs(layer);
    case 'feed-forward':
      return feedForwardInputs(layer);
    case 'attention':
      return attentionInputs(layer);
    case 'basic-block':
      return basicBlockInputs(layer);
    case 'deep-sets':
      return deepSetsInputs(layer);
    case 'triplanar':
      return triplanarInputs(layer);
    case 'residual':
      return inputsOf(layer.layers[0]);
    case 'flatten':
      throw new RangeError('flatten: a network does not begin with it');
  }
}

/** Adds one layer behind `inputs` and returns its outputs. */
function add(builder: GraphBuilder, layer: Layer, inputs: Nodes): Nodes {
  switch (layer.kind) {
    case 'linear':
      return linear(builder, layer, inputs);
    case 'conv':
      return conv(builder, layer, inputs);
    case 'norm':
      return norm(builder, layer, inputs);
    case 'feed-forward':
      return feedForward(builder, layer, inputs);
    case 'attention':
      return attention(builder, layer, inputs);
    case 'basic-block':
      return basicBlock(builder, layer, inputs);
    case 'deep-sets':
      return deepSets(builder, layer, inputs);
    case 'triplanar':
      return triplanar(builder, layer, inputs);
    case 'residual':
      return residual(builder, layer, inputs, stack);
    case 'flatten':
      return flatten(builder, layer, inputs);
  }
}

/** Adds layers one behind the other. */
export function stack(builder: GraphBuilder, layers: readonly Layer[], inputs: Nodes): Nodes {
  return layers.reduce<Nodes>(
    (nodes, layer, i) => builder.inside(String(i), layer.kind, () => add(builder, layer, nodes)),
    inputs,
  );
}
