/** The smallest things a training can be tested with: a spec of 32 weights, a two-layer denoiser, correlated data. */
import type { Encoder } from '../src/conditioning/index.ts';
import type { Denoiser } from '../src/denoisers/index.ts';
import { type NcaSpec, SPECS, weightCount } from '../src/nca/index.ts';
import { Parameters, randomStream, tf } from '../src/tensor/index.ts';

/** 3 channels, 2 hidden units: 24 + 2 + 6 = 32 weights. */
export const tinySpec: NcaSpec = { ...SPECS.compact, name: 'tiny', channels: 3, hidden: 2 };

/** tanh layer between two linear ones, on [weights | noise label | condition]. */
export function tinyDenoiser({ width = 16, tokens = 0, seed = 1, spec = tinySpec } = {}): Denoiser {
  const size = weightCount(spec);
  const make = new Parameters({ seed });
  const into = make.normal<tf.Rank.R2>('into', [size + 1 + tokens, width], 0.3);
  const bias = make.zeros<tf.Rank.R1>('bias', [width]);
  const out = make.normal<tf.Rank.R2>('out', [width, size], 0.1);
  return {
    name: 'tiny',
    spec,
    variables: make.variables,
    symmetries: [],
    apply: (weights, label, condition) =>
      tf.tidy(() => {
        const batch = weights.shape[0];
        const inputs: tf.Tensor2D[] = [weights, tf.reshape(label, [batch, 1])];
        if (tokens > 0) {
          inputs.push(
            condition
              ? tf.mul(
                  tf.reshape(condition.tokens, [batch, tokens]),
                  tf.reshape(condition.present, [batch, 1]),
                )
              : tf.zeros([batch, tokens]),
          );
        }
        return tf.matMul(tf.tanh(tf.add(tf.matMul(tf.concat(inputs, 1), into), bias)), out) as tf.Tensor2D;
      }),
    dispose: () => make.dispose(),
  };
}

/** One token of `width`, through a trained factor. */
export function tinyEncoder(width: number): Encoder {
  const make = new Parameters({ seed: 1 });
  const factor = make.ones<tf.Rank.R1>('factor', [width]);
  return {
    name: 'tiny',
    tokens: 1,
    featureWidth: width,
    width,
    fingerprint: 'tiny',
    variables: make.variables,
    features: () => {
      throw new Error('the features of this encoder are given');
    },
    project: features => tf.mul(features, factor) as tf.Tensor3D,
    dispose: () => make.dispose(),
  };
}

/** Weights that are a linear function of their features, plus a little noise. */
export function tinyData(count: number, { features = 3, seed = 1, spec = tinySpec } = {}) {
  const size = weightCount(spec);
  const random = randomStream(seed, 'tiny data');
  const mix = randomStream(0, 'tiny mix').normals(features * size);
  const given = random.normals(count * features);
  const weights = random.normals(count * size, 0, 0.1).map((noise, i) => {
    const [row, column] = [Math.floor(i / size), i % size];
    let sum = noise + column / size;
    for (let k = 0; k < features; k++) sum += given[row * features + k] * mix[k * size + column];
    return sum;
  });
  return { weights, features: given };
}
