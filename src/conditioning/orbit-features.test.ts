import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { statistics } from '../compute/index.ts';
import { settle } from '../config/index.ts';
import {
  composeElements,
  elementSize,
  finiteOrbit,
  GRID_TURNS,
  gridTurn,
  SPECS,
  SYMMETRIES,
} from '../nca/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import { createEncoder, encodedPictures, orbitFeatures, randomGram, standardised } from './index.ts';

await startBackend();

const spec = SPECS.compact;
const ORBIT = finiteOrbit(spec, ['colour', 'd4']);

/** A picture of waves and noise, whose colours hang together. */
function texture(seed: number, height: number, width: number) {
  const random = randomStream(seed, 'texture');
  const [u, v, noise] = [random.normal(), random.normal(), random.uniform()];
  const data = Float32Array.from({ length: height * width * 3 }, (_, i) => {
    const wave = Math.sin(u * (Math.floor(i / 3) % width) + v * Math.floor(i / 3 / width) + 2 * (i % 3));
    return 0.5 + 0.2 * wave + 0.3 * noise * (random.uniform() - 0.5);
  });
  return { height, width, data };
}

const apart = (a: Float32Array, b: Float32Array) =>
  a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), a.length === b.length ? 0 : Infinity);

const cases = fc.record({
  seed: fc.nat(1e6),
  side: fc.integer({ min: 9, max: 34 }),
  filters: fc.integer({ min: 1, max: 26 }),
  filterSize: fc.integer({ min: 2, max: 6 }),
  scales: fc.integer({ min: 1, max: 3 }),
  layout: fc.constantFrom('single', 'scales') as fc.Arbitrary<'single' | 'scales'>,
});

test('random-gram’s features of copies made of single channels are those of the copies', async () => {
  const before = [tf.memory().numTensors, statistics().held];
  await fc.assert(
    fc.asyncProperty(cases, async ({ seed, side, ...config }) => {
      const encoder = randomGram({ ...config, correlations: 8 });
      const picture = texture(seed, side, side);
      const some = ORBIT.filter((_, k) => (k * 7 + seed) % 5 < 3);
      const copies = [...some, ...some.slice(0, 9)];
      const short = await orbitFeatures(encoder, spec, picture, copies);
      const { features } = encoder;
      // Sums of products in float32 in another order; logarithms and quotients of small amplitudes magnify their rounding.
      const error = apart(short, await orbitFeatures({ features }, spec, picture, copies));
      assert.ok(error < 3e-4, `${error}`);
      encoder.dispose();
    }),
    { numRuns: 12 },
  );
  assert.equal([tf.memory().numTensors, statistics().held], before);
});

test('an encoder keeps its short way where it is created by name and where its features are standardised', async () => {
  const encoder = await settle(createEncoder('random-gram', {}, { seed: 0 }));
  const whole = standardised(encoder, { mean: new Float32Array(1), std: new Float32Array(1) });
  for (const { orbit } of [encoder, whole]) {
    const copies = ORBIT.map(({ turn }) => ({ turn, colour: Float64Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1) }));
    const found = await orbit!(texture(1, 16, 16), copies, 0.5);
    assert.is(found?.length, copies.length * encoder.tokens * encoder.featureWidth);
  }
  encoder.dispose();
});

test('any linear map of colours is mixed, on a picture wider than what is worked on at once', async () => {
  const encoder = randomGram({ scales: 2, filters: 5, filterSize: 3, correlations: 4 });
  const random = randomStream(4, 'maps');
  const size = elementSize(spec);
  const turns = GRID_TURNS.filter(([a]) => a !== 0).slice(0, 2);
  const copies = Array.from({ length: 7 }, () => SYMMETRIES['colour-basis'].sample(spec, random)).flatMap(
    map => turns.map(turn => composeElements(gridTurn(size, turn), map)),
  );
  const picture = texture(5, 6, 262);
  const { features } = encoder;
  const found = await orbitFeatures(encoder, spec, picture, copies);
  const error = apart(found, await orbitFeatures({ features }, spec, picture, copies));
  assert.ok(error < 3e-4, `${error}`);
  encoder.dispose();
});

test('few copies are encoded one by one; a signal ends either way with its reason', async () => {
  const encoder = randomGram({ scales: 1 });
  const picture = texture(1, 12, 12);
  const copy = (k: number) => ({ turn: ORBIT[k].turn, colour: Float64Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1) });
  assert.is(await encoder.orbit!(picture, [copy(0), copy(48)], 0.5), null);
  const signal = AbortSignal.abort(new Error('stopped'));
  const works = [
    () => orbitFeatures(encoder, spec, picture, ORBIT, signal),
    () => encodedPictures(encoder, [picture, picture], signal),
  ];
  for (const work of works) assert.is((await work().catch(error => error)).message, 'stopped');
  encoder.dispose();
});

test.run();
