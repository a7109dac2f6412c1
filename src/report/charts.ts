/**
 * Vector plots by vega-lite, rendered without a browser. Colours are readable on light and on dark ground; the background is
 * transparent.
 */
import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import { escapeMarkup } from '../formats/index.ts';
import { csvTable } from './plain-tables.ts';

/** Grey that reads on light and on dark ground: text, axes and rules of every chart. */
export const INK = '#7a808c';
/** Okabe and Ito's palette (2008), safe for colour-blind readers; black replaced by grey for dark pages. */
const PALETTE = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#b3a125', '#888888'];

const config = {
  background: 'transparent',
  font: 'system-ui, sans-serif',
  view: { stroke: 'transparent' },
  axis: {
    labelColor: INK,
    titleColor: INK,
    gridColor: '#80808030',
    domainColor: INK,
    tickColor: INK,
    titleFontWeight: 500,
  },
  legend: { labelColor: INK, titleColor: INK },
  title: { color: INK, fontWeight: 600 },
  range: { category: PALETTE },
} as const;

interface Drawn {
  readonly data?: { readonly values?: readonly Record<string, unknown>[] };
  readonly layer?: readonly Drawn[];
}

/** The numbers that a specification draws, each set of them once, as CSV. */
function numbersOf(spec: Drawn): string {
  const sets = new Set([spec, ...(spec.layer ?? [])].map(({ data }) => data?.values ?? []));
  const rows = [...sets].flat();
  const keys = [...new Set(rows.flatMap(row => Object.keys(row)))];
  const cell = (value: unknown) => (typeof value === 'number' ? value : String(value ?? ''));
  return csvTable(
    keys,
    rows.map(row => keys.map(key => cell(row[key]))),
  );
}

/** Renders a vega-lite specification to an SVG string, which carries its numbers as CSV in its metadata. */
export async function renderSvg(spec: Omit<TopLevelSpec, '$schema'>): Promise<string> {
  const compiled = compile({ config, ...spec } as TopLevelSpec, {
    logger: vega.logger(vega.Error),
  }).spec;
  const view = new vega.View(vega.parse(compiled), { renderer: 'none' });
  const svg = await view.toSVG();
  view.finalize();
  return svg.replace(
    /<svg[^>]*>/,
    `$&<metadata>${escapeMarkup(numbersOf(spec as Drawn)).replaceAll('$', '$$$$')}</metadata>`,
  );
}

/** A chart without its numbers, and they (as they stand in markup), null where it has none. */
export function withoutNumbers(svg: string): { readonly drawing: string; readonly csv: string | null } {
  const found = /<metadata>([^<]*)<\/metadata>/.exec(svg);
  return { drawing: found ? svg.replace(found[0], '') : svg, csv: found ? plainText(found[1]) : null };
}

const SIGNS: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', '#39': "'" };
const plainText = (text: string) => text.replace(/&(lt|gt|amp|quot|#39);/g, (_, name) => SIGNS[name]);

/** The title of an axis, with what it cannot show: a logarithm has no place for values at or below 0. */
export const logTitle = (title: string, left: number): string =>
  left === 0 ? title : `${title} (${left} at or below 0 left out)`;

/** What `lineChart` draws. */
export interface LineChart {
  readonly title?: string;
  /** Titles of the axes. */
  readonly x: string;
  readonly y: string;
  readonly logY?: boolean;
  /** One row per point. */
  readonly points: readonly { readonly series: string; readonly x: number; readonly y: number }[];
  /** Pixels of the plot itself. Default 520 by 240. */
  readonly width?: number;
  readonly height?: number;
}

/**
 * Curves over a common axis, one colour a series. Non-finite points are left out; so are those at or below 0 on a logarithmic axis, whose title
 * then says so.
 */
export const lineChart = ({
  title,
  x,
  y,
  logY,
  points,
  width = 520,
  height = 240,
}: LineChart): Promise<string> => {
  const finite = points.filter(p => Number.isFinite(p.y));
  const shown = logY ? finite.filter(p => p.y > 0) : finite;
  return renderSvg({
    title,
    width,
    height,
    data: { values: shown },
    mark: { type: 'line', strokeWidth: 1.6 },
    encoding: {
      x: { field: 'x', type: 'quantitative', title: x },
      y: {
        field: 'y',
        type: 'quantitative',
        title: logTitle(y, finite.length - shown.length),
        scale: { type: logY ? 'log' : 'linear', zero: false },
      },
      color: { field: 'series', type: 'nominal', title: null, sort: null },
    },
  } as Omit<TopLevelSpec, '$schema'>);
};

/** What `intervalChart` draws. */
export interface IntervalChart {
  readonly title?: string;
  /** Title of the axis. */
  readonly x: string;
  /** One row per method, drawn in the given order. */
  readonly rows: readonly {
    readonly label: string;
    readonly group: string;
    readonly mean: number;
    readonly low: number;
    readonly high: number;
  }[];
  /** Pixels of the plot itself. Default 460. */
  readonly width?: number;
}

/** Means with their intervals, one row a method. Non-finite rows are left out. */
export const intervalChart = ({ title, x, rows, width = 460 }: IntervalChart): Promise<string> => {
  const axis = { field: 'label', type: 'nominal', sort: null, title: null, axis: { labelLimit: 240 } };
  const color = { field: 'group', type: 'nominal', title: null, sort: null };
  return renderSvg({
    title,
    width,
    height: { step: 22 },
    data: { values: rows.filter(r => Number.isFinite(r.mean)) },
    layer: [
      {
        mark: { type: 'rule', strokeWidth: 2 },
        encoding: {
          y: axis,
          x: { field: 'low', type: 'quantitative', title: x, scale: { zero: true } },
          x2: { field: 'high' },
          color,
        },
      },
      {
        mark: { type: 'point', filled: true, size: 60, opacity: 1 },
        encoding: { y: axis, x: { field: 'mean', type: 'quantitative' }, color },
      },
    ],
  } as unknown as Omit<TopLevelSpec, '$schema'>);
};

/** What `stripChart` draws. */
export interface StripChart {
  readonly title?: string;
  /** Title of the axis. */
  readonly x: string;
  /** One tick each, on the row of its group; groups in the order of their first. */
  readonly points: readonly { readonly group: string; readonly x: number }[];
  /** A dashed line across all rows. */
  readonly threshold?: number;
  /** Whether the axis begins at zero; default true. */
  readonly zero?: boolean;
  /** Pixels of the plot itself. Default 460. */
  readonly width?: number;
}

/** Where single values lie, one row a group. Non-finite points are left out. */
export const stripChart = ({
  title,
  x,
  points,
  threshold,
  zero = true,
  width = 460,
}: StripChart): Promise<string> =>
  renderSvg({
    title,
    width,
    height: { step: 26 },
    layer: [
      {
        data: { values: points.filter(point => Number.isFinite(point.x)) },
        mark: { type: 'tick', thickness: 1.5, opacity: 0.8 },
        encoding: {
          y: { field: 'group', type: 'nominal', sort: null, title: null, axis: { labelLimit: 240 } },
          x: { field: 'x', type: 'quantitative', title: x, scale: { zero } },
          color: { field: 'group', type: 'nominal', sort: null, legend: null },
        },
      },
      ...(threshold === undefined
        ? []
        : [
            {
              data: { values: [{ at: threshold }] },
              mark: { type: 'rule', strokeDash: [4, 3], color: INK },
              encoding: { x: { field: 'at', type: 'quantitative' } },
            },
          ]),
    ],
  } as unknown as Omit<TopLevelSpec, '$schema'>);
