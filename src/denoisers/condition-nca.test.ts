/** One NCA with signal channels is the NCA whose first bias is shifted by what the signal says; and so trained it follows its condition. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type NcaSpec, plainRollout, SPECS, weightBlocks, weightCount } from '../nca/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import { conditionNca } from './index.ts';

await startBackend();

const spec: NcaSpec = { ...SPECS.compact, name: 'plain', channels: 3, hidden: 5 };
const grid = { height: 5, width: 4 };

/** The NCA with `signals` more channels, which nothing writes to; W is what the hidden units read of them, [hidden * signals]. */
function withSignals(weights: Float64Array, signals: number, W: Float64Array, random: () => number) {
  const wide: NcaSpec = { ...spec, channels: spec.channels + signals };
  const flat = new Float64Array(weightCount(wide));
  const offset = (of: NcaSpec, name: string) => weightBlocks(of).find(block => block.name === name)!.offset;
  const [narrow, full] = [4 * spec.channels, 4 * wide.channels];
  for (let j = 0; j < spec.hidden; j++) {
    for (let k = 0; k < narrow; k++) flat[j * full + k] = weights[j * narrow + k];
    for (let e = 0; e < signals; e++) {
      flat[j * full + narrow + 4 * e] = W[j * signals + e];
      // Gradients and Laplacian of what is the same everywhere: any weights do.
      for (let f = 1; f < 4; f++) flat[j * full + narrow + 4 * e + f] = random();
    }
    flat[offset(wide, 'b1') + j] = weights[offset(spec, 'b1') + j];
    for (let c = 0; c < spec.channels; c++)
      flat[offset(wide, 'w2') + c * spec.hidden + j] = weights[offset(spec, 'w2') + c * spec.hidden + j];
  }
  return { wide, flat };
}

test('signal channels that are held constant shift b1 by W s, and do nothing else', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.nat(), (signals, seed) => {
      const stream = randomStream(seed, 'signal');
      const normals = (count: number, std: number) => Float64Array.from(stream.normals(count, 0, std));
      const weights = normals(weightCount(spec), 0.2);
      const W = normals(spec.hidden * signals, 0.5);
      const signal = normals(signals, 1);
      const { wide, flat } = withSignals(weights, signals, W, () => stream.uniform(-1, 1));
      const cells = grid.height * grid.width;
      const state = new Float64Array(cells * wide.channels);
      for (let cell = 0; cell < cells; cell++) state.set(signal, cell * wide.channels + spec.channels);
      const active = (step: number, y: number, x: number) => (step * 7 + y * 3 + x * 5) % 2 === 0;
      const grown = plainRollout(wide, flat, state, grid, 6, active);

      const shifted = weights.slice();
      const { offset } = weightBlocks(spec).find(({ name }) => name === 'b1')!;
      for (let j = 0; j < spec.hidden; j++)
        for (let e = 0; e < signals; e++) shifted[offset + j] += W[j * signals + e] * signal[e];
      const plain = plainRollout(spec, shifted, new Float64Array(cells * spec.channels), grid, 6, active);
      for (let cell = 0; cell < cells; cell++) {
        for (let c = 0; c < spec.channels; c++) {
          const [a, b] = [grown[cell * wide.channels + c], plain[cell * spec.channels + c]];
          // The sums are taken in another order; float64 leaves 1e-9 of it after six steps.
          assert.ok(Math.abs(a - b) <= 1e-9 * (1 + Math.abs(b)), `${a} and ${b}`);
        }
      }
    }),
    { numRuns: 40 },
  );
});

test('it begins as the anchor, and textures differ in b1 alone', () => {
  const size = weightCount(spec);
  const anchor = randomStream(1, 'anchor').normals(size);
  const denoiser = conditionNca(
    { signals: 4, width: 8 },
    { spec, condition: { tokens: 1, width: 6 }, anchor, seed: 3 },
  );
  const answer = () =>
    tf.tidy(() =>
      denoiser
        .apply(tf.zeros([2, size]), tf.zeros([2]), {
          tokens: tf.tensor3d(randomStream(2, 'tokens').normals(12), [2, 1, 6]),
          present: tf.ones([2]),
        })
        .dataSync(),
    );
  assert.equal([...answer().slice(0, size)], [...anchor]);
  const W = denoiser.variables['hidden/weight'];
  tf.tidy(() => W.assign(tf.tensor(randomStream(3, 'W').normals(W.size), W.shape)));
  const { offset, size: units } = weightBlocks(spec).find(({ name }) => name === 'b1')!;
  const [first, second] = [answer().slice(0, size), answer().slice(size)];
  first.forEach((x, i) => {
    const inside = i >= offset && i < offset + units;
    assert.is(x !== second[i], inside, `weight ${i}`);
  });
  denoiser.dispose();
});

test.run();
