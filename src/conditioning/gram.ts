/**
 * The Gram encoder: how strongly random directions in VGG16's feature space are excited, q = mean over positions of (P^T F)^2 for each
 * style layer F [C, positions] with a trained P [C, K]. As q is the diagonal of P^T G P with G = F F^T / positions, the Gram
 * matrices are all that is needed of a picture: they are the frozen features.
 */

import { pipe } from 'fp-ts/lib/function.js';
import * as TE from 'fp-ts/lib/TaskEither.js';
import * as t from 'io-ts';
import { Parameters, tf } from '../tensor/index.ts';
import type { Encoder } from './encoder.ts';
import { locateWeights } from './pretrained/locate.ts';
import { readVgg16, type Vgg } from './pretrained/vgg.ts';
import { DEFAULT_WIDTH, registerEncoder } from './registry.ts';

/** Parameters of the encoder `gram`. */
export const GramConfig = t.strict({
  /** A file with VGG16's weights, or null for the cache that `weightloom encoders fetch` fills. */
  weights: t.union([t.string, t.null]),
  /** One token with all style layers, or one token for each. */
  layout: t.union([t.literal('single'), t.literal('layers')]),
});
export type GramConfig = t.TypeOf<typeof GramConfig>;

/** Initial sizes of the directions: they bring q of natural pictures to about 1 in every layer. */
const INITIAL = [16.0, 3.79, 1.48, 0.98, 1.84].map(std => 0.01 * std);

/**
 * The Gram encoder on a VGG16, which it disposes of with itself.
 * @param width of all tokens together; a multiple of the number of style layers
 * With layout `layers` a token has width / 5 numbers.
 */
export function gramEncoder(
  network: Vgg,
  { layout, width, seed }: { layout: GramConfig['layout']; width: number; seed: number },
): Encoder {
  const { styleWidths } = network;
  const each = Math.floor(width / styleWidths.length);
  const parameters = new Parameters({ seed });
  const directions = styleWidths.map((channels, i) =>
    parameters.normal<tf.Rank.R2>(`directions/${i}`, [channels, each], INITIAL[i]),
  );
  const tokens = layout === 'single' ? 1 : styleWidths.length;
  // The Gram matrices of all layers stand one behind the other, cut into as many rows as there will be tokens: the last is padded.
  const size = styleWidths.reduce((sum, channels) => sum + channels ** 2, 0);
  const featureWidth = Math.ceil(size / tokens);
  return {
    name: 'gram',
    tokens,
    featureWidth,
    width: layout === 'single' ? each * styleWidths.length : each,
    ownScale: true,
    fingerprint: `gram-1/${layout}/${network.hash}`,
    costly: true,
    variables: parameters.variables,
    features: images =>
      tf.tidy(() => {
        const matrices = network.styleLayers(images).map(layer => {
          const [batch, height, columns, channels] = layer.shape;
          const flat = tf.reshape(layer, [batch, height * columns, channels]);
          const gram = tf.div(tf.matMul(flat, flat, true, false), height * columns);
          return tf.reshape(gram, [batch, channels ** 2]);
        });
        const padding = tf.zeros([images.shape[0], tokens * featureWidth - size]);
        return tf.reshape(tf.concat([...matrices, padding], 1), [-1, tokens, featureWidth]);
      }),
    project: features =>
      tf.tidy(() => {
        const flat = tf.reshape(features, [-1, tokens * featureWidth]);
        let offset = 0;
        const excitations = styleWidths.map((channels, i) => {
          const matrix = tf.slice(flat, [0, offset], [-1, channels ** 2]);
          offset += channels ** 2;
          const product = tf.matMul(tf.reshape(matrix, [-1, channels]) as tf.Tensor2D, directions[i]);
          // diag(P^T G P): the sum over channels of P * (G P).
          return tf.sum(tf.mul(tf.reshape(product, [-1, channels, each]), directions[i]), 1);
        });
        return (
          layout === 'single' ? tf.expandDims(tf.concat(excitations, 1), 1) : tf.stack(excitations, 1)
        ) as tf.Tensor3D;
      }),
    dispose: () => {
      parameters.dispose();
      network.dispose();
    },
  };
}

export const gramKind = registerEncoder<GramConfig>({
  name: 'gram',
  summary: 'Gram matrices of VGG16 style layers along trained directions, one token or one per layer',
  config: GramConfig,
  defaults: { weights: null, layout: 'layers' },
  build: ({ weights, layout }, { seed, width = DEFAULT_WIDTH }) =>
    pipe(
      locateWeights('vgg16', weights),
      TE.flatMap(readVgg16),
      TE.map(network => gramEncoder(network, { layout, width, seed })),
    ),
});
