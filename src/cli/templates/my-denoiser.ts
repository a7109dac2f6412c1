/**
 * my-denoiser: noisy weights in, what the diffusion process asks of them out.
 *
 * It works on one token per hidden unit of the NCA (the unit's row of w1, its column of w2, its bias) with layers that all tokens share and a
 * mean over tokens. Nothing tells one unit from another but its numbers, so permuting the units permutes the output.
 *
 *   weightloom verify ./my-denoiser.ts
 *   weightloom run quickstart denoisers=[./my-denoiser.ts,transformer]
 */
import {
  type Denoiser,
  type DenoiserContext,
  type DenoiserKind,
  hiddenTokens,
  layerNorm,
  linear,
  mlp,
  natural,
  Parameters,
  sinusoidalEmbedding,
  t,
  tf,
} from 'weightloom';

/** Its parameters. They can be set in a configuration: `parameters={"./my-denoiser.ts": {width: 32}}`. */
const Config = t.strict({
  /** Numbers per token inside the network. */
  width: natural,
  /** Residual blocks. */
  layers: natural,
});
type Config = t.TypeOf<typeof Config>;

const NOISE_WIDTH = 32;
/** The noise label ln(sigma) / 4 spans about -1.6 to 1.1: spread out, so that sinusoids can tell its values apart. */
const NOISE_SCALE = 16;

function build({ width, layers }: Config, { spec, condition, anchor, seed }: DenoiserContext): Denoiser {
  const layout = hiddenTokens(spec);
  // Every variable is asked for by a name, the name in a checkpoint; the seed decides its first values.
  const parameters = new Parameters({ seed });
  // Where all NCAs of a zoo grew from one base, its weights (the anchor) say which unit is which. Symmetries move it with the weights.
  const base = anchor
    ? tf.tidy(() => tf.keep(layout.tokenise(tf.tensor2d(anchor, [1, anchor.length]))))
    : null;

  const embed = mlp(parameters, 'embed', [layout.width * (base ? 2 : 1), 2 * width, width]);
  const embedNoise = mlp(parameters, 'noise', [NOISE_WIDTH, width, width]);
  const embedCondition =
    condition && mlp(parameters, 'condition', [condition.tokens * condition.width, 2 * width, width]);
  // What stands for a condition that is not there: learned, so that it can be told from every condition.
  const absent = condition && parameters.normal<tf.Rank.R2>('absent', [1, width], 0.02);
  // An output bias b2 is a token behind the units: it belongs to none, and is marked.
  const mark = spec.outputBias ? parameters.normal<tf.Rank.R3>('mark', [1, 1, width], 0.1) : null;
  const blocks = Array.from({ length: layers }, (_, i) => ({
    norm: layerNorm(parameters, `block/${i}/norm`, width),
    mix: linear(parameters, `block/${i}/mix`, width, width),
    update: mlp(parameters, `block/${i}/update`, [width, 2 * width, width], { std: 0.02 }),
  }));
  const norm = layerNorm(parameters, 'norm', width);
  // Zero at first: training starts from the mean of the weights and not from noise of the network's own.
  const output = linear(parameters, 'output', width, layout.width, { std: 0 });

  return {
    name: 'my-denoiser',
    spec,
    // What is trained and saved.
    variables: parameters.variables,
    // What it claims, and `weightloom verify` tries to refute: F(g w) = g F(w) for every g of these groups.
    symmetries: ['hidden-permutation'],
    /**
     * weights [B, D], noiseLabel [B], condition { tokens [B, T, C], present [B] } or null -> [B, D]. Each sample on its own; `present` is 0
     * where a sample's condition was dropped, which has to mean the same as null. tf.tidy frees everything but the result.
     */
    apply: (weights, noiseLabel, given) =>
      tf.tidy(() => {
        const [batch] = weights.shape;
        const own = layout.tokenise(weights);
        const tokens = base ? tf.concat([own, tf.tile(base, [batch, 1, 1])], 2) : own;
        let context: tf.Tensor = embedNoise(
          sinusoidalEmbedding(tf.mul(noiseLabel, NOISE_SCALE) as tf.Tensor1D, NOISE_WIDTH),
        );
        if (embedCondition && absent) {
          const present = given ? tf.expandDims(given.present, 1) : tf.zeros([batch, 1]);
          const known = given
            ? tf.mul(embedCondition(tf.reshape(given.tokens, [batch, -1])), present)
            : tf.zeros([batch, width]);
          context = tf.add(context, tf.add(known, tf.mul(absent, tf.sub(1, present))));
        }
        let x = tf.add(embed(tokens), tf.expandDims(context, 1)) as tf.Tensor3D;
        if (mark) {
          const behind: [number, number][] = [
            [0, 0],
            [spec.hidden, 0],
            [0, 0],
          ];
          x = tf.add(x, tf.pad(mark, behind));
        }
        for (const block of blocks) {
          const normal = block.norm(x);
          // The mean over tokens is how the units know of each other; it does not depend on their order.
          x = tf.add(x, block.update(tf.add(normal, block.mix(tf.mean(normal, 1, true)))));
        }
        return layout.untokenise(output(norm(x)));
      }),
    dispose: () => {
      parameters.dispose();
      base?.dispose();
    },
  };
}

const kind: DenoiserKind<Config> = {
  name: 'my-denoiser',
  summary: 'shared layers on hidden-unit tokens with a mean over units: equivariant to hidden permutations',
  config: Config,
  // Used for what a configuration leaves out.
  defaults: { width: 96, layers: 4 },
  build,
};
export default kind;
