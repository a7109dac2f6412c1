/** Which form of message passing runs. */
import type { CompiledGraph } from '../../../graphs/index.ts';
import { denseEdges } from './dense.ts';
import type { EdgeSpace } from './edges.ts';
import { generalEdges } from './general.ts';

export type Path = 'dense' | 'general';

export const edgeSpace = (graph: CompiledGraph, path: Path): EdgeSpace =>
  path === 'dense' ? denseEdges(graph) : generalEdges(graph);
