/** `weightloom sample --compare`: the experiment `photographs`, by the options of `sample`. */
import { UserError } from '../config/index.ts';
import type { SamplerName } from '../diffusion/index.ts';
import { commandLine } from './command-line.ts';

/** Options of `weightloom sample` that a comparison takes; what is left out is as configs/photographs.yaml has it. */
export interface ComparedOptions {
  readonly run: string;
  readonly image?: readonly string[];
  readonly zoo?: string;
  readonly pixelsPerTexel?: number | 'fit';
  readonly out?: string;
  readonly count?: number;
  readonly steps?: number;
  readonly guidance?: number;
  readonly sampler?: SamplerName;
  /** Iterations at most; 0: as many as the zoo's NCAs had. */
  readonly finetune: number;
  readonly module?: readonly string[];
  readonly seed: number;
  readonly ncaSteps?: number;
}

/** Runs the comparison in a run folder of its own. */
export async function compare(options: ComparedOptions): Promise<void> {
  if (!options.image?.length)
    throw new UserError('option --image: expected pictures to compare on, found none.', 2);
  const { loadExperiment, runExperiment } = await import('../experiment/index.ts');
  const { configOf, experimentConfig } = await import('../runs/index.ts');
  const experiment = await loadExperiment('photographs');
  const values: Record<string, unknown> = {
    model: options.run,
    images: options.image,
    zoo: options.zoo,
    pixelsPerTexel: options.pixelsPerTexel,
    modules: options.module,
    seed: options.seed,
    'sampling.draws': options.count,
    'sampling.steps': options.steps,
    'sampling.guidance': options.guidance,
    'sampling.sampler': options.sampler,
    'evaluation.steps': options.ncaSteps,
    'fineTuning.iterations': options.finetune || undefined,
  };
  // Options are literal text; an override's value is YAML, which JSON is too.
  const overrides = Object.entries(values).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key}=${JSON.stringify(value)}`],
  );
  const { parameters } = await experimentConfig(experiment, configOf('photographs', experiment), overrides);
  await runExperiment(experiment, parameters, { folder: options.out, command: commandLine() });
}
