/** Parameter graphs as text for other programs: GEXF (Gephi), GraphML (yEd, NetworkX, igraph), JSON (graphology). */
import { write } from 'graphology-gexf';
import { escapeMarkup } from '../../src/formats/index.ts';
import {
  type EdgeAttributes,
  edgeCode,
  type NodeAttributes,
  nodeCode,
  type ParameterGraph,
} from '../types.ts';

type Value = string | number | boolean;

/** Flat attributes: what the formats can hold, types by name and by code. */
const nodeValues = ({ layer, order, type }: NodeAttributes): Record<string, Value> => ({
  layer,
  order,
  type,
  typeCode: nodeCode(type),
});

const edgeValues = ({
  weight,
  layer,
  type,
  position,
  parameter,
  reverse,
}: EdgeAttributes): Record<string, Value> => ({
  weight,
  layer,
  type,
  typeCode: edgeCode(type),
  position0: position[0],
  position1: position[1],
  position2: position[2],
  parameter,
  reverse,
});

const label = (key: string, { type, order }: NodeAttributes): string =>
  order < 0 ? `${type} ${key}` : `${type} ${order}`;

/** GEXF 1.2. */
export const toGexf = (graph: ParameterGraph): string =>
  write(graph, {
    formatNode: (key: string, attributes: NodeAttributes) => ({
      label: label(key, attributes),
      attributes: nodeValues(attributes),
    }),
    // The format's own edge weight would have to be positive: the weight is an attribute.
    formatEdge: (_: string, attributes: EdgeAttributes) => ({ attributes: edgeValues(attributes) }),
  });

/** graphology's own serialisation: `Graph.from` reads it back whole. */
export const toJson = (graph: ParameterGraph): string => JSON.stringify(graph.export());

const graphmlType = (value: Value) =>
  typeof value === 'number' ? 'double' : typeof value === 'boolean' ? 'boolean' : 'string';

/** GraphML 1.0 (Brandes et al. 2002): keys first, then nodes and directed edges. */
export function toGraphml(graph: ParameterGraph): string {
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">',
  ];
  const declare = (target: 'node' | 'edge', values: Record<string, Value> | undefined) => {
    for (const [name, value] of Object.entries(values ?? {})) {
      lines.push(
        `  <key id="${target}.${name}" for="${target}" attr.name="${name}" attr.type="${graphmlType(value)}"/>`,
      );
    }
  };
  const data = (target: 'node' | 'edge', values: Record<string, Value>) =>
    Object.entries(values)
      .map(([name, value]) => `<data key="${target}.${name}">${escapeMarkup(String(value))}</data>`)
      .join('');
  declare('node', graph.order > 0 ? nodeValues(graph.getNodeAttributes('0')) : undefined);
  declare('edge', graph.size > 0 ? edgeValues(graph.getEdgeAttributes('0')) : undefined);
  lines.push('  <key id="graph.global" for="graph" attr.name="global" attr.type="string"/>');
  lines.push(`  <graph id="${escapeMarkup(graph.getAttribute('name'))}" edgedefault="directed">`);
  lines.push(`    <data key="graph.global">${graph.getAttribute('global').join(' ')}</data>`);
  graph.forEachNode((key, attributes) => {
    lines.push(`    <node id="n${key}">${data('node', nodeValues(attributes))}</node>`);
  });
  graph.forEachEdge((key, attributes, source, target) => {
    lines.push(
      `    <edge id="e${key}" source="n${source}" target="n${target}">${data('edge', edgeValues(attributes))}</edge>`,
    );
  });
  lines.push('  </graph>', '</graphml>', '');
  return lines.join('\n');
}
