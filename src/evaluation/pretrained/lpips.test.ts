import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { golden, goldenPicture } from '../../../property-tests/golden.ts';
import { withVisionFile } from '../../../property-tests/vision-weights.ts';
import { settle } from '../../config/index.ts';
import { startBackend, tf } from '../../tensor/index.ts';
import { lpipsWanted, readLpips } from './lpips.ts';

await startBackend();

const images = await golden('images');
const arrays = await golden('lpips');
const picture = (name: string) => goldenPicture(images[name]);

const pairs = ['a_b', 'a_d', 'a_a', 'a_a2', 'c_c2'];

for (const network of ['alex', 'vgg'] as const) {
  test(`full-size LPIPS on ${network}: every layer of every pair, symmetric, no leak`, async () => {
    const before = tf.memory().numTensors;
    const metric = await withVisionFile(lpipsWanted(network).shapes, path =>
      settle(readLpips(network, path)),
    );
    for (const pair of pairs) {
      const [p, q] = pair.split('_').map(picture);
      const terms = metric.perLayer(p, q);
      assert.equal(terms.shape, [5, 1]);
      const found = Float64Array.from(terms.dataSync());
      const wanted = arrays[`${network}_${pair}_layers_f64`].data;
      // 5e-6 of the largest layer: float32 networks, sums over whole pictures.
      const most = Math.max(...wanted, 1e-12);
      wanted.forEach((x, k) => {
        assert.ok(Math.abs(found[k] - x) <= 5e-6 * most, `${pair} layer ${k}: ${found[k]} for ${x}`);
      });
      const total = arrays[`${network}_${pair}_distance_f64`].data[0];
      assert.ok(Math.abs(found.reduce((sum, x) => sum + x, 0) - total) <= 5e-6 * total);
      if (pair === 'a_d') {
        const back = metric.perLayer(q, p);
        assert.equal([...back.dataSync()], [...found]);
        back.dispose();
      }
      tf.dispose([p, q, terms]);
    }
    metric.dispose();
    assert.is(tf.memory().numTensors, before);
  });
}

test.run();
