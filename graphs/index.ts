/** Parameter graphs: a network's weights as a graphology graph, and its compiled form. */
export type { GraphOptions, Parameter } from './builder.ts';
export { type CompiledGraph, compileGraph, describeBlocks, type EdgeBlock } from './compile.ts';
export { toGexf, toGraphml, toJson } from './export/files.ts';
export { ncaPicture } from './export/nca-picture.ts';
export { type PictureOptions, toSvg } from './export/picture.ts';
export { EDGE_COLUMNS, type GraphTensors, NODE_COLUMNS, toTensors } from './export/tensors.ts';
export type { Layer } from './layers/index.ts';
export { type NcaNetworkOptions, ncaNetwork } from './nca.ts';
export {
  type BuildOptions,
  buildGraph,
  type NetworkSpec,
  networkParameters,
  weightsOf,
} from './network.ts';
export {
  EDGE_TYPES,
  type EdgeAttributes,
  type EdgeType,
  edgeCode,
  type GraphAttributes,
  NODE_TYPES,
  type NodeAttributes,
  type NodeType,
  nodeCode,
  type ParameterGraph,
  type Position,
} from './types.ts';
