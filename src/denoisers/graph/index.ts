/** Graph denoisers: message passing on the parameter graph. Importing this registers them. */
export { denseEdges } from './dense.ts';
export { type EdgeMpnnConfig, edgeMpnn, edgeMpnnKind } from './edge-mpnn.ts';
export {
  degrees,
  type EdgeFeatures,
  type EdgeSpace,
  type End,
  mapEdges,
  type Reduction,
  zipEdges,
} from './edges.ts';
export { generalEdges } from './general.ts';
export { type GraphDitConfig, graphDit, graphDitKind } from './graph-dit.ts';
export { ncaGraph } from './nca-graph.ts';
export { REFERENCE_DEFAULTS, type ReferenceConfig, referenceMpnn } from './reference.ts';
export { edgeSpace, type Path } from './space.ts';
