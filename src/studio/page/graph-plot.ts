/** A parameter graph on the screen: sigma.js on graphology. Layers in columns, weights above zero red, below blue; the strongest are drawn, and all of a chosen node. */
import type Sigma from 'sigma';
import { buildGraph, ncaNetwork, type ParameterGraph } from '../../../graphs/index.ts';
import { FILTERS, type NcaSpec } from '../../nca/index.ts';

const FILTER_COLOURS = ['#8a919e', '#4d7ea8', '#5f9a78', '#b07aa1'];
const CHANNEL_COLOURS = ['#d33f3f', '#3f9a4d', '#3a62c9'];
const PLUS = '#d0533b';
const MINUS = '#3d7bd0';
/** How long nodes take to their new places, in milliseconds. */
const MOVING = 1100;

/** Nodes of an NCA's graph in order: inputs, hidden units, the bias of b1, channels(, the bias of b2). */
export function nodeNames(spec: NcaSpec): string[] {
  const { channels, hidden, outputBias } = spec;
  return [
    ...Array.from(
      { length: 4 * channels },
      (_, k) => `${FILTERS[k % 4].replace('_', ' ')} of channel ${Math.floor(k / 4)}`,
    ),
    ...Array.from({ length: hidden }, (_, i) => `hidden unit ${i}`),
    'bias of the hidden units',
    ...Array.from({ length: channels }, (_, c) => `update of channel ${c}`),
    ...(outputBias ? ['bias of the update'] : []),
  ];
}

/** A place in a row as a colour: red at its beginning, violet at its end. Sigma takes no hsl(). */
function hue(place: number): string {
  const channel = (offset: number) => {
    const k = (offset + 10 * place) % 12;
    return Math.round(255 * (0.52 - 0.36 * Math.max(-1, Math.min(k - 3, 9 - k, 1))))
      .toString(16)
      .padStart(2, '0');
  };
  return `#${channel(0)}${channel(8)}${channel(4)}`;
}

/** What is drawn. */
export interface Drawn {
  readonly spec: NcaSpec;
  /** [D] weights, or differences of weights. */
  readonly weights: ArrayLike<number>;
  /** [hidden] the number that unit i had before it was moved here: by it units are coloured, and from there they come. */
  readonly origin?: ArrayLike<number>;
  /** Colours hidden units by their origin, and not grey. */
  readonly coloured?: boolean;
}

/** A graph's weights at a node, the strongest first. */
export interface NodeWeights {
  readonly name: string;
  readonly incoming: readonly { readonly name: string; readonly weight: number }[];
  readonly outgoing: readonly { readonly name: string; readonly weight: number }[];
}

export class GraphPlot {
  readonly element = document.createElement('div');
  /** Share of the edges that is drawn. */
  share = 0.3;
  /** The node whose edges are drawn alone. */
  chosen: string | null = null;
  /** Told which node the pointer is on, or was clicked. */
  onNode: (node: string | null, clicked: boolean) => void = () => {};
  private readonly place = document.createElement('div');
  private sigma: Sigma | null = null;
  private graph: ParameterGraph | null = null;
  private names: string[] = [];
  private hovered: string | null = null;
  private least = 0;
  private animation = 0;

  constructor() {
    this.element.className = 'graph';
    this.place.className = 'place';
    this.element.append(this.place);
  }

  /** Draws a graph; nodes that have come from elsewhere move to their places. */
  async draw({ spec, weights, origin, coloured = false }: Drawn): Promise<void> {
    const graph = buildGraph(ncaNetwork(spec), weights);
    const { hidden } = spec;
    const inputs = 4 * spec.channels;
    this.names = nodeNames(spec);
    const columns = new Map<number, string[]>();
    graph.forEachNode((node, { layer, type }) => {
      if (type !== 'bias') columns.set(layer, [...(columns.get(layer) ?? []), node]);
    });
    const depth = [...columns.keys()].sort((a, b) => a - b);
    const height = (index: number, count: number) => 1 - (index + 0.5) / count;
    // As wide as the place is, for both axes are drawn to one scale.
    const { clientWidth, clientHeight } = this.element;
    const pitch = Math.max(0.4, clientWidth / Math.max(1, clientHeight) || 1.6) / 2;
    const targets = new Map<string, { x: number; y: number }>();
    depth.forEach((layer, column) => {
      const nodes = columns.get(layer)!;
      for (const [index, node] of nodes.entries())
        targets.set(node, { x: pitch * column, y: height(index, nodes.length) });
    });
    graph.forEachNode((node, { type, layer }) => {
      if (type === 'bias') targets.set(node, { x: pitch * (depth.indexOf(layer) - 0.5), y: 1.03 });
    });
    const strengths = Float64Array.from(graph.mapEdges((_, { weight }) => Math.abs(weight))).sort();
    const strongest = strengths[strengths.length - 1] || 1;
    graph.forEachEdge((edge, { weight }) => {
      const strength = Math.abs(weight) / strongest;
      graph.mergeEdgeAttributes(edge, {
        // Sigma's type, in place of the graph's.
        type: 'line',
        size: 0.4 + 2.6 * strength,
        color: `${weight < 0 ? MINUS : PLUS}${Math.round(60 + 150 * Math.sqrt(strength))
          .toString(16)
          .padStart(2, '0')}`,
      } as never);
    });
    graph.forEachNode(node => {
      const key = Number(node);
      const unit = key - inputs;
      const from = unit >= 0 && unit < hidden ? (origin?.[unit] ?? unit) : unit;
      const start = unit >= 0 && unit < hidden ? targets.get(String(inputs + from))! : targets.get(node)!;
      const visible = key - inputs - hidden - 1;
      graph.mergeNodeAttributes(node, {
        ...start,
        type: 'circle',
        size: unit >= 0 && unit < hidden ? Math.max(2.5, Math.min(6, 220 / hidden)) : 4.5,
        label: this.names[key],
        color:
          key < inputs
            ? FILTER_COLOURS[key % 4]
            : unit < hidden
              ? coloured
                ? hue(from / hidden)
                : '#8a919e'
              : (CHANNEL_COLOURS[visible] ?? '#8a919e'),
      } as never);
    });
    this.graph = graph;
    this.setShare(this.share, strengths);
    await this.show(graph);
    this.move(graph, targets);
  }

