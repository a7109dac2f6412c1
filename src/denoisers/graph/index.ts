/** Graph denoisers: message passing on the parameter graph. Importing this registers them. */
export { type EdgeMpnnConfig, edgeMpnn, edgeMpnnKind } from './edge-mpnn.ts';
export { ncaGraph } from './nca-graph.ts';
