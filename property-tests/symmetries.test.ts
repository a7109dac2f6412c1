import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fitNormaliser } from '../src/diffusion/index.ts';
import {
  actOnImage,
  actOnMask,
  actOnState,
  actOnWeights,
  align,
  canonicalCondition,
  canonicalHidden,
  composeElements,
  elementSize,
  type Floats,
  finiteOrbit,
  type Grid,
  identityElement,
  inverseElement,
  rollout,
  SPECS,
  SYMMETRIES,
  SYMMETRY_NAMES,
  type SymmetryName,
  sameElement,
  symmetricDistance,
  weightCount,
  weightOrbits,
} from '../src/nca/index.ts';
import { randomStream, startBackend, tf } from '../src/tensor/index.ts';
import { gap, grow, samplesOf, specs, symmetryLaws, weightsOf } from '../src/testing/index.ts';

await startBackend();

for (const name of SYMMETRY_NAMES) {
  const group = SYMMETRIES[name];
  for (const { title, check } of symmetryLaws(name)) test(title, () => check());

  if (group.obstacle(SPECS['self-organising-textures'])) {
    test(`${name}: where it says it is not exact, it is not`, () => {
      const spec = { ...SPECS['self-organising-textures'], channels: 5, hidden: 6 };
      const random = randomStream(4, 'inexact');
      const noise = (n: number, std: number) => Float64Array.from({ length: n }, () => random.normal(0, std));
      let worst = 0;
      for (let trial = 0; trial < 10; trial++) {
        const g = group.sample(spec, random);
        const weights = noise(weightCount(spec), 1.5);
        const state: Grid<Float64Array> = { height: 3, width: 3, data: noise(45, 1) };
        const mask = [{ height: 3, width: 3, data: new Float64Array(9).fill(1) }];
        const there = grow(spec, actOnWeights(spec, g, weights), actOnState(spec, g, state), mask);
        worst = Math.max(worst, gap(there.data, actOnState(spec, g, grow(spec, weights, state, mask)).data));
      }
      assert.ok(worst > 1e-3, `${worst}`);
    });
  }
}

test('the engine commutes with every action too, in float32', () => {
  const spec = { ...SPECS.compact, channels: 5, hidden: 7 };
  const shape = { height: 6, width: 8 };
  const steps = 12;
  for (const name of SYMMETRY_NAMES) {
    const random = randomStream(6, name);
    const g = SYMMETRIES[name].sample(spec, random);
    const weights = random.normals(weightCount(spec), 0, 0.08);
    const mask = Array.from({ length: steps }, () => ({
      ...shape,
      data: Float32Array.from({ length: 48 }, () => random.integer(0, 2)),
    }));
    const run = (flat: Float32Array, bits: readonly Grid[]) => {
      const { height, width } = bits[0];
      return tf.tidy(() => {
        const start = tf.zeros([1, height, width, 5]) as tf.Tensor4D;
        const batch = tf.tensor2d(flat, [1, flat.length]);
        const given = Float32Array.from(bits.flatMap(({ data }) => [...data]));
        const end = rollout(spec, batch, start, { steps, seeds: [0], masks: given });
        return { height, width, data: end.dataSync() as Float32Array };
      });
    };
    const there = run(
      actOnWeights(spec, g, weights),
      mask.map(bits => actOnMask(g, bits)),
    );
    // 1e-4: float32 rounding over 12 steps.
    assert.ok(gap(there.data, actOnState(spec, g, run(weights, mask)).data) < 1e-4, name);
  }
});

test('permutations, signs and turns act to the last bit on float32 weights', () => {
  const spec = SPECS.compact;
  const random = randomStream(1, 'bits');
  const weights = random.normals(weightCount(spec));
  const sorted = (w: Floats) => Array.from(w, Math.abs).sort((a, b) => a - b);
  for (const name of ['hidden-permutation', 'channel-permutation', 'channel-sign', 'colour', 'd4'] as const) {
    const moved = actOnWeights(spec, SYMMETRIES[name].sample(spec, random), weights);
    assert.instance(moved, Float32Array);
    assert.equal(sorted(moved), sorted(weights), name);
  }
});

