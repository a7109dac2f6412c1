/** `weightloom verify`: whether a denoiser keeps the symmetries it claims. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  checkClauses,
  decode,
  failure,
  importUserFile,
  isPath,
  orThrow,
  settle,
  suggestion,
  UserError,
} from '../../config/index.ts';
import type { DenoiserKind } from '../../denoisers/index.ts';
import type { Around, Verdict } from '../../evaluation/index.ts';
import type { NcaSpec, SymmetryDraft, SymmetryName } from '../../nca/index.ts';

interface Options {
  symmetry?: string[];
  spec: string;
  zoo?: string;
  normaliser: 'orbit' | 'coordinate';
  set: Record<string, unknown>;
  full: boolean;
  trials: number;
  seed: number;
  json: boolean;
}

const whole = (least: number) => (text: string) => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least) {
    throw new InvalidArgumentError(`It must be a whole number from ${least}.`);
  }
  return value;
};

/** key=value, the value read as JSON where it is JSON and as text otherwise. */
function setting(text: string, before: Record<string, unknown>): Record<string, unknown> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be key=value.');
  const value = text.slice(at + 1);
  try {
    return { ...before, [text.slice(0, at)]: JSON.parse(value) };
  } catch {
    return { ...before, [text.slice(0, at)]: value };
  }
}

function oneOf<T extends string>(option: string, known: readonly T[], found: string): T {
  if ((known as readonly string[]).includes(found)) return found as T;
  throw new UserError(
    failure(`option ${option}`, `one of ${known.join(', ')}`, `"${found}"`, {
      hint: suggestion(found, known),
    }),
  );
}

/** The name of a group in a file of the user's own: its default export is what `registerSymmetry` takes. */
async function ownSymmetry(file: string): Promise<SymmetryName> {
  const { registerSymmetry } = await import('../../nca/index.ts');
  const draft = (await importUserFile(file)).default;
  checkClauses<SymmetryDraft>(file, 'default export', 'a symmetry group', draft, {
    name: 'string',
    summary: 'string',
    orthogonal: 'boolean',
    keepsPicture: 'boolean',
    sample: 'function',
  });
  return registerSymmetry(draft).name;
}

/** The spec to check on and, with a zoo, the pipeline from its weights to its weights. */
async function ground(options: Options, claims: (spec: NcaSpec) => readonly SymmetryName[]) {
  const { SPECS } = await import('../../nca/index.ts');
  if (options.zoo === undefined) {
    const name = oneOf('--spec', Object.keys(SPECS) as (keyof typeof SPECS)[], options.spec);
    return { spec: SPECS[name] as NcaSpec, around: undefined };
  }
  const { readZoo } = await import('../../data/index.ts');
  const { fitNormaliser } = await import('../../diffusion/index.ts');
  const { tf } = await import('../../tensor/index.ts');
  const { spec, weights } = await settle(readZoo(options.zoo));
  const shared = options.normaliser === 'orbit' ? claims(spec) : [];
  const { mean, scale, restoreTensor } = fitNormaliser(spec, weights, { mean: shared, std: shared });
  // One number brings the cases' weights, which are of order one, to the size of the zoo's: it commutes with everything.
  const unit = Math.sqrt(weights.reduce((sum, x) => sum + x * x, 0) / weights.length) || 1;
  const around: Around = denoise => given => {
    const normalised = tf.mul(tf.sub(tf.mul(given, unit), tf.tensor1d(mean)), tf.tensor1d(scale));
    return tf.div(restoreTensor(denoise(normalised as typeof given)), unit);
  };
  return { spec, around };
}

const percent = (error: number) => (Number.isFinite(error) ? error.toExponential(1) : 'not finite');

async function printTable(verdicts: readonly Verdict[]): Promise<void> {
  const { default: Table } = await import('cli-table3');
  const table = new Table({
    head: ['symmetry', 'claimed', 'holds', 'worst error', 'smallest counterexample'],
    colWidths: [null, null, null, null, 64],
    wordWrap: true,
    style: { head: [], border: [] },
  });
  for (const { symmetry, claimed, holds, worst, counterexample, obstacle } of verdicts) {
    const found = counterexample ? `${counterexample.text}: error ${percent(counterexample.error)}` : '';
    const note = obstacle ? `(not exact here: ${obstacle})` : '';
    table.push([
      symmetry,
      claimed ? 'yes' : 'no',
      holds ? 'yes' : claimed ? 'NO' : 'no',
      percent(worst),
      [found, note].filter(Boolean).join(' '),
    ]);
  }
  console.log(table.toString());
}

