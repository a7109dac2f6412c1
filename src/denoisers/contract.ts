/**
 * What every denoiser promises, as checks that run on any of them: the tests run them on every registered kind, and whoever writes a
 * new one can run them on it. Each check throws with a sentence that says what was promised.
 */
import { actOnWeights, SYMMETRIES, weightCount } from '../nca/index.ts';
import { randomStream, tf } from '../tensor/index.ts';
import type { Condition, Denoiser, DenoiserContext, DenoiserKind } from './denoiser.ts';

// biome-ignore lint/suspicious/noExplicitAny: kinds of every configuration type
type AnyKind = DenoiserKind<any>;

/** A few sizes are made small; everything else stays as its kind sets it. */
const SMALL: Readonly<Record<string, number>> = {
  width: 16,
  layers: 2,
  heads: 2,
  hidden: 8,
  edge: 6,
  noiseWidth: 8,
  global: 16,
  basis: 32,
};

/** The kind's defaults at a small size: the same architecture, quick to run. */
export const smallConfig = (kind: AnyKind): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(kind.defaults as Record<string, unknown>).map(([key, value]) => [
      key,
      typeof value === 'number' && key in SMALL ? SMALL[key] : value,
    ]),
  );

/** Options that say how, or where, a condition is brought in. */
const WAYS: Readonly<Record<string, readonly string[]>> = {
  conditioning: ['pooled', 'tokens', 'cross-attention'],
  condition: ['global', 'nodes', 'scale', 'none'],
};

/** The small configuration, once for every way the kind knows to bring the condition in. */
export function smallConfigs(kind: AnyKind): { label: string; config: Record<string, unknown> }[] {
  const small = smallConfig(kind);
  const option = Object.keys(WAYS).find(name => name in small);
  if (!option) return [{ label: kind.name, config: small }];
  return WAYS[option]
    .map(way => ({ label: `${kind.name}, ${way}`, config: { ...small, [option]: way } }))
    .filter(({ config }) => kind.config.is(config));
}

/** Gives every variable random values, so that nothing is hidden behind an output that starts at zero. */
export function scramble(denoiser: Denoiser): void {
  for (const [name, variable] of Object.entries(denoiser.variables)) {
    const data = randomStream(1, `scramble/${name}`).normals(variable.size, 0, 0.3);
    tf.tidy(() => variable.assign(tf.tensor(data, variable.shape)));
  }
}

export interface Inputs {
  readonly weights: tf.Tensor2D;
  readonly noise: tf.Tensor1D;
  readonly condition: Condition | null;
}

/** Seeded inputs of `batch` samples. `present` tells which have their condition; null for no condition at all. */
export function inputs(
  { spec, condition: shape }: DenoiserContext,
  batch: number,
  present: readonly number[] | null,
): Inputs {
  const random = (name: string, size: number) => randomStream(2, name).normals(size);
  return {
    weights: tf.tensor2d(random('weights', batch * weightCount(spec)), [batch, weightCount(spec)]),
    noise: tf.tensor1d(random('noise', batch)),
    condition:
      shape && present
        ? {
            tokens: tf.tensor3d(random('condition', batch * shape.tokens * shape.width), [
              batch,
              shape.tokens,
              shape.width,
            ]),
            present: tf.tensor1d([...present]),
          }
        : null,
  };
}

export const run = (denoiser: Denoiser, { weights, noise, condition }: Inputs, training = false) =>
  denoiser.apply(weights, noise, condition, { training });

const row = <T extends tf.Tensor>(x: T, i: number): T => tf.slice(x, i, 1);

/** One sample of a batch of inputs. */
const sample = ({ weights, noise, condition }: Inputs, i: number): Inputs => ({
  weights: row(weights, i),
  noise: row(noise, i),
  condition: condition && { tokens: row(condition.tokens, i), present: row(condition.present, i) },
});

/** Largest difference, relative to the largest value. */
export const difference = (a: tf.Tensor, b: tf.Tensor): number =>
  tf.tidy(() => {
    const [error, size] = [tf.max(tf.abs(tf.sub(a, b))), tf.max(tf.abs(a))].map(x => x.dataSync()[0]);
    if (!Number.isFinite(error)) throw new Error('the output is not finite');
    return error / Math.max(size, 1e-30);
  });

function promise(holds: boolean, sentence: string): void {
  if (!holds) throw new Error(sentence);
}

/** float32 sums of the same numbers in another order, through a few layers. */
const SAME = 1e-4;

/** [B, D] -> [B, D], and the same untrained output whatever the seed of the inputs: finite numbers. */
export function givesWeights(denoiser: Denoiser, context: DenoiserContext): void {
  tf.tidy(() => {
    const out = run(denoiser, inputs(context, 3, [1, 0, 1]));
    promise(out.shape.join() === `3,${weightCount(context.spec)}`, `output [${out.shape}] is not [B, D]`);
    promise(
      out.dataSync().every(x => Number.isFinite(x)),
      'the output is not finite',
    );
  });
}

/** A sample's output depends on that sample alone. */
export function treatsSamplesApart(denoiser: Denoiser, context: DenoiserContext): void {
  tf.tidy(() => {
    const all = inputs(context, 3, [1, 0, 1]);
    const together = run(denoiser, all);
    for (let i = 0; i < 3; i++) {
      const alone = run(denoiser, sample(all, i));
      promise(difference(row(together, i), alone) < SAME, `sample ${i} depends on its batch`);
    }
  });
}

