/**
 * Token views of a batch of weights [B, D]: exact rearrangements, derived from the spec.
 *
 * Mixed tokens: one token of `hidden` numbers per input of the first layer (a column of w1), per output (a row of w2), and one for b1,
 * in the order w1, w2, b1. Hidden tokens: one token per hidden unit (its row of w1, its column of w2, its b1). An output
 * bias b2 is one more token behind them, padded with zeros to the width of the others.
 */
import { type NcaSpec, weightBlocks, weightCount } from '../../nca/index.ts';
import { type Parameters, tf } from '../../tensor/index.ts';
import type { Condition, Denoiser, DenoiserContext } from '../denoiser.ts';

/** What a token holds: a column of w1, a row of w2, b1, b2, or all weights of a hidden unit. */
export type TokenKind = 'w1' | 'w2' | 'b1' | 'b2' | 'unit';

/** How flat weights [B, D] become T tokens [B, T, width], and tokens weights. */
export interface TokenLayout {
  readonly name: 'mixed' | 'hidden';
  /** What each token holds, in order: their number is the length. */
  readonly kinds: readonly TokenKind[];
  /** Numbers per token. */
  readonly width: number;
  /** @param weights [B, D]  @returns [B, T, width] */
  tokenise(weights: tf.Tensor2D): tf.Tensor3D;
  /** The inverse; padding is dropped. @param tokens [B, T, width]  @returns [B, D] */
  untokenise(tokens: tf.Tensor3D): tf.Tensor2D;
}

/** The blocks of a batch as matrices: w1 [B, hidden, inputs], b1 [B, hidden], w2 [B, channels, hidden] and b2 [B, channels]. */
function splitBlocks(spec: NcaSpec, weights: tf.Tensor2D): tf.Tensor[] {
  const blocks = weightBlocks(spec);
  const parts = tf.split(
    weights,
    blocks.map(({ size }) => size),
    1,
  );
  return blocks.map(({ shape }, i) => tf.reshape(parts[i], [-1, ...shape]));
}

const joinBlocks = (spec: NcaSpec, parts: readonly tf.Tensor[]): tf.Tensor2D =>
  tf.concat(
    weightBlocks(spec).map(({ size }, i) => tf.reshape(parts[i], [-1, size])),
    1,
  ) as tf.Tensor2D;

/** b2 [B, channels] as a token [B, 1, width]. */
const biasToken = (bias: tf.Tensor, width: number): tf.Tensor =>
  tf.expandDims(
    tf.pad(bias, [
      [0, 0],
      [0, width - bias.shape[1]!],
    ]),
    1,
  );

const swap = (x: tf.Tensor) => tf.transpose(x, [0, 2, 1]);

/** `count` tokens from `start` of [B, T, C], and of each its first `width` numbers. */
const pick = (tokens: tf.Tensor3D, start: number, count: number, width: number) =>
  tf.slice(tokens, [0, start, 0], [-1, count, width]);

/**
 * A token of `hidden` numbers for each of the 4 * channels inputs (column of w1), each channel (row of w2), b1, and b2 if there is one.
 * @throws RangeError when b2 does not fit a token
 */
export function mixedTokens(spec: NcaSpec): TokenLayout {
  const { channels, hidden, outputBias } = spec;
  const inputs = 4 * channels;
  if (outputBias && channels > hidden)
    throw new RangeError(`b2 of ${channels} does not fit a token of ${hidden}`);
  return {
    name: 'mixed',
    kinds: [
      ...Array<TokenKind>(inputs).fill('w1'),
      ...Array<TokenKind>(channels).fill('w2'),
      'b1',
      ...(outputBias ? (['b2'] as const) : []),
    ],
    width: hidden,
    tokenise: weights =>
      tf.tidy(() => {
        const [w1, b1, w2, b2] = splitBlocks(spec, weights);
        const tokens = [swap(w1), w2, tf.expandDims(b1, 1)];
        if (b2) tokens.push(biasToken(b2, hidden));
        return tf.concat(tokens, 1) as tf.Tensor3D;
      }),
    untokenise: tokens =>
      tf.tidy(() => {
        const w1 = swap(pick(tokens, 0, inputs, hidden));
        const w2 = pick(tokens, inputs, channels, hidden);
        const b1 = pick(tokens, inputs + channels, 1, hidden);
        const b2 = outputBias ? [pick(tokens, inputs + channels + 1, 1, channels)] : [];
        return joinBlocks(spec, [w1, b1, w2, ...b2]);
      }),
  };
}

