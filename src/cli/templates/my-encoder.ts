/**
 * my-encoder: how a picture becomes the condition of a denoiser. This one counts colours: a soft histogram of each channel.
 *
 *   weightloom run quickstart 'encoder={kind: ./my-encoder.ts}'
 *   weightloom train quick 'encoder={kind: ./my-encoder.ts}'
 */
import {
  type Encoder,
  type EncoderContext,
  type EncoderKind,
  linear,
  natural,
  Parameters,
  t,
  tf,
} from 'weightloom';

/** Its parameters. They can be set in a configuration: `encoder={kind: ./my-encoder.ts, bins: 16}`. */
const Config = t.strict({
  /** Bins per channel. */
  bins: natural,
});
type Config = t.TypeOf<typeof Config>;

const DEFAULT_WIDTH = 64;

function build({ bins }: Config, { width = DEFAULT_WIDTH, seed }: EncoderContext): Encoder {
  const featureWidth = 3 * bins;
  const parameters = new Parameters({ seed });
  const project = linear(parameters, 'project', featureWidth, width);
  const centres = tf.tidy(() => tf.keep(tf.linspace(0, 1, bins)));
  return {
    name: 'my-encoder',
    // One token; several could describe several scales or places.
    tokens: 1,
    featureWidth,
    width,
    // The key under which features may be kept: it has to change whenever `features` gives other numbers.
    fingerprint: `my-encoder-1/${bins}`,
    // Trained together with the denoiser; an encoder without a trained part has none, and returns its features from `project`.
    variables: parameters.variables,
    /** images [B, H, W, 3] in [0, 1] -> [B, 1, featureWidth]: the frozen part, computed once per picture. */
    features: images =>
      tf.tidy(() => {
        const [batch, height, width] = images.shape;
        const pixels = tf.reshape(images, [batch, height * width, 3, 1]);
        // Each pixel counts for the bins within about a bin's distance, so that small changes change little.
        const distance = tf.mul(tf.sub(pixels, centres), bins - 1);
        const counts = tf.mean(tf.exp(tf.neg(tf.square(distance))), 1);
        return tf.reshape(counts, [batch, 1, featureWidth]) as tf.Tensor3D;
      }),
    /** features [B, 1, featureWidth] -> [B, 1, width]: the trained part, inside every training step. */
    project: features => tf.tidy(() => project(features)),
    dispose: () => {
      parameters.dispose();
      centres.dispose();
    },
  };
}

const kind = {
  name: 'my-encoder',
  summary: 'a soft histogram of each colour channel, projected by a trained layer',
  config: Config,
  defaults: { bins: 8 },
  // One that reads weights may return a promise of the encoder, or `attempt(file, async () => ...)`, which tells of a file that cannot be read.
  build,
} satisfies EncoderKind<Config>;
export default kind;