/** Absence is per sample, the same as no condition at all, and different from having one. */
export function knowsAbsence(denoiser: Denoiser, context: DenoiserContext): void {
  tf.tidy(() => {
    const mixed = inputs(context, 2, [1, 0]);
    const out = run(denoiser, mixed);
    const none = run(denoiser, { ...mixed, condition: null });
    promise(difference(row(out, 1), row(none, 1)) < SAME, 'an absent condition is not the same as none');
    if (!context.condition) return;
    promise(difference(row(out, 0), row(none, 0)) > 1e-3, 'the condition has no effect');
    const { tokens, present } = mixed.condition!;
    const others = { tokens: tf.add(tokens, 1) as tf.Tensor3D, present };
    const changed = run(denoiser, { ...mixed, condition: others });
    promise(difference(row(out, 1), row(changed, 1)) < SAME, 'a dropped condition still has an effect');
    promise(difference(row(out, 0), row(changed, 0)) > 1e-4, 'another condition gives the same output');
  });
}

/** Every condition token counts, not only their sum. */
export function readsEveryToken(denoiser: Denoiser, context: DenoiserContext): void {
  const { condition } = context;
  if (!condition) return;
  tf.tidy(() => {
    const given = inputs(context, 1, [1]);
    const out = run(denoiser, given);
    for (let token = 0; token < condition.tokens; token++) {
      const mask = Float32Array.from({ length: condition.tokens }, (_, i) => (i === token ? 1 : 0));
      const tokens = tf.add(
        given.condition!.tokens,
        tf.tensor3d(mask, [1, condition.tokens, 1]),
      ) as tf.Tensor3D;
      const changed = run(denoiser, { ...given, condition: { ...given.condition!, tokens } });
      promise(difference(out, changed) > 1e-5, `condition token ${token} has no effect`);
    }
  });
}

/** For a denoiser that was told to leave its condition out. */
export function ignoresCondition(denoiser: Denoiser, context: DenoiserContext): void {
  tf.tidy(() => {
    const given = inputs(context, 2, [1, 0]);
    const out = run(denoiser, given);
    const none = run(denoiser, { ...given, condition: null });
    promise(difference(out, none) === 0, 'a condition that has no place has an effect');
  });
}

/** Unless it says that it answers from its condition alone. */
export function dependsOnNoise(denoiser: Denoiser, context: DenoiserContext): void {
  if (denoiser.conditionOnly) return;
  tf.tidy(() => {
    const given = inputs(context, 2, null);
    const other = { ...given, noise: tf.add(given.noise, 0.7) as tf.Tensor1D };
    promise(difference(run(denoiser, given), run(denoiser, other)) > 1e-3, 'the noise level has no effect');
  });
}

/** A loss reaches every variable and, unless it answers from its condition alone, the weights. */
export function trainsEveryVariable(denoiser: Denoiser, context: DenoiserContext): void {
  tf.tidy(() => {
    const given = inputs(context, 3, context.condition ? [1, 0, 1] : null);
    const target = tf.tensor2d(randomStream(3, 'target').normals(given.weights.size), given.weights.shape);
    const loss = (weights: tf.Tensor2D) =>
      tf.mean(tf.square(tf.sub(run(denoiser, { ...given, weights }, true), target))) as tf.Scalar;
    const list = Object.values(denoiser.variables);
    const { grads } = tf.variableGrads(() => loss(given.weights), list);
    for (const [name, variable] of Object.entries(denoiser.variables)) {
      const gradient = grads[variable.name];
      promise(gradient !== undefined && gradient !== null, `${name} gets no gradient`);
      const size = tf.max(tf.abs(gradient)).dataSync()[0];
      promise(Number.isFinite(size) && size > 0, `the gradient of ${name} has size ${size}`);
    }
    if (denoiser.conditionOnly) return;
    const slope = tf.max(tf.abs(tf.grad(x => loss(x as tf.Tensor2D))(given.weights))).dataSync()[0];
    promise(Number.isFinite(slope) && slope > 0, `the gradient of the weights has size ${slope}`);
  });
}

/** How far the denoiser is from hidden(p) . F = F . hidden(p) (with its anchor permuted too), relative to its output. */
export function hiddenPermutationError(
  build: (context: DenoiserContext) => Denoiser,
  context: DenoiserContext,
): number {
  const { spec } = context;
  const order = SYMMETRIES['hidden-permutation'].sample(spec, randomStream(4, 'order'));
  const anchor = context.anchor && actOnWeights(spec, order, context.anchor);
  const [original, permuted] = [context, { ...context, anchor }].map(build);
  [original, permuted].forEach(scramble);
  const error = tf.tidy(() => {
    const given = inputs(context, 1, [1]);
    const act = (x: tf.Tensor2D) =>
      tf.tensor2d(actOnWeights(spec, order, x.dataSync() as Float32Array), x.shape);
    return difference(act(run(original, given)), run(permuted, { ...given, weights: act(given.weights) }));
  });
  original.dispose();
  permuted.dispose();
  return error;
}

/** The same seed gives the same variables under the same names. */
export function isSeeded(build: (context: DenoiserContext) => Denoiser, context: DenoiserContext): void {
  const [one, same, other] = [context, context, { ...context, seed: context.seed + 1 }].map(build);
  const flat = ({ variables }: Denoiser) => Object.values(variables).flatMap(v => [...v.dataSync()]);
  const [a, b, c] = [one, same, other].map(flat);
  promise(Object.keys(one.variables).join() === Object.keys(same.variables).join(), 'names change');
  promise(
    a.every((x, i) => x === b[i]),
    'the same seed gives other variables',
  );
  promise(
    a.some((x, i) => x !== c[i]),
    'the seed has no effect',
  );
  for (const denoiser of [one, same, other]) denoiser.dispose();
}
