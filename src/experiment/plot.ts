/**
 * Vector plots by vega-lite, rendered without a browser. Colours are readable on light and on dark ground; the background is
 * transparent.
 */
import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';

const INK = '#7a808c';
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

/** Renders a vega-lite specification to an SVG string. */
export async function renderSvg(spec: Omit<TopLevelSpec, '$schema'>): Promise<string> {
  const compiled = compile({ config, ...spec } as TopLevelSpec, {
    logger: vega.logger(vega.Error),
  }).spec;
  const view = new vega.View(vega.parse(compiled), { renderer: 'none' });
  const svg = await view.toSVG();
  view.finalize();
  return svg;
}

export interface LineChart {
  readonly title?: string;
  readonly x: string;
  readonly y: string;
  readonly logY?: boolean;
  /** One row per point. */
  readonly points: readonly { readonly series: string; readonly x: number; readonly y: number }[];
  readonly width?: number;
  readonly height?: number;
}

/** Curves over a common axis, one colour a series. Non-finite points are left out. */
export const lineChart = ({
  title,
  x,
  y,
  logY,
  points,
  width = 520,
  height = 240,
}: LineChart): Promise<string> =>
  renderSvg({
    title,
    width,
    height,
    data: { values: points.filter(p => Number.isFinite(p.y)) },
    mark: { type: 'line', strokeWidth: 1.6 },
    encoding: {
      x: { field: 'x', type: 'quantitative', title: x },
      y: {
        field: 'y',
        type: 'quantitative',
        title: y,
        scale: { type: logY ? 'log' : 'linear', zero: false },
      },
      color: { field: 'series', type: 'nominal', title: null, sort: null },
    },
  } as Omit<TopLevelSpec, '$schema'>);

export interface IntervalChart {
  readonly title?: string;
  readonly x: string;
  /** One row per method, drawn in the given order. */
  readonly rows: readonly {
    readonly label: string;
    readonly group: string;
    readonly mean: number;
    readonly low: number;
    readonly high: number;
  }[];
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

export interface StripChart {
  readonly title?: string;
  readonly x: string;
  /** One tick each, on the row of its group; groups in the order of their first. */
  readonly points: readonly { readonly group: string; readonly x: number }[];
  /** A dashed line across all rows. */
  readonly threshold?: number;
  /** Whether the axis begins at zero; default true. */
  readonly zero?: boolean;
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

export interface BandChart {
  readonly title?: string;
  readonly x: string;
  readonly y: string;
  /** One row per point: a mean and its interval. */
  readonly points: readonly {
    readonly series: string;
    readonly x: number;
    readonly mean: number;
    readonly low: number;
    readonly high: number;
  }[];
  /** A dashed line at a height, and what it is. */
  readonly level?: { readonly y: number; readonly label: string };
  readonly logY?: boolean;
  readonly width?: number;
  readonly height?: number;
}

/**
 * Curves with their intervals as bands, one colour a series. The horizontal axis has a mark at every x, and is linear up to the first
 * one above zero and logarithmic beyond it: doublings are evenly apart. Non-finite points are left out.
 */
export const bandChart = ({
  title,
  x,
  y,
  points,
  level,
  logY,
  width = 440,
  height = 300,
}: BandChart): Promise<string> => {
  const shown = points.filter(({ low, high }) => Number.isFinite(low) && Number.isFinite(high));
  const marks = [...new Set(shown.map(point => point.x))].sort((a, b) => a - b);
  const horizontal = {
    field: 'x',
    type: 'quantitative',
    title: x,
    scale: { type: 'symlog', constant: marks.find(mark => mark > 0) ?? 1, nice: false },
    axis: { values: marks, grid: false },
  };
  const vertical = {
    type: 'quantitative',
    title: y,
    scale: { type: logY ? 'log' : 'linear', zero: false, nice: false, padding: 18 },
    axis: { tickCount: 6 },
  };
  const color = {
    field: 'series',
    type: 'nominal',
    title: null,
    sort: null,
    legend: {
      orient: 'bottom',
      columns: 3,
      labelLimit: 240,
      symbolType: 'stroke',
      symbolOpacity: 1,
      symbolStrokeWidth: 3,
    },
  };
  const data = { values: shown };
  return renderSvg({
    title,
    width,
    height,
    layer: [
      {
        data,
        mark: { type: 'area', opacity: 0.16 },
        encoding: {
          x: horizontal,
          y: { ...vertical, field: 'low' },
          y2: { field: 'high' },
          color,
        },
      },
      {
        data,
        mark: { type: 'line', strokeWidth: 1.8, point: { size: 22, filled: true } },
        encoding: { x: horizontal, y: { ...vertical, field: 'mean' }, color },
      },
      ...(level === undefined
        ? []
        : [
            {
              data: { values: [level] },
              mark: { type: 'rule', strokeDash: [4, 3], color: INK },
              encoding: { y: { ...vertical, field: 'y' } },
            },
            {
              data: { values: [level] },
              mark: { type: 'text', align: 'left', baseline: 'top', dx: 4, dy: 4, color: INK },
              encoding: { y: { ...vertical, field: 'y' }, x: { value: 0 }, text: { field: 'label' } },
            },
          ]),
    ],
  } as unknown as Omit<TopLevelSpec, '$schema'>);
};
