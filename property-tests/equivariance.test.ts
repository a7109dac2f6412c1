/** Every registered denoiser keeps the symmetries it claims, alone, between normalisation and its inverseElement, and through samplers; broken ones are caught. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { orThrow } from '../src/config/index.ts';
import {
  type Denoiser,
  type DenoiserKind,
  denoiserKind,
  denoiserNames,
  smallConfig,
  smallConfigs,
} from '../src/denoisers/index.ts';
import { edm, fitNormaliser, type SamplerName } from '../src/diffusion/index.ts';
import { type Around, randomiseVariables, verifyDenoiser } from '../src/evaluation/index.ts';
import {
  actOnWeights,
  composeElements,
  type NcaSpec,
  SPECS,
  SYMMETRIES,
  type SymmetryName,
  weightBlocks,
  weightCount,
} from '../src/nca/index.ts';
import { randomStream, startBackend, tf } from '../src/tensor/index.ts';

await startBackend();

const spec: NcaSpec = { ...SPECS.compact, name: 'tiny', channels: 5, hidden: 6 };
const condition = { tokens: 2, width: 6 };
const seed = 3;
const kinds = denoiserNames().map(name => orThrow(denoiserKind(name)));

const claimsOf = (kind: DenoiserKind<unknown>, config: unknown): readonly SymmetryName[] => {
  const denoiser = kind.build(config, { spec, condition, seed });
  denoiser.dispose();
  return denoiser.symmetries;
};

/** The small configurations of a kind, with and without ties between a channel's inputs and output where it has that option. */
const configsOf = (kind: (typeof kinds)[number]) =>
  smallConfigs(kind).flatMap(({ label, config }) => [
    { label, config },
    ...('recurrent' in config
      ? [{ label: `${label}, recurrent`, config: { ...config, recurrent: true } }]
      : []),
  ]);

for (const kind of kinds) {
  for (const { label, config } of configsOf(kind)) {
    test(`${label}: keeps what it claims, and claims what it keeps`, async () => {
      const before = tf.memory().numTensors;
      const verdicts = await verifyDenoiser(kind, {
        spec,
        config,
        condition,
        seed,
        trials: 6,
        shrink: false,
      });
      for (const { symmetry, claimed, holds, worst, counterexample } of verdicts) {
        assert.is(holds, claimed, `${symmetry}: error ${worst}, seed ${seed}: ${counterexample?.text}`);
      }
      assert.is(tf.memory().numTensors, before);
    });

    const claims = claimsOf(kind, config);
    if (claims.length === 0) continue;
    test(`${label}: keeps what it claims with an output bias too`, async () => {
      const on = { ...spec, outputBias: true };
      const verdicts = await verifyDenoiser(kind, {
        spec: on,
        config,
        condition,
        symmetries: claims,
        trials: 6,
      });
      for (const { symmetry, worst, holds, counterexample } of verdicts) {
        assert.ok(holds, `${symmetry}: error ${worst}: ${counterexample?.text}`);
      }
    });
  }
}

/** Real weights of a made-up zoo whose coordinates differ in mean and spread. */
const zoo = (() => {
  const random = randomStream(5, 'zoo');
  const size = weightCount(spec);
  const [mean, std] = [random.normals(size, 0, 0.3), random.uniforms(size, 0.1, 0.6)];
  return Float32Array.from({ length: 6 * size }, (_, i) => random.normal(mean[i % size], std[i % size]));
})();

const through = (shared: readonly SymmetryName[]): Around => {
  const { mean, scale, restoreTensor } = fitNormaliser(spec, zoo, { mean: shared, std: shared });
  return denoise => weights =>
    restoreTensor(denoise(tf.mul(tf.sub(weights, tf.tensor1d(mean)), tf.tensor1d(scale)) as tf.Tensor2D));
};

