/** Graph denoisers: message passing on the parameter graph. Importing this registers them. */
export { type EdgeMpnnConfig, edgeMpnn, edgeMpnnKind, ncaGraph } from './edge-mpnn.ts';
