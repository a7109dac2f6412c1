/**
 * Under which settings does a denoiser sample, and what does that cost? One denoiser is trained under several processes, each with several budgets, and
 * every model draws several samples a texture: spread alone proves nothing, so the measures of sampling stand side by side. By default on the validation
 * split, where settings are chosen.
 */
import * as t from 'io-ts';
import { mappingOf, natural } from '../src/config/index.ts';
import { drawing, drawnMethods, type SamplingDraws } from '../src/experiment/index.ts';
import {
  type ContenderRecord,
  contestKeys,
  type Experiment,
  listOf,
  loadDenoiser,
  type Method,
  studyKeys,
  trainingSection,
  whole,
  withProtocol,
  writeComparison,
} from '../src/index.ts';
import { TRAINING_DEFAULTS } from '../src/training/index.ts';

const { diffusion: _, ...trainingKeys } = contestKeys;

const Parameters = t.strict({
  ...studyKeys,
  ...trainingKeys,
  seed: whole,
  denoiser: t.string,
  /** Processes by the name they have in tables, each whole. */
  processes: mappingOf(t.UnknownRecord),
  preset: t.string,
  /** Budgets of each process, in multiples of `training.steps`. */
  budgets: listOf(natural),
});
type Parameters = t.TypeOf<typeof Parameters>;

const samplingSettings: Experiment<Parameters> = {
  name: 'sampling-settings',
  question:
    'Under which noise, preconditioning and budget does a denoiser sample the weights of NCAs, rather than regress them or grow garbage?',
  parameters: Parameters,

  async run(context, parameters) {
    const { denoiser, processes, budgets, training, rollout, sampling, seed } = parameters;
    await loadDenoiser(denoiser);
    await withProtocol(context, parameters, async protocol => {
      const contenders: ContenderRecord[] = [];
      const methods: Method[] = [];
      const draws: SamplingDraws[] = [];
      for (const [name, diffusion] of Object.entries(processes)) {
        for (const budget of budgets) {
          const steps = budget * (training.steps ?? TRAINING_DEFAULTS.steps);
          const found = await protocol.contend(
            {
              denoiser,
              label: `${name}, ${steps} steps`,
              diffusion,
              training: { ...training, steps },
              rollout,
              sampling,
              seed,
            },
            undefined,
            drawing(context, protocol.study, sampling.draws ?? 8, {
              nullModel: !draws.some(({ kind }) => kind === 'null model'),
            }),
          );
          contenders.push(found.contender);
          const drawn = drawnMethods(found.inspected);
          methods.push(...found.methods, ...drawn.baselines);
          draws.push(...drawn.draws);
        }
      }
      await writeComparison(context, protocol, {
        experiment: samplingSettings,
        parameters,
        results: [...(await protocol.measure(methods)), ...(await protocol.baselines(seed))],
        contenders,
        draws,
        requireSampling: sampling.require,
        sections: [await trainingSection(contenders)],
      });
    });
  },
};

export default samplingSettings;
