/** A parameter graph as a picture: layers as columns, weights as curves, red above zero and blue below, strong ones on top. */
import { escapeMarkup } from '../../src/formats/index.ts';
import type { NodeType, ParameterGraph } from '../types.ts';

/** Size, words and colours of the picture of a graph. */
export interface PictureOptions {
  /** Pixels. Default 1200 by 800. */
  readonly width?: number;
  readonly height?: number;
  /** Above the picture; default the graph's name. */
  readonly title?: string;
  /** Names of the columns from left to right, in the place of `layer 0` and so on. */
  readonly columns?: readonly string[];
  /** Colours and what they mean, at the foot of the picture. */
  readonly legend?: readonly (readonly [colour: string, text: string])[];
  /** Fill of a node by its key, in the place of its type's colour; undefined for that. */
  readonly colour?: (key: string) => string | undefined;
}

interface Place {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
}

/** Curves fainter than this are left out. */
const FAINT = 0.012;
const MARGIN = { x: 80, top: 76, bottom: 84 };
const POSITIVE = '#b2182b';
const NEGATIVE = '#2166ac';
const CONSTANT = '#8a8f98';

const fillOf = (type: NodeType): string => {
  if (type.endsWith('bias') || type.endsWith('beta')) return '#c9a227';
  if (type.endsWith('gamma')) return '#7a9e4b';
  return type === 'triplanar' ? '#8e7cc3' : '#39424e';
};

/** Nodes that stand apart, half a column to the left and at the bottom: they have no inputs of their own. */
const apart = (type: NodeType) => /bias$|gamma$|beta$/.test(type);

function layOutNodes(graph: ParameterGraph, width: number, height: number): Map<string, Place> {
  const columns = new Map<number, { units: string[]; aside: string[] }>();
  graph.forEachNode((key, { layer, type }) => {
    const column = columns.get(layer) ?? { units: [], aside: [] };
    (apart(type) ? column.aside : column.units).push(key);
    columns.set(layer, column);
  });
  const last = Math.max(...columns.keys(), 1);
  const step = (width - 2 * MARGIN.x) / last;
  const room = height - MARGIN.top - MARGIN.bottom;
  const most = Math.max(...[...columns.values()].map(({ units }) => units.length));
  const places = new Map<string, Place>();
  for (const [layer, { units, aside }] of columns) {
    // Columns of few nodes are spread wider, but less than full height, so that a layer's size shows.
    const gap =
      units.length < 2
        ? 0
        : Math.min(room * (0.45 + (0.55 * units.length) / most), 60 * units.length) / (units.length - 1);
    const radius = Math.max(2, Math.min(8, gap * 0.36 || 8));
    const x = MARGIN.x + layer * step;
    units.forEach((key, i) => {
      places.set(key, { x, y: MARGIN.top + room / 2 + (i - (units.length - 1) / 2) * gap, radius });
    });
    aside.forEach((key, i) => {
      places.set(key, { x: x - step * (0.5 + 0.09 * i), y: height - MARGIN.bottom + 10, radius: 6 });
    });
  }
  return places;
}

const short = (x: number) => x.toFixed(1);

/** A curve that leaves and arrives level; a loop above a node. */
function curve(from: Place, to: Place): string {
  if (from === to) {
    const r = from.radius;
    return `M${short(from.x)} ${short(from.y)}c${short(-3 * r)} ${short(-4 * r)} ${short(3 * r)} ${short(-4 * r)} 0 0`;
  }
  const bend = (to.x - from.x) * 0.45;
  return `M${short(from.x)} ${short(from.y)}C${short(from.x + bend)} ${short(from.y)} ${short(to.x - bend)} ${short(to.y)} ${short(to.x)} ${short(to.y)}`;
}

/** How the weights of one group of edges become strokes: layers differ in size, and many curves have to leave room for the strong. */
interface Scale {
  readonly strongest: number;
  readonly contrast: number;
}

function scaleOf(edges: readonly { weight: number }[]): Scale {
  const sizes = edges.map(({ weight }) => Math.abs(weight)).sort((a, b) => a - b);
  // The very strongest would leave the rest invisible.
  const strongest = sizes[Math.floor(0.995 * (sizes.length - 1))] || 1;
  return { strongest, contrast: edges.length > 2000 ? 3.5 : edges.length > 400 ? 2 : 1.2 };
}

