import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deviation, golden } from '../../../property-tests/golden.ts';
import type { TextureLoss } from '../../nca/index.ts';
import { type RandomStream, randomStream, resize, startBackend, tf } from '../../tensor/index.ts';
import { pickTensors } from '../pretrained/checkpoint.ts';
import { type VggLayout, vgg, vggWanted } from '../pretrained/vgg.ts';
import { gramLoss, relaxedTransportLoss, slicedWassersteinLoss } from './index.ts';
import { sortingOrder } from './sliced-wasserstein.ts';

await startBackend();

const arrays = await golden('02_texture_loss');
const LAYOUT: VggLayout = [8, 8, 'pool', 16, 16, 'pool', 24, 24, 24, 'pool', 32, 32, 32, 'pool', 32];
const tensors = Object.fromEntries(
  Object.entries(arrays)
    .filter(([name]) => name.startsWith('vgg.'))
    .map(([name, array]) => [name.replace('vgg.', 'features.'), array]),
);
const network = vgg(pickTensors('golden', tensors, vggWanted(LAYOUT)), LAYOUT);

/** A stored picture [B, 3, H, W] as [B, H, W, 3]. */
const picture = (name: string): tf.Tensor4D =>
  tf.tidy(() => {
    const { shape, data } = arrays[name];
    const planes = tf.tensor4d(Float32Array.from(data), shape as [number, number, number, number]);
    return tf.transpose(planes, [0, 2, 3, 1]) as tf.Tensor4D;
  });

const numbers = (name: string) => Array.from(arrays[name].data);

/** A stream that gives recorded draws instead of its own. */
function recorded(draws: {
  normals?: string[];
  permutations?: { name: string; row: number }[];
}): RandomStream {
  const normals = [...(draws.normals ?? [])];
  const permutations = [...(draws.permutations ?? [])];
  return Object.assign(randomStream(0, 'recorded'), {
    normals: () => Float32Array.from(arrays[normals.shift()!].data),
    permutation: () => {
      const { name, row } = permutations.shift()!;
      const [, count] = arrays[name].shape;
      return Uint32Array.from(arrays[name].data.slice(row * count, (row + 1) * count));
    },
  });
}

interface Case {
  readonly name: string;
  readonly loss: TextureLoss;
  readonly target?: tf.Tensor4D;
  /** What the reference makes of the losses [B] of the pictures. */
  readonly reduce: (losses: number[]) => number;
  readonly random?: () => RandomStream;
  readonly gradientTolerance: number;
}

const mean = (x: number[]) => x.reduce((a, b) => a + b, 0) / x.length;
const sum = (x: number[]) => x.reduce((a, b) => a + b, 0);
// Float32 against the stored float64 run of the same draws: 1e-5 of the largest value. Sorting has near-ties, at which single
// elements of the gradient change places: 1e-3, as measured between two of the reference's own kernels.
const TOLERANCE = 1e-5;

const cases: Case[] = [
  { name: 'gram', loss: gramLoss(network), reduce: mean, gradientTolerance: TOLERANCE },
  {
    name: 'gram_resized',
    loss: gramLoss(network),
    // The reference brings targets to the pictures' size first.
    target: tf.tidy(() => resize(picture('target_big'), [32, 32], { filter: 'bilinear', antialias: false })),
    reduce: mean,
    gradientTolerance: TOLERANCE,
  },
  {
    name: 'slw',
    loss: slicedWassersteinLoss(network, { reduction: 'sum' }),
    reduce: sum,
    random: () => recorded({ normals: [0, 1, 2, 3, 4, 5].map(i => `slw.randn.${i}`) }),
    gradientTolerance: 1e-3,
  },
  { name: 'ot', loss: relaxedTransportLoss(network), reduce: mean, gradientTolerance: TOLERANCE },
  {
    name: 'ot100',
    loss: relaxedTransportLoss(network, { samples: 100 }),
    reduce: mean,
    random: () =>
      recorded({
        permutations: [0, 1].flatMap(layer => [
          { name: `ot100.idx_gen.${layer}`, row: 0 },
          { name: `ot100.idx_gen.${layer}`, row: 1 },
          { name: `ot100.idx_target.${layer}`, row: 0 },
        ]),
      }),
    gradientTolerance: TOLERANCE,
  },
];

