/** The promises of the interface, all of them, on one kind of denoiser: for the tests of whoever writes a new one. */
import { type NcaSpec, SPECS, weightCount } from '../nca/index.ts';
import { onProcessorNow, randomStream, tf } from '../tensor/index.ts';
import * as contract from './contract.ts';
import type { Denoiser, DenoiserContext, DenoiserKind } from './denoiser.ts';

/** What `checkDenoiser` builds, where not the defaults. */
export interface CheckDenoiserOptions<Config> {
  /** Parameters to build it with; default the kind's defaults at a small size (see `smallConfig`). */
  readonly config?: Config;
  /** NCA specs to try it on; default a small one without and one with an output bias. */
  readonly specs?: readonly NcaSpec[];
}

const PLAIN: NcaSpec = { ...SPECS.compact, name: 'plain', channels: 3, hidden: 6 };
const BIASED: NcaSpec = { ...PLAIN, name: 'biased', outputBias: true };

/** How many condition tokens and of what width; null for a denoiser that never sees a condition. */
const CONDITIONS = [null, { tokens: 1, width: 10 }, { tokens: 3, width: 5 }];

const CLAUSES: [clause: string, holds: (denoiser: Denoiser, context: DenoiserContext) => void][] = [
  ['gives finite weights [B, D]', contract.givesWeights],
  ['treats every sample apart', contract.treatsSamplesApart],
  ['knows an absent condition', contract.knowsAbsence],
  ['reads every condition token', contract.readsEveryToken],
  ['depends on the noise level', contract.dependsOnNoise],
  ['trains every variable', contract.trainsEveryVariable],
];

/**
 * Builds a denoiser on small specs, with and without a condition and an anchor, gives its variables random values, and checks what its
 * interface promises: shapes, samples apart from each other, absent conditions, every condition token and the noise level read, gradients
 * for every variable, no tensor left behind, the same variables from the same seed. Needs `startBackend()` before. Symmetries are
 * the business of `verifyDenoiser`. With loom-gpu it is checked on loom, whose numbers can be read as they come.
 * @throws Error that names the clause and what was found
 */
export function checkDenoiser<Config>(
  kind: DenoiserKind<Config>,
  { config, specs = [PLAIN, BIASED] }: CheckDenoiserOptions<Config> = {},
): void {
  const settings = config ?? (contract.smallConfig(kind) as Config);
  const build = (context: DenoiserContext) => kind.build(settings, context);
  onProcessorNow(() => {
    for (const spec of specs) {
      for (const condition of CONDITIONS) {
        const anchor = condition && randomStream(0, 'anchor').normals(weightCount(spec));
        checkOne(kind.name, build, { spec, condition, seed: 1, anchor: anchor ?? undefined });
      }
    }
  });
}

function checkOne(name: string, build: (context: DenoiserContext) => Denoiser, context: DenoiserContext) {
  const { spec, condition } = context;
  const given = condition ? `${condition.tokens} condition tokens of ${condition.width}` : 'no condition';
  const clause = (text: string, work: () => void) => {
    try {
      work();
    } catch (error) {
      throw new Error(`${name}: ${text}: ${(error as Error).message} (${spec.name}, ${given})`);
    }
  };
  const flat = (text: string, expected: number) =>
    clause(text, () => {
      const found = tf.memory().numTensors;
      if (found !== expected) throw new Error(`${found - expected} tensors are left behind`);
    });
  const before = tf.memory().numTensors;
  const denoiser = build(context);
  clause('gives finite weights [B, D]', () => contract.givesWeights(denoiser, context));
  contract.scramble(denoiser);
  const held = tf.memory().numTensors;
  for (const [text, holds] of CLAUSES) clause(text, () => holds(denoiser, context));
  flat('keeps no tensor', held);
  denoiser.dispose();
  clause('is seeded', () => contract.isSeeded(build, context));
  flat('disposes of what it made', before);
}