test('the finite orbit has 8 turns and 48 colour maps, all different', () => {
  const elements = finiteOrbit(SPECS.compact, ['colour', 'd4']);
  assert.is(elements.length, 384);
  assert.is(new Set(elements.map(g => [...g.turn, ...g.basis].map(x => x + 0).join())).size, 384);
  assert.is(finiteOrbit(SPECS.compact, ['d4']).length, 8);
});

test('an element of another spec is refused, and so is a basis that mixes latent channels into the picture', () => {
  const g = identityElement(elementSize(SPECS.compact));
  assert.throws(() => actOnWeights(SPECS.hypernca, g, new Float32Array(5856)), 'does not act on');
  assert.throws(() => actOnWeights(SPECS.compact, g, new Float32Array(7)), 'no batch');
  const basis = Float64Array.from(g.basis);
  basis[5] = 1;
  const picture = { height: 1, width: 1, data: new Float32Array(3) };
  assert.throws(() => actOnImage(SPECS.compact, { ...g, basis }, picture), 'latent');
});

const hiddenCopies = specs({ hidden: [1, 8] }).chain(spec =>
  fc.record({
    spec: fc.constant(spec),
    weights: weightsOf(spec),
    other: weightsOf(spec),
    permutation: samplesOf(spec, 'hidden-permutation'),
    scaling:
      spec.clip.hidden === null
        ? samplesOf(spec, 'hidden-scaling')
        : fc.constant(identityElement(elementSize(spec))),
  }),
);

test('hidden-permuted and rescaled copies have one canonical form, reached by its own element', () => {
  fc.assert(
    fc.property(hiddenCopies, ({ spec, weights, permutation, scaling }) => {
      const copy = actOnWeights(spec, composeElements(permutation, scaling), weights);
      const [a, b] = [canonicalHidden(spec, weights), canonicalHidden(spec, copy)];
      assert.ok(gap(a.weights, b.weights) < 1e-12);
      assert.ok(gap(actOnWeights(spec, b.element, copy), b.weights) < 1e-12);
    }),
    { numRuns: 60 },
  );
});

test('aligning undoes hidden permutation and scaling, and latent order and signs', () => {
  fc.assert(
    fc.property(hiddenCopies, fc.nat(999), ({ spec, weights, permutation, scaling }, seed) => {
      const copy = actOnWeights(spec, composeElements(permutation, scaling), weights);
      assert.ok(gap(actOnWeights(spec, align(spec, copy, weights), copy), weights) < 1e-12);
      const random = randomStream(seed, 'latent');
      const latent = composeElements(
        SYMMETRIES['channel-sign'].sample(spec, random),
        SYMMETRIES['channel-permutation'].sample(spec, random),
      );
      const shown = actOnWeights(spec, latent, weights);
      assert.ok(
        gap(actOnWeights(spec, align(spec, shown, weights, { channels: true }), shown), weights) < 1e-12 ||
          spec.channels > 4,
      );
    }),
    { numRuns: 60 },
  );
});

test('no hidden permutation brings an NCA closer than the aligned one', () => {
  fc.assert(
    fc.property(specs({ hidden: [2, 4] }), fc.nat(999), (spec, seed) => {
      const random = randomStream(seed, 'optimal');
      const draw = () => Float64Array.from({ length: weightCount(spec) }, () => random.normal());
      const [a, b] = [canonicalHidden(spec, draw()).weights, canonicalHidden(spec, draw()).weights];
      const best = distance(actOnWeights(spec, align(spec, a, b), a), b);
      for (let trial = 0; trial < 30; trial++) {
        const g = SYMMETRIES['hidden-permutation'].sample(spec, random);
        assert.ok(best <= distance(actOnWeights(spec, g, a), b) + 1e-12);
      }
    }),
    { numRuns: 20 },
  );
});

const distance = (a: Floats, b: Floats) => Math.hypot(...Array.from(a, (x, i) => x - b[i]));

