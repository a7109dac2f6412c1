import fc from 'fast-check';
import { EigenvalueDecomposition } from 'ml-matrix';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { randomGram } from '../conditioning/index.ts';
import {
  actOnImage,
  actOnWeights,
  finiteOrbit,
  inverseElement,
  SPECS,
  SYMMETRIES,
  weightCount,
} from '../nca/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import { colourMap, colourMoments } from './colour-map.ts';
import { orbitBaselines } from './orbit-baselines.ts';

await startBackend();

const spec = { ...SPECS.compact, channels: 4, hidden: 5 };
const dimension = weightCount(spec);
const size = 20;
const pixels = size * size * 3;

/** Waves of different direction and colour. */
function texture(seed: number): Float32Array {
  const random = randomStream(seed, 'orbit-texture');
  const waves = Array.from({ length: 3 }, () => ({
    u: random.integer(0, 5),
    v: random.integer(0, 5),
    colour: random.normals(3, 0, 0.12),
  }));
  const mean = random.uniforms(3, 0.35, 0.65);
  return Float32Array.from({ length: pixels }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % size, Math.floor(i / 3 / size)];
    return waves.reduce(
      (sum, { u, v, colour }) => sum + colour[i % 3] * Math.sin((2 * Math.PI * (u * x + v * y)) / size + 1),
      mean[i % 3],
    );
  });
}

test('a colour map gives the second moments of the target, and its mean where the two allow it', () => {
  fc.assert(
    fc.property(fc.nat(9999), seed => {
      const [a, b] = [texture(seed), texture(seed + 10_000)];
      // Where a picture has next to no variance there is nothing to map: kept from zero, not exact.
      const least = [a, b].map(x =>
        Math.min(...new EigenvalueDecomposition(colourMoments(x, 0.5).moment).realEigenvalues),
      );
      fc.pre(Math.min(...least) > 2e-4);
      const map = colourMap(a, b);
      const grid = { height: size, width: size, data: Float64Array.from(a) };
      const painted = actOnImage(spec, colourElement(map), grid).data;
      const [found, wanted] = [painted, b].map(x => colourMoments(x, 0.5));
      assert.ok(found.moment.sub(wanted.moment).abs().max() < 1e-6);
      // A picture's own map is the identity; a target that is a linear image of the picture is met exactly.
      const own = colourMap(a, a);
      assert.ok(own.every((x, i) => Math.abs(x - (i % 4 === 0 ? 1 : 0)) < 1e-6));
      const back = colourMap(painted, a);
      const again = actOnImage(spec, colourElement(back), { ...grid, data: painted }).data;
      const mean = colourMoments(again, 0.5).mean.sub(colourMoments(a, 0.5).mean).abs().max();
      assert.ok(mean < 0.02, `${mean}`);
    }),
    { numRuns: 30 },
  );
});

function colourElement(map: Float64Array) {
  const identity = SYMMETRIES['colour-basis'].identity(spec);
  const basis = Float64Array.from(identity.basis);
  for (let i = 0; i < 9; i++) basis[Math.floor(i / 3) * 4 + (i % 3)] = map[i];
  return { ...identity, basis };
}

test('turned and recoloured training pictures are answered with their own NCAs, turned and recoloured', async () => {
  const before = tf.memory().numTensors;
  const encoder = randomGram({ scales: 2 });
  const random = randomStream(3, 'orbit');
  const train = [0, 1, 2, 3, 4].map(texture);
  const weights = random.normals(5 * dimension);
  const elements = finiteOrbit(spec, ['colour', 'd4']).filter((_, i) => i % 7 === 0);
  const asked = [2, 4].map(n => ({ n, g: elements[10 * n + 1] }));
  const grid = (data: Float32Array) => ({ height: size, width: size, data });
  const shown = asked.map(({ n, g }) => actOnImage(spec, inverseElement(g), grid(train[n])).data);
  const found = await orbitBaselines({
    spec,
    trainWeights: weights,
    trainPictures: Float32Array.from(train.flatMap(t => [...t])),
    queryPictures: Float32Array.from(shown.flatMap(t => [...t])),
    size,
    encoder,
    elements,
  });
  asked.forEach(({ n, g }, q) => {
    const own = weights.subarray(n * dimension, (n + 1) * dimension);
    const expected = actOnWeights(spec, inverseElement(g), own);
    assert.equal([...found['nearest-orbit']!.subarray(q * dimension, (q + 1) * dimension)], [...expected]);
  });
  for (const answer of Object.values(found)) {
    assert.is(answer.length, 2 * dimension);
    assert.ok(answer.every(Number.isFinite));
  }
  encoder.dispose();
  assert.is(tf.memory().numTensors, before);
});

test('an encoder’s short way over the orbit gives the answers of encoding every copy', async () => {
  const encoder = randomGram({ scales: 2 });
  const { orbit: _, ...plain } = encoder;
  const train = [0, 1, 2, 3, 4, 5].map(texture);
  const input = {
    spec,
    trainWeights: randomStream(6, 'orbit').normals(6 * dimension),
    trainPictures: Float32Array.from(train.flatMap(t => [...t])),
    queryPictures: Float32Array.from([7, 8].map(texture).flatMap(t => [...t])),
    size,
  };
  const short = await orbitBaselines({ ...input, encoder });
  const long = await orbitBaselines({ ...input, encoder: plain });
  assert.equal(short['nearest-orbit'], long['nearest-orbit']);
  assert.equal(short['nearest-colour-map'], long['nearest-colour-map']);
  // Features agree to 1e-5, and ridge regression of six pictures may make ten times as much of that.
  const apart = short['ridge-canonical']!.map((x, i) => Math.abs(x - long['ridge-canonical']![i]));
  assert.ok(Math.max(...apart) < 1e-3, `${Math.max(...apart)}`);
  encoder.dispose();
});

test('a recoloured training picture gets its own NCA with the colours mapped; specs with clips have no such baseline', async () => {
  const encoder = randomGram({ scales: 2 });
  const train = [0, 1, 2, 3].map(texture);
  const weights = randomStream(4, 'orbit').normals(4 * dimension);
  const g = SYMMETRIES['colour-basis'].sample(spec, randomStream(5, 'orbit'));
  const picture = actOnImage(spec, g, { height: size, width: size, data: train[2] });
  const input = {
    spec,
    trainWeights: weights,
    trainPictures: Float32Array.from(train.flatMap(t => [...t])),
    queryPictures: picture.data,
    size,
    encoder,
    elements: [SYMMETRIES.d4.identity(spec)],
  };
  const found = (await orbitBaselines(input))['nearest-colour-map']!;
  const own = weights.subarray(2 * dimension, 3 * dimension);
  const hidden = 4 * spec.channels * spec.hidden;
  // Biases and the latent channel's outputs are as they were: it is that NCA. Its colours are mapped.
  assert.equal(
    [...found.subarray(hidden, hidden + spec.hidden)],
    [...own.subarray(hidden, hidden + spec.hidden)],
  );
  assert.ok(found.some((x, i) => Math.abs(x - own[i]) > 0.01));
  const clipped = { ...spec, clip: { ...spec.clip, state: 2 } };
  assert.not('nearest-colour-map' in (await orbitBaselines({ ...input, spec: clipped })));
  encoder.dispose();
});

test.run();
