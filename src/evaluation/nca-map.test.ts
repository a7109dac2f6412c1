import fc from 'fast-check';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { renderMap, spreadSquares } from './nca-map.ts';

const coordinate = fc.double({ min: 0, max: 300, noNaN: true });

test('squares with room are moved apart until none overlap, and stay inside', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(coordinate, coordinate), { minLength: 1, maxLength: 12 }), points => {
      const places = spreadSquares(points, 20, 300);
      return places.every(
        ([x, y], i) =>
          x >= 0 &&
          x <= 300 &&
          y >= 0 &&
          y <= 300 &&
          // Half a pixel: the border may hold back the last round.
          places.every(([u, v], j) => i === j || Math.max(Math.abs(x - u), Math.abs(y - v)) > 19.5),
      );
    }),
  );
});

test('squares that touch nothing stay where they are', () => {
  const points = [
    [10, 10],
    [40, 10],
    [10, 90],
  ];
  assert.equal(spreadSquares(points, 20, 100), points);
});

test('without bounds a heap goes as far as it must', () => {
  const places = spreadSquares(
    Array.from({ length: 30 }, (_, i) => [0.01 * i, 0.02 * (i % 7)]),
    10,
  );
  const gaps = places.flatMap(([x, y], i) =>
    places.slice(i + 1).map(([u, v]) => Math.max(Math.abs(x - u), Math.abs(y - v))),
  );
  assert.ok(Math.min(...gaps) > 9.9, `${Math.min(...gaps)}`);
});

test('a map shows every picture where its point is, the first axis to the right and the second downwards', async () => {
  const flat = (colour: readonly number[]) => ({
    width: 4,
    height: 4,
    data: Float32Array.from({ length: 48 }, (_, i) => colour[i % 3]),
  });
  const png = await renderMap({
    title: 'a < b',
    pictures: [flat([1, 0, 0]), flat([0, 1, 0]), flat([0, 0, 1])],
    points: [
      [-1, -1],
      [1, -1],
      [-1, 1],
    ],
    labels: ['x', 'y', 'x'],
    size: 200,
    thumbnail: 20,
  });
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  const pixel = (x: number, y: number) => [
    ...data.subarray((y * info.width + x) * info.channels).subarray(0, 3),
  ];
  // Both axes fill the map but for rounding up.
  assert.equal([info.width, info.height], [200, 200 + 40 + 34]);
  // Margin 24, frame 2, half a thumbnail; below the header of 40.
  assert.equal(pixel(36, 76), [255, 0, 0]);
  assert.equal(pixel(164, 76), [0, 255, 0]);
  assert.equal(pixel(36, 204), [0, 0, 255]);
  // The frames: first and second colour.
  assert.equal(pixel(24, 76), [0, 0x72, 0xb2]);
  assert.equal(pixel(175, 76), [0xe6, 0x9f, 0]);
});

test.run();