test('the distance modulo symmetry is symmetric, zero for copies and keeps the triangle inequality', () => {
  fc.assert(
    fc.property(hiddenCopies, fc.nat(999), ({ spec, weights, other, permutation, scaling }, seed) => {
      const copy = actOnWeights(spec, composeElements(scaling, permutation), weights);
      const third = Float64Array.from(randomStream(seed, 'third').normals(weights.length, 0, 0.15));
      const d = (a: Floats, b: Floats) => symmetricDistance(spec, a, b);
      assert.ok(d(copy, weights) < 1e-7);
      assert.ok(Math.abs(d(weights, other) - d(other, weights)) < 1e-12);
      assert.ok(Math.abs(d(copy, other) - d(weights, other)) < 1e-12);
      assert.ok(d(weights, third) <= d(weights, other) + d(other, third) + 1e-12);
    }),
    { numRuns: 40 },
  );
});

const ORTHOGONAL = SYMMETRY_NAMES.filter(name => SYMMETRIES[name].orthogonal);

test('normalising by the statistics of an orbit commutes with its group; per coordinate it does not', () => {
  for (const name of ORTHOGONAL) {
    fc.assert(
      fc.property(specs({ channels: [4, 6], hidden: [2, 5], clips: false }), fc.nat(999), (spec, seed) => {
        const random = randomStream(seed, 'orbit');
        const zoo = random.normals(5 * weightCount(spec), 0.3, 0.7);
        const g = SYMMETRIES[name].sample(spec, random);
        const commutator = (names: readonly SymmetryName[]) => {
          const normaliser = fitNormaliser(spec, zoo, { mean: names, std: names });
          const weights = zoo.slice(0, weightCount(spec));
          const forth = (w: Float32Array) => normaliser.normalise(w);
          return gap(forth(actOnWeights(spec, g, weights)), actOnWeights(spec, g, forth(weights)));
        };
        // 1e-5: float32 statistics and weights; without sharing the difference is of order one.
        assert.ok(commutator([name]) < 1e-5, name);
        assert.ok(commutator(ORTHOGONAL) < 1e-5, `${name} in all`);
        const still = sameElement(g, identityElement(elementSize(spec)));
        assert.is(commutator([]) > 1e-3, !still, `${name} per coordinate`);
      }),
      { numRuns: 12 },
    );
  }
});

test('no normaliser is promised for a group that is not orthogonal', () => {
  assert.throws(() => weightOrbits(SPECS.compact, ['channel-basis']), 'not orthogonal');
});

test('canonicalisation by condition finds the element that was applied, and its inverse undoes it', () => {
  const spec = SPECS.compact;
  const random = randomStream(9, 'condition');
  const picture: Grid<Float32Array> = { height: 4, width: 4, data: random.uniforms(48) };
  const elements = finiteOrbit(spec, ['colour', 'd4']);
  const features = (of: Grid) =>
    Float32Array.from(elements.flatMap(g => Array.from(actOnImage(spec, g, of).data)));
  const train = new Float32Array(3 * 48);
  train.set(random.uniforms(48));
  train.set(picture.data, 48);
  train.set(random.uniforms(48), 96);
  for (const element of [elements[0], elements[77], elements[301]]) {
    const shown = actOnImage(spec, inverseElement(element), picture);
    const found = canonicalCondition({ elements, features: features(shown), trainFeatures: train });
    assert.is(found.nearest, 1);
    assert.ok(sameElement(found.element, element));
    assert.ok(sameElement(composeElements(found.undo, found.element), identityElement(elementSize(spec))));
    assert.ok(found.distance < 1e-6);
  }
  // Exchanging the colours of a grey picture changes nothing: the first of the elements that are equally near.
  const grey = { ...picture, data: picture.data.map((_, i, all) => all[i - (i % 3)]) };
  const { element } = canonicalCondition({ elements, features: features(grey), trainFeatures: grey.data });
  assert.ok(sameElement(element, elements[0]));
});

test.run();
