/** Charts with a logarithmic axis: what it has no place for is left out, and said. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { lineChart } from './charts.ts';
import { bandChart } from './curve-chart.ts';

const test = suite('charts');

const line = (ys: readonly number[], logY = true) =>
  lineChart({ x: 'step', y: 'loss', logY, points: ys.map((y, x) => ({ series: 's', x, y })) });

test('lines: values at or below 0 change nothing but the title', async () => {
  const svg = await line([1, 10, 100]);
  const more = await line([1, 10, 100, 0, -3]);
  assert.match(more, 'loss (2 at or below 0 left out)');
  const path = (text: string) => /aria-roledescription="line mark"[^>]* d="([^"]*)"/.exec(text)?.[1];
  assert.ok(path(svg));
  assert.is(path(more)?.split('L').length, 3);
  assert.is(path(more), path(svg));
  assert.not.match(await line([1, 0], false), 'left out');
});

test('bands: an interval that reaches 0, and a level there, are left out', async () => {
  const point = (x: number, low: number) => ({ series: 's', x, mean: 2, low, high: 4 });
  const chart = (low: number, y: number) =>
    bandChart({
      x: 'n',
      y: 'd',
      logY: true,
      points: [point(1, 1), point(2, 1), point(3, low)],
      level: { y, label: 'base' },
    });
  assert.not.match(await chart(1, 3), 'left out');
  const svg = await chart(-1, 0);
  assert.match(svg, 'd (2 at or below 0 left out)');
  assert.not.match(svg, 'base');
});

test.run();
