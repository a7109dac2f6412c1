/** Which form of message passing runs. */
import type { CompiledGraph } from '../../../graphs/index.ts';
import { denseEdges } from './dense.ts';
import type { EdgeSpace } from './edges.ts';
import { generalEdges } from './general.ts';

/** `dense` runs fast on layers whose edges form blocks, `general` on any graph; the same numbers. */
export type Path = 'dense' | 'general';

/** The edges of a compiled graph in the form that is asked for. */
export const edgeSpace = (graph: CompiledGraph, path: Path): EdgeSpace =>
  path === 'dense' ? denseEdges(graph) : generalEdges(graph);