for (const { name, loss, target, reduce, random, gradientTolerance } of cases) {
  test(`${loss.name} (${name}): value, values per picture and gradient`, () => {
    const before = tf.memory().numTensors;
    tf.tidy(() => {
      const prepared = loss.prepare(target ?? picture('target'));
      const stream = () => random?.() ?? randomStream(0, 'unused');
      const losses = Array.from(prepared.loss(picture('gen'), stream()).dataSync());
      assert.ok(deviation([reduce(losses)], numbers(`${name}.f64_loss`)) < TOLERANCE);
      if (name.startsWith('ot')) assert.ok(deviation(losses, numbers(`${name}.f64_per`)) < TOLERANCE);
      const total = (x: tf.Tensor) => {
        const all = prepared.loss(x as tf.Tensor4D, stream());
        return (reduce === sum ? tf.sum(all) : tf.mean(all)) as tf.Scalar;
      };
      const gradient = tf.transpose(tf.grad(total)(picture('gen')), [0, 3, 1, 2]).dataSync();
      const error = deviation(gradient, numbers(`${name}.f64_grad_gen`));
      assert.ok(error < gradientTolerance, `gradient: ${error}`);
      prepared.dispose();
    });
    assert.is(tf.memory().numTensors, before);
  });
}

test('a texture is at distance 0 from itself, and pictures find their own targets', () => {
  const noise = (n: number) =>
    tf.tensor4d(randomStream(n, 'noise').uniforms(2 * 32 * 32 * 3), [2, 32, 32, 3]);
  tf.tidy(() => {
    const targets = noise(1);
    const doubled = tf.gather(targets, [0, 0, 1, 1]);
    for (const loss of [gramLoss(network), slicedWassersteinLoss(network), relaxedTransportLoss(network)]) {
      const prepared = loss.prepare(targets);
      const same = Math.max(...prepared.loss(doubled, randomStream(0, 'draws')).dataSync());
      const other = Math.min(...prepared.loss(noise(2), randomStream(0, 'draws')).dataSync());
      // A position where every feature is 0 has no direction: by its cosine it is at distance 1 even from itself.
      const nothing = loss.name === 'vgg-relaxed-transport' ? 5 / 1024 : 1e-5;
      assert.ok(same < nothing && other > 100 * same, `${loss.name}: ${same}, ${other}`);
      prepared.dispose();
    }
  });
});

test('a flat picture, where features may be 0 everywhere, still gets a finite gradient', () => {
  tf.tidy(() => {
    const target = picture('target');
    for (const loss of [gramLoss(network), slicedWassersteinLoss(network), relaxedTransportLoss(network)]) {
      const prepared = loss.prepare(target);
      const slope = tf.grad(x => tf.sum(prepared.loss(x as tf.Tensor4D, randomStream(0, 'draws'))))(
        tf.zeros([1, 32, 32, 3]),
      );
      assert.ok(slope.dataSync().every(Number.isFinite), loss.name);
      prepared.dispose();
    }
  });
});

test('the sorting order sorts, negative numbers and ties included', () => {
  const values = Float32Array.from([3, -1, 0, -2.5, 3, -0, 1e-30, -1e30]);
  assert.equal(
    Array.from(sortingOrder(values), i => values[i]),
    [...values].sort((a, b) => a - b),
  );
  assert.equal([...sortingOrder(Float32Array.from([2, 2, 1]))], [2, 0, 1]);
});

test.after(() => network.dispose());
test.run();