  /** Draws more or fewer edges. */
  setShare(share: number, sorted?: Float64Array): void {
    this.share = share;
    const strengths =
      sorted ?? Float64Array.from(this.graph?.mapEdges((_, { weight }) => Math.abs(weight)) ?? []).sort();
    this.least = strengths[Math.floor((1 - share) * (strengths.length - 1))] ?? 0;
    this.sigma?.refresh({ skipIndexation: true });
  }

  /** Shows the edges of one node alone, or of none. */
  choose(node: string | null): void {
    this.chosen = node;
    this.sigma?.refresh({ skipIndexation: true });
  }

  /** Where a node is on the screen, for the pointer. */
  placeOf(node: string): { x: number; y: number } | null {
    const data = this.sigma?.getNodeDisplayData(node);
    return data && this.sigma ? this.sigma.framedGraphToViewport(data) : null;
  }

  /** The weights that come in and go out at a node. */
  weightsAt(node: string): NodeWeights {
    const { graph, names } = this;
    const of = (edges: readonly string[], end: (edge: string) => string) =>
      edges
        .map(edge => ({
          name: names[Number(end(edge))],
          weight: graph!.getEdgeAttribute(edge, 'weight') as number,
        }))
        .sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight));
    return {
      name: names[Number(node)],
      incoming: of(graph!.inEdges(node), edge => graph!.source(edge)),
      outgoing: of(graph!.outEdges(node), edge => graph!.target(edge)),
    };
  }

  /** Takes the picture off the screen and gives its memory back. */
  dispose(): void {
    cancelAnimationFrame(this.animation);
    this.sigma?.kill();
    this.sigma = null;
  }

  private async show(graph: ParameterGraph): Promise<void> {
    if (this.sigma) {
      this.sigma.setGraph(graph as never);
      return;
    }
    const { default: Renderer } = await import('sigma');
    const style = getComputedStyle(document.body);
    const [ink, faded] = [style.color, style.getPropertyValue('--line')];
    this.sigma = new Renderer(graph as never, this.place, {
      allowInvalidContainer: true,
      labelColor: { color: ink },
      labelFont: 'system-ui, sans-serif',
      labelSize: 12,
      labelDensity: 0.4,
      labelRenderedSizeThreshold: 9,
      zIndex: true,
      minCameraRatio: 0.1,
      maxCameraRatio: 2,
      stagePadding: 34,
      defaultDrawNodeHover: (context, data, settings) => {
        context.beginPath();
        context.arc(data.x, data.y, data.size + 3, 0, 2 * Math.PI);
        context.lineWidth = 2;
        context.strokeStyle = ink;
        context.stroke();
        settings.defaultDrawNodeLabel(context, data, settings);
      },
      nodeReducer: (node, data) => {
        const centre = this.chosen ?? this.hovered;
        const near = centre === null || node === centre || this.graph!.areNeighbors(node, centre);
        return {
          ...data,
          ...(node === centre && { highlighted: true }),
          ...(!near && { color: faded }),
        };
      },
      edgeReducer: (edge, data) => {
        const centre = this.chosen ?? this.hovered;
        const weak = Math.abs(data.weight as number) < this.least;
        if (centre === null) return { ...data, hidden: weak };
        // A node's own edges may be seen.
        const own = this.graph!.extremities(edge).includes(centre);
        return { ...data, hidden: !own, size: 1 + 1.4 * data.size, color: String(data.color).slice(0, 7) };
      },
    });
    const enter = (node: string | null) => {
      this.hovered = node;
      this.sigma?.refresh({ skipIndexation: true });
      this.onNode(node, false);
    };
    this.sigma.on('enterNode', ({ node }) => enter(node));
    this.sigma.on('leaveNode', () => enter(null));
    this.sigma.on('clickNode', ({ node }) => {
      this.choose(this.chosen === node ? null : node);
      this.onNode(this.chosen, true);
    });
    this.sigma.on('clickStage', () => {
      this.choose(null);
      this.onNode(null, true);
    });
  }

  /** Nodes go to their places, slower at both ends. */
  private move(graph: ParameterGraph, targets: ReadonlyMap<string, { x: number; y: number }>): void {
    cancelAnimationFrame(this.animation);
    const moving = [...targets].flatMap(([node, { y }]) => {
      const from = graph.getNodeAttribute(node, 'y' as never) as number;
      return Math.abs(from - y) > 1e-9 ? [{ node, from, y }] : [];
    });
    if (moving.length === 0) return;
    const start = performance.now();
    const step = () => {
      const t = Math.min(1, (performance.now() - start) / MOVING);
      const eased = t * t * (3 - 2 * t);
      for (const { node, from, y } of moving)
        graph.setNodeAttribute(node, 'y' as never, (from + eased * (y - from)) as never);
      if (t < 1 && this.graph === graph) this.animation = requestAnimationFrame(step);
    };
    this.animation = requestAnimationFrame(step);
  }
}
