import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { galleryCell, renderGallery } from './gallery.ts';

const COLOURS = [
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1],
  [1, 1, 0],
];
const plain = (colour: readonly number[]) => ({
  width: 2,
  height: 2,
  data: Float32Array.from({ length: 12 }, (_, i) => colour[i % 3]),
});

for (const captions of [
  undefined,
  [0, 1].map(() => [0, 1].map((): [string, string] => ['0.1 / 0.2', 'good'])),
]) {
  test(`a cell lies where galleryCell says, ${captions ? 'with' : 'without'} captions`, async () => {
    const png = await renderGallery({
      title: 'title',
      columns: ['a', 'b'],
      rows: ['1', '2'],
      cells: [COLOURS.slice(0, 2).map(plain), COLOURS.slice(2).map(plain)],
      captions,
    });
    const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    COLOURS.forEach((colour, i) => {
      const cell = galleryCell(2, 2, i >> 1, i % 2, { captions: captions !== undefined });
      assert.equal([info.width, info.height], [cell.width, cell.height]);
      for (const inset of [0, cell.side - 1]) {
        const first = ((cell.top + inset) * info.width + cell.left + inset) * 3;
        assert.equal(
          [...data.subarray(first, first + 3)],
          colour.map(x => 255 * x),
        );
      }
    });
  });
}

test.run();
