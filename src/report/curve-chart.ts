/** Curves of means with their intervals: bars over a few sizes, bands over iterations. */
import type { TopLevelSpec } from 'vega-lite';
import { INK, logTitle, renderSvg } from './charts.ts';

/** A mean and its interval. */
export interface CurveMean {
  readonly series: string;
  readonly x: number;
  readonly mean: number;
  /** Ends of the interval. */
  readonly low: number;
  readonly high: number;
}

/** What `curveChart` draws. */
export interface CurveChart {
  readonly title?: string;
  /** Titles of the axes. */
  readonly x: string;
  readonly y: string;
  /** Series that are only there for `reference` are dashed. */
  readonly points: readonly (CurveMean & { readonly reference?: boolean })[];
  /** Ends of the vertical axis, for charts to be read beside each other. */
  readonly range?: readonly [low: number, high: number];
  /** Pixels of the plot itself. Default 400 by 300. */
  readonly width?: number;
  readonly height?: number;
}

/** How far apart, as a factor, the series stand at one size: their intervals do not hide each other. */
const APART = 1.022;

/**
 * Curves with a bar for every interval, over a logarithmic axis that has a mark at every x. What lies outside the range is cut off;
 * non-finite points are left out.
 */
export const curveChart = ({
  title,
  x,
  y,
  points,
  range,
  width = 400,
  height = 300,
}: CurveChart): Promise<string> => {
  const series = [...new Set(points.map(point => point.series))];
  const marks = [...new Set(points.map(point => point.x))].sort((a, b) => a - b);
  const horizontal = {
    field: 'at',
    type: 'quantitative',
    title: x,
    scale: { type: 'log', domain: [marks[0] / 1.15, marks[marks.length - 1] * 1.15], nice: false },
    axis: { values: marks, grid: false, format: 'd' },
  };
  const scale = { zero: false, ...(range ? { domain: range } : {}) };
  const vertical = { type: 'quantitative', title: y, scale };
  const color = {
    field: 'series',
    type: 'nominal',
    title: null,
    sort: null,
    scale: { domain: series },
    legend: { orient: 'bottom', columns: 2, labelLimit: 300, symbolType: 'stroke' },
  };
  const dash = {
    condition: { test: 'datum.reference', value: [4, 3] },
    value: [1, 0],
  };
  return renderSvg({
    title,
    width,
    height,
    data: {
      values: points
        .filter(({ mean, low, high }) => [mean, low, high].every(Number.isFinite))
        .map(point => ({
          ...point,
          reference: point.reference ?? false,
          at: point.x * APART ** (series.indexOf(point.series) - (series.length - 1) / 2),
        })),
    },
    layer: [
      {
        mark: { type: 'rule', strokeWidth: 1.4, clip: true },
        encoding: { x: horizontal, y: { ...vertical, field: 'low' }, y2: { field: 'high' }, color },
      },
      {
        mark: { type: 'line', strokeWidth: 1.6, clip: true },
        encoding: { x: horizontal, y: { ...vertical, field: 'mean' }, color, strokeDash: dash },
      },
      {
        mark: { type: 'point', filled: true, size: 34, opacity: 1, clip: true },
        encoding: { x: horizontal, y: { ...vertical, field: 'mean' }, color },
      },
    ],
  } as unknown as Omit<TopLevelSpec, '$schema'>);
};

/** What `bandChart` draws. */
export interface BandChart {
  readonly title?: string;
  /** Titles of the axes. */
  readonly x: string;
  readonly y: string;
  readonly points: readonly CurveMean[];
  /** A dashed line at a height, and what it is. */
  readonly level?: { readonly y: number; readonly label: string };
  /** A logarithmic vertical axis. */
  readonly logY?: boolean;
  /** Pixels of the plot itself. Default 440 by 300. */
  readonly width?: number;
  readonly height?: number;
}

/**
 * Curves with their intervals as bands, one colour a series. The horizontal axis has a mark at every x, and is linear up to the first
 * one above zero and logarithmic beyond it: doublings are evenly apart. Non-finite points are left out; so are
 * those whose interval reaches 0 on a logarithmic axis, whose title then says so, and a level there.
 */
export const bandChart = ({
  title,
  x,
  y,
  points,
  level: given,
  logY,
  width = 440,
  height = 300,
}: BandChart): Promise<string> => {
  const finite = points.filter(({ low, high }) => Number.isFinite(low) && Number.isFinite(high));
  const shown = logY ? finite.filter(({ low }) => low > 0) : finite;
  const level = logY && given && given.y <= 0 ? undefined : given;
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
    title: logTitle(y, finite.length - shown.length + (given && !level ? 1 : 0)),
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
