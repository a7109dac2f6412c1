/** Means with intervals over a few sizes, such as quality against the number of training NCAs. */
import type { TopLevelSpec } from 'vega-lite';
import { renderSvg } from './plot.ts';

export interface CurveChart {
  readonly title?: string;
  readonly x: string;
  readonly y: string;
  /** One row per point. Series that are only there for `reference` are dashed. */
  readonly points: readonly {
    readonly series: string;
    readonly x: number;
    readonly mean: number;
    readonly low: number;
    readonly high: number;
    readonly reference?: boolean;
  }[];
  /** Ends of the vertical axis, for charts to be read beside each other. */
  readonly range?: readonly [low: number, high: number];
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
