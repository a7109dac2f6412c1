/** What the layer files build with: nodes and blocks of edges in order, then a graphology graph of them. */
import { MultiDirectedGraph } from 'graphology';
import type {
  EdgeAttributes,
  EdgeType,
  NodeAttributes,
  NodeType,
  ParameterGraph,
  Position,
} from './types.ts';
import { NOWHERE } from './types.ts';

/** How a network becomes a graph, where there are several ways. */
export interface GraphOptions {
  /** A bias is an edge from a bias node to each unit, or a loop on each unit. Default `nodes`. */
  readonly bias?: 'nodes' | 'self-loops';
  /** Adds, after all forward edges, one in the other direction for each, with the same weight. Default false. */
  readonly reverseEdges?: boolean;
  /** Repeats the reference implementation where ours differs: bias nodes of attention and deep sets of type `bias`, no positions on their edges, order 0 on the nodes of a last norm, cells of a triplanar grid out of order. Default false. */
  readonly reference?: boolean;
}

/** Keys of nodes. */
export type Nodes = readonly number[];

/** One tensor of parameters, in the order of the flat weight vector. */
export interface Parameter {
  /** With the names of the layers it lies in, such as `0.weight`. */
  readonly name: string;
  readonly shape: readonly number[];
  /** Where it begins in the flat weight vector, and how many numbers it has. */
  readonly offset: number;
  readonly size: number;
}

interface EdgeLabel {
  readonly type: EdgeType;
  /** Defaults to the depth of the first source. */
  readonly layer?: number;
}

const range = (start: number, count: number) => Array.from({ length: count }, (_, i) => start + i);

export class GraphBuilder {
  readonly nodeList: NodeAttributes[] = [];
  readonly edgeList: { source: number; target: number; attributes: EdgeAttributes }[] = [];
  readonly parameters: Parameter[] = [];
  parameterCount = 0;
  private prefixes: string[] = [];
  private part = '';
  private kind = '';
  private pixels: readonly number[] | null = null;
  private readonly last: (() => void)[] = [];

  constructor(readonly options: GraphOptions = {}) {}

  /** Parameters made in `build` are called `name.weight` and the like; `kind` is named in errors. */
  inside<T>(name: string, kind: string, build: () => T): T {
    const before = this.kind;
    this.prefixes.push(name);
    this.kind = kind;
    const result = build();
    this.prefixes.pop();
    this.kind = before;
    return result;
  }

  /** A further part of the names of parameters made from now on in this layer. */
  within(part: string): void {
    this.part = part;
  }

  expect(expected: number, found: number): void {
    if (expected !== found) {
      throw new RangeError(
        `layer ${this.prefixes.join('.')} (${this.kind}): expected ${expected} inputs, found ${found}`,
      );
    }
  }

  /** Flattening: the next linear layer takes the pixels. */
  givePixels(pixels: readonly number[]): void {
    this.pixels = pixels;
  }

  takePixels(): readonly number[] | null {
    const pixels = this.pixels;
    this.pixels = null;
    return pixels;
  }

  /** Something to do when all layers are there. */
  afterwards(action: () => void): void {
    this.last.push(action);
  }

  finish(): void {
    for (const action of this.last) action();
  }

  relayer(nodes: Nodes, layer: number): void {
    for (const node of nodes) this.nodeList[node].layer = layer;
  }

  /** Adds unordered nodes. */
  nodes(count: number, type: NodeType, layer: number): number[] {
    const first = this.nodeList.length;
    for (let i = 0; i < count; i++) this.nodeList.push({ layer, order: -1, type });
    return range(first, count);
  }

  /** Numbers nodes whose place has a meaning. */
  order(nodes: Nodes, places?: readonly number[]): void {
    nodes.forEach((node, i) => {
      this.nodeList[node].order = places ? places[i] : i;
    });
  }

  /** The depth of the deepest of some nodes. */
  depth(nodes: Nodes): number {
    return Math.max(...nodes.map(node => this.nodeList[node].layer));
  }

  /** Reserves the next part of the flat weight vector and returns where it starts. */
  parameter(name: string, shape: readonly number[]): number {
    const size = shape.reduce((a, b) => a * b, 1);
    const offset = this.parameterCount;
    const full = [...this.prefixes, this.part, name].filter(part => part !== '').join('.');
    this.parameters.push({ name: full, shape, offset, size });
    this.parameterCount += size;
    return offset;
  }

  /**
   * Every source to every target, once per kernel position: edges in the order [target, source, position], which is the order of a
   * weight [out, in, ...kernel].
   */
  dense(
    sources: Nodes,
    targets: Nodes,
    parameter: number,
    label: EdgeLabel,
    positions: readonly Position[] = [NOWHERE],
  ): void {
    let next = parameter;
    for (const target of targets) {
      for (const source of sources) {
        for (const position of positions) this.edge(source, target, next++, label, position);
      }
    }
  }

  /** Source i to target i. With `parameter` null the edges are constants of weight 1. */
  pairs(
    sources: Nodes,
    targets: Nodes,
    parameter: number | null,
    label: EdgeLabel,
    position = NOWHERE,
  ): void {
    sources.forEach((source, i) => {
      this.edge(source, targets[i], parameter === null ? -1 : parameter + i, label, position);
    });
  }

  edge(source: number, target: number, parameter: number, label: EdgeLabel, position: Position): void {
    const layer = label.layer ?? this.nodeList[source].layer;
    this.edgeList.push({
      source,
      target,
      attributes: { weight: 1, layer, type: label.type, position, parameter, reverse: false },
    });
  }

  /** A vector with one entry per target, from a node of its own or as loops: biases, and the scale and shift of norms. */
  perUnit(
    targets: Nodes,
    parameter: number,
    node: { readonly type: NodeType; readonly layer: number },
    label: EdgeLabel & { readonly layer: number },
    position = NOWHERE,
  ): void {
    if (this.options.bias === 'self-loops') this.pairs(targets, targets, parameter, label, position);
    else this.dense(this.nodes(1, node.type, node.layer), targets, parameter, label, [position]);
  }

  /** Adds for every edge so far one against it, with the same parameter. */
  reverse(): void {
    const forward = this.edgeList.length;
    for (let i = 0; i < forward; i++) {
      const { source, target, attributes } = this.edgeList[i];
      this.edgeList.push({ source: target, target: source, attributes: { ...attributes, reverse: true } });
    }
  }

  /** @param weights flat vector of `parameterCount` numbers */
  graph(name: string, weights: ArrayLike<number>, global: readonly number[]): ParameterGraph {
    const graph: ParameterGraph = new MultiDirectedGraph();
    graph.replaceAttributes({ name, parameters: this.parameterCount, global });
    this.nodeList.forEach((attributes, key) => {
      graph.addNode(key, { ...attributes });
    });
    this.edgeList.forEach(({ source, target, attributes }, key) => {
      const weight = attributes.parameter < 0 ? 1 : weights[attributes.parameter];
      graph.addDirectedEdgeWithKey(key, source, target, { ...attributes, weight });
    });
    return graph;
  }
}