function strengthOf({ weight }: { weight: number }, { strongest, contrast }: Scale) {
  const strength = Math.min(1, Math.abs(weight) / strongest);
  return { strength, opacity: 0.8 * strength ** contrast };
}

/** An SVG. Reversed edges are left out: they repeat the others. */
export function toSvg(graph: ParameterGraph, options: PictureOptions = {}): string {
  const { width = 1200, height = 800, title = graph.getAttribute('name') } = options;
  const places = layOutNodes(graph, width, height);
  const edges = graph
    .mapEdges((_, { weight, layer, type, reverse, parameter }, source, target) => ({
      weight,
      group: `${type} ${layer}`,
      reverse,
      constant: parameter < 0,
      path: curve(places.get(source)!, places.get(target)!),
    }))
    .filter(({ reverse }) => !reverse);
  const scales = new Map<string, Scale>();
  for (const { group } of edges) {
    if (!scales.has(group)) scales.set(group, scaleOf(edges.filter(edge => edge.group === group)));
  }
  const strengths = edges.map(edge => ({ ...edge, ...strengthOf(edge, scales.get(edge.group)!) }));
  const drawn = strengths
    .sort((a, b) => a.strength - b.strength)
    .flatMap(({ weight, constant, path, strength, opacity }) => {
      if (constant)
        return [`<path d="${path}" stroke="${CONSTANT}" stroke-opacity=".5" stroke-dasharray="4 3"/>`];
      if (opacity < FAINT) return [];
      const colour = weight < 0 ? NEGATIVE : POSITIVE;
      const width = (0.3 + 1.2 * strength).toFixed(2);
      return [
        `<path d="${path}" stroke="${colour}" stroke-opacity="${opacity.toFixed(3)}" stroke-width="${width}"/>`,
      ];
    });
  const nodes = graph.mapNodes((key, { type }) => {
    const { x, y, radius } = places.get(key)!;
    const fill = options.colour?.(key) ?? fillOf(type);
    return `<circle cx="${short(x)}" cy="${short(y)}" r="${short(radius)}" fill="${fill}"/>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="Helvetica, Arial, sans-serif">
<rect width="100%" height="100%" fill="#fff"/>
<g fill="none">
${drawn.join('\n')}
</g>
<g stroke="#fff" stroke-width=".8">
${nodes.join('\n')}
</g>
${captions(graph, places, width, height, title, options.columns)}
${legend(options.legend ?? [], height)}
</svg>
`;
}

function captions(
  graph: ParameterGraph,
  places: ReadonlyMap<string, Place>,
  width: number,
  height: number,
  title: string,
  names: readonly string[] | undefined,
): string {
  const columns = new Map<number, { x: number; count: number }>();
  graph.forEachNode((key, { layer, type }) => {
    if (apart(type)) return;
    columns.set(layer, { x: places.get(key)!.x, count: (columns.get(layer)?.count ?? 0) + 1 });
  });
  const heads = [...columns].map(
    ([layer, { x, count }]) =>
      `<text x="${short(x)}" y="56" text-anchor="middle" font-size="15" fill="#39424e">${escapeMarkup(names?.[layer] ?? `layer ${layer}`)} · ${count}</text>`,
  );
  const asides = graph.mapNodes((key, { type }) => {
    const { x, y } = places.get(key)!;
    return apart(type)
      ? `<text x="${short(x)}" y="${short(y + 22)}" text-anchor="middle" font-size="12" fill="#39424e">${type}</text>`
      : '';
  });
  const key = [
    [POSITIVE, 'positive weight'],
    [NEGATIVE, 'negative weight'],
  ].map(
    ([colour, text], i) =>
      `<g transform="translate(${width - 300 + 150 * i} ${height - 22})"><path d="M0 -4h26" stroke="${colour}" stroke-width="2.5"/><text x="33" font-size="13" fill="#39424e">${text}</text></g>`,
  );
  const total = `<text x="${width / 2}" y="28" text-anchor="middle" font-size="19" font-weight="600" fill="#1c232b">${escapeMarkup(title)}</text>`;
  return [total, ...heads, ...asides.filter(text => text !== ''), ...key].join('\n');
}

const legend = (entries: NonNullable<PictureOptions['legend']>, height: number): string =>
  entries
    .map(
      ([colour, text], i) =>
        `<g transform="translate(${30 + 105 * i} ${height - 22})"><circle cy="-4" r="5" fill="${colour}"/><text x="11" font-size="13" fill="#39424e">${escapeMarkup(text)}</text></g>`,
    )
    .join('\n');