export function register(program: Command): void {
  program
    .command('verify')
    .description('Check which symmetries a denoiser keeps, against what it claims')
    .argument(
      '<denoiser>',
      'a registered name, or the path of a TypeScript file that exports a denoiser kind',
    )
    .option(
      '--symmetry <name...>',
      'only these, or a group of your own as the path of a TypeScript file; otherwise all that diffusion can have and whatever is claimed',
    )
    .option('--spec <name>', 'the NCA spec to check on', 'compact')
    .option('--zoo <folder>', "check on this zoo's spec, from real weights through the normaliser and back")
    .addOption(
      new Option(
        '--normaliser <kind>',
        'with --zoo: statistics shared over the orbits of the claims, or none shared',
      )
        .choices(['orbit', 'coordinate'])
        .default('orbit'),
    )
    .option('--set <key=value>', 'a parameter of the denoiser; may be repeated', setting, {})
    .option(
      '--full',
      'the full default sizes instead of small ones (slow; the symmetries are the same)',
      false,
    )
    .option('--trials <count>', 'cases per symmetry', whole(1), 20)
    .option('--seed <number>', 'seed of cases and variables', whole(0), 0)
    .option('--json', 'print the result as JSON', false)
    .addHelpText(
      'after',
      `
The error is max |F(g w) - g F(w)| / max |F(w)| over random group elements g, weights w, noise levels and conditions, with every
variable of the denoiser set at random. An anchor is moved with the weights; the condition stays. Exit code 1 when a claim fails.

Examples:
  weightloom verify edge-mpnn
  weightloom verify ./my-denoiser.ts --symmetry hidden-permutation --json
  weightloom verify transformer-hidden --symmetry ./my-group.ts
  weightloom verify transformer-hidden --zoo configs/zoo/embedded --normaliser coordinate`,
    )
    .action(async (name: string, options: Options) => {
      const { loadDenoiser, smallConfig } = await import('../../denoisers/index.ts');
      const { verifyDenoiser } = await import('../../evaluation/index.ts');
      const { interruption, progressBar } = await import('../../runs/index.ts');
      const { SYMMETRY_NAMES } = await import('../../nca/index.ts');
      const { startBackend } = await import('../../tensor/index.ts');
      const symmetries: SymmetryName[] | undefined = options.symmetry && [];
      for (const given of options.symmetry ?? []) {
        symmetries?.push(
          isPath(given) ? await ownSymmetry(given) : oneOf('--symmetry', SYMMETRY_NAMES, given),
        );
      }
      await startBackend();
      const kind: DenoiserKind = await loadDenoiser(name);
      const sizes = options.full ? (kind.defaults as object) : smallConfig(kind);
      const config = orThrow(decode(kind.config, { ...sizes, ...options.set }, name));
      const claims = (spec: NcaSpec) => {
        const denoiser = kind.build(config, { spec, condition: null, seed: 0 });
        denoiser.dispose();
        return denoiser.symmetries;
      };
      const { spec, around } = await ground(options, claims);
      const { signal, release } = interruption();
      let bar: ReturnType<typeof progressBar> | undefined;
      try {
        const verdicts = await verifyDenoiser(kind, {
          spec,
          around,
          config,
          symmetries,
          trials: options.trials,
          seed: options.seed,
          signal,
          onProgress(done, total, symmetry) {
            bar ??= progressBar('verify', total);
            bar.update(done, symmetry);
          },
        });
        bar?.stop();
        bar = undefined;
        const subject = around ? `${kind.name} with a normaliser per ${options.normaliser}` : kind.name;
        if (options.json) {
          console.log(
            JSON.stringify({ denoiser: kind.name, config, spec, seed: options.seed, verdicts }, null, 2),
          );
        } else {
          console.log(`${subject} on ${spec.name}; ${JSON.stringify(config)}`);
          await printTable(verdicts);
          const small = around ? '' : ', and on those it takes of 5 or 6 channels and 2 or 3 hidden units';
          console.log(
            `Checked up to ${spec.hidden} hidden units: on ${spec.name} (${spec.channels} channels)${small}.`,
          );
        }
        const broken = verdicts.filter(({ claimed, holds }) => claimed && !holds);
        if (broken.length > 0) {
          throw new UserError(
            `${subject} claims ${broken.map(({ symmetry }) => symmetry).join(', ')} and does not keep ${broken.length > 1 ? 'them' : 'it'} (seed ${options.seed}).`,
          );
        }
      } finally {
        bar?.stop();
        release();
      }
    });
}