/**
 * A token of 5 * channels + 1 numbers for each hidden unit (row of w1, column of w2, b1): T = hidden tokens, and one more, T = hidden + 1, for b2 where
 * the spec has an output bias.
 *
 *     const { width, tokenise, untokenise } = hiddenTokens(spec);
 *     const tokens = tokenise(weights); // [B, D] -> [B, T, width]; untokenise undoes it
 */
export function hiddenTokens(spec: NcaSpec): TokenLayout {
  const { channels, hidden, outputBias } = spec;
  const inputs = 4 * channels;
  const width = inputs + channels + 1;
  return {
    name: 'hidden',
    kinds: [...Array<TokenKind>(hidden).fill('unit'), ...(outputBias ? (['b2'] as const) : [])],
    width,
    tokenise: weights =>
      tf.tidy(() => {
        const [w1, b1, w2, b2] = splitBlocks(spec, weights);
        const units = tf.concat([w1, swap(w2), tf.expandDims(b1, 2)], 2);
        return (b2 ? tf.concat([units, biasToken(b2, width)], 1) : units) as tf.Tensor3D;
      }),
    untokenise: tokens =>
      tf.tidy(() => {
        const units = tf.slice(tokens, [0, 0, 0], [-1, hidden, -1]);
        const [w1, w2, b1] = tf.split(units, [inputs, channels, 1], 2);
        const b2 = outputBias ? [pick(tokens, hidden, 1, channels)] : [];
        return joinBlocks(spec, [w1, b1, swap(w2), ...b2]);
      }),
  };
}

/** What a token denoiser is besides its network. */
interface TokenDenoiserParts {
  readonly name: string;
  readonly context: DenoiserContext;
  readonly layout: TokenLayout;
  readonly parameters: Parameters;
  readonly symmetries?: Denoiser['symmetries'];
  /** Weight tokens [B, T, layout.width] to what is predicted for each, of the same shape. Runs inside tf.tidy. */
  network(tokens: tf.Tensor3D, noiseLabel: tf.Tensor1D, condition: Condition | null): tf.Tensor3D;
  /** Tensors held besides the parameters. */
  readonly held?: readonly tf.Tensor[];
}

/** The frame of every denoiser on tokens: weights to tokens, the network, tokens to weights. Its `apply` throws a RangeError for weights of another spec. */
export const tokenDenoiser = (parts: TokenDenoiserParts): Denoiser => ({
  name: parts.name,
  spec: parts.context.spec,
  variables: parts.parameters.variables,
  symmetries: parts.symmetries ?? [],
  apply: (weights, noiseLabel, condition) =>
    tf.tidy(() => {
      checkWeights(parts.context.spec, weights);
      return parts.layout.untokenise(parts.network(parts.layout.tokenise(weights), noiseLabel, condition));
    }),
  dispose: () => {
    parts.parameters.dispose();
    tf.dispose([...(parts.held ?? [])]);
  },
});

/** D of the spec, checked against a batch. */
export function checkWeights(spec: NcaSpec, weights: tf.Tensor2D): void {
  const expected = weightCount(spec);
  if (weights.shape[1] !== expected) {
    throw new RangeError(
      `weights of the spec ${spec.name} are [B, ${expected}], not [${weights.shape.join(', ')}]`,
    );
  }
}