for (const kind of kinds) {
  const config = smallConfig(kind);
  for (const symmetry of claimsOf(kind, config)) {
    const options = { spec, config, condition, seed, symmetries: [symmetry], trials: 6, shrink: false };

    test(`${kind.name}: ${symmetry} survives a normaliser shared over orbits, not one per coordinate`, async () => {
      const [shared] = await verifyDenoiser(kind, { ...options, around: through([symmetry]) });
      assert.ok(shared.holds, `error ${shared.worst}: ${shared.counterexample?.text}`);
      const [own] = await verifyDenoiser(kind, { ...options, around: through([]) });
      assert.not(own.holds);
      assert.ok(own.counterexample!.error > 1e-3);
    });

    for (const sampler of ['heun', 'dpmpp-2m', 'euler-ancestral'] as const satisfies SamplerName[]) {
      test(`${kind.name}: ${symmetry} survives the sampler ${sampler}, with weights and anchor moved together`, async () => {
        const size = weightCount(spec);
        const element = SYMMETRIES[symmetry].sample(spec, randomStream(7, symmetry));
        const anchor = randomStream(8, 'anchor').normals(size);
        const tokens = tf.tensor3d(randomStream(9, 'tokens').normals(2 * 2 * 6), [2, 2, 6]);
        const run = async (move: <T extends Float32Array | Float64Array>(w: T) => T) => {
          const denoiser: Denoiser = kind.build(config, { spec, condition, seed, anchor: move(anchor) });
          randomiseVariables(denoiser, seed);
          const stream = randomStream(10, 'noise');
          const noise = () => move(Float64Array.from({ length: 2 * size }, () => stream.normal()));
          const diffusion = edm({ sampling: { sampler, steps: 5 } });
          const sampled = await diffusion.sample({
            denoiser,
            condition: { tokens },
            shape: [2, size],
            noise,
          });
          denoiser.dispose();
          return sampled;
        };
        const wanted = actOnWeights(spec, element, await run(w => w));
        const found = await run(w => actOnWeights(spec, element, w));
        tokens.dispose();
        const most = wanted.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
        const gap = found.reduce((a, b, i) => Math.max(a, Math.abs(b - wanted[i])), 0);
        // 2e-3: float32 denoisers through five to nine evaluations.
        assert.ok(most > 0.1 && gap < 2e-3 * most, `${gap} of ${most}`);
      });
    }
  }
}

/** A denoiser that is equivariant to hidden permutations but for what `position` adds. */
const broken = (
  name: string,
  position: (context: { spec: NcaSpec }) => Float32Array,
): DenoiserKind<object> => ({
  name,
  summary: 'broken on purpose',
  config: kinds[0].config,
  defaults: {},
  build: (_, context) => {
    const parameters = position(context);
    const variable = tf.variable(tf.tensor1d(parameters));
    return {
      name,
      spec: context.spec,
      variables: { positions: variable },
      symmetries: ['hidden-permutation'],
      apply: (weights, noiseLabel) =>
        tf.tidy(
          () => tf.add(tf.tanh(tf.add(weights, variable)), tf.expandDims(noiseLabel, 1)) as tf.Tensor2D,
        ),
      dispose: () => variable.dispose(),
    };
  },
});

test('learned positions on hidden units are caught, with the smallest counterexample there is', async () => {
  const kind = broken('learned-positions', ({ spec: { hidden }, spec: given }) => {
    const b1 = weightBlocks(given)[1];
    const flat = new Float32Array(weightCount(given));
    for (let i = 0; i < hidden; i++) flat[b1.offset + i] = 0.1 * i;
    return flat;
  });
  const [verdict] = await verifyDenoiser(kind, { spec, symmetries: ['hidden-permutation'], seed });
  assert.ok(verdict.claimed && !verdict.holds);
  const swap =
    '5 channels, 2 hidden; hidden units 1 -> 0, 0 -> 1; all weights 0; noise label 0; no condition';
  assert.is(verdict.counterexample!.text, swap);
  assert.ok(verdict.counterexample!.error > 0.01);
});

test('the same seed finds the same counterexample', async () => {
  const kind = broken('positions', ({ spec: given }) => new Float32Array(weightCount(given)));
  const [a, b] = await Promise.all(
    [1, 1].map(s => verifyDenoiser(kind, { spec, symmetries: ['hidden-permutation'], seed: s })),
  );
  assert.equal(a, b);
});

test('a group that distorts noise cannot be claimed by accident: the table says so', async () => {
  const identityKind: DenoiserKind<object> = {
    ...broken('identity', ({ spec: given }) => new Float32Array(weightCount(given))),
    build: (_, context) => ({
      name: 'identity',
      spec: context.spec,
      variables: {},
      symmetries: [],
      apply: weights => tf.clone(weights),
      dispose: () => {},
    }),
  };
  const verdicts = await verifyDenoiser(identityKind, { spec, condition: null });
  assert.ok(verdicts.every(({ holds, claimed }) => holds && !claimed));
  assert.ok(verdicts.every(({ symmetry }) => SYMMETRIES[symmetry].orthogonal));
});

test('composed elements of all claimed groups are kept together', () => {
  const random = randomStream(11, 'composed');
  for (const kind of kinds) {
    const config = smallConfig(kind);
    const claims = claimsOf(kind, config);
    if (claims.length === 0) continue;
    const g = claims.map(name => SYMMETRIES[name].sample(spec, random)).reduce(composeElements);
    const denoiser = kind.build(config, { spec, condition: null, seed });
    randomiseVariables(denoiser, seed);
    const weights = random.normals(weightCount(spec));
    const apply = (w: Float32Array) =>
      tf.tidy(
        () =>
          denoiser.apply(tf.tensor2d(w, [1, w.length]), tf.tensor1d([0.1]), null).dataSync() as Float32Array,
      );
    const [found, wanted] = [apply(actOnWeights(spec, g, weights)), actOnWeights(spec, g, apply(weights))];
    assert.ok(
      found.every((x, i) => Math.abs(x - wanted[i]) < 1e-4),
      kind.name,
    );
    denoiser.dispose();
  }
});

test.run();
