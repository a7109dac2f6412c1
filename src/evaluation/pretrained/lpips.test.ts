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

test('the names of the whole module of the lpips package are known', () => {
  const names = (network: 'alex' | 'vgg') => {
    const { shapes, aliases } = lpipsWanted(network);
    return Object.keys(shapes).flatMap(name => aliases!(name));
  };
  const last = ['lins.0.model.1.weight', 'lins.4.model.1.weight'];
  // As `lpips.LPIPS(net=...).state_dict()` lists them.
  for (const name of ['net.slice1.0.weight', 'net.slice2.3.bias', 'net.slice3.6.weight', 'net.slice4.8.bias'])
    assert.ok(names('alex').includes(name), name);
  for (const name of ['net.slice5.10.weight', ...last]) assert.ok(names('alex').includes(name), name);
  for (const name of [
    'net.slice1.2.bias',
    'net.slice2.5.weight',
    'net.slice3.14.bias',
    'net.slice4.21.weight',
  ])
    assert.ok(names('vgg').includes(name), name);
  for (const name of ['net.slice5.28.bias', ...last]) assert.ok(names('vgg').includes(name), name);
});

test.run();
