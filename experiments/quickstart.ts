/**
 * The whole way once: a texture nobody trained on goes in, a denoiser samples the weights of an NCA, the NCA grows a texture.
 */
import * as t from 'io-ts';
import {
  checkContenders,
  drawing,
  drawnMethods,
  regressionTwin,
  type SamplingDraws,
} from '../src/experiment/index.ts';
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

const Parameters = t.strict({
  ...studyKeys,
  ...contestKeys,
  seed: whole,
  denoisers: listOf(t.string),
  parameters: t.record(t.string, t.UnknownRecord),
  /** Trains each denoiser once more as a regression, with the same budget. */
  regression: t.boolean,
});
type Parameters = t.TypeOf<typeof Parameters>;

const quickstart: Experiment<Parameters> = {
  name: 'quickstart',
  question:
    'A texture that nobody trained on goes in; can a diffusion model over the weights of neural cellular automata sample the weights of one that grows it? Denoisers are trained under equal budgets, each beside the same network as a plain regression, and set against everything simpler.',
  parameters: Parameters,

  async run(context, parameters) {
    const { seed, denoisers, diffusion, training, rollout, sampling } = parameters;
    await checkContenders(
      denoisers.map(denoiser => ({
        where: '',
        denoiser,
        parameters: parameters.parameters[denoiser],
        diffusion,
        rollout,
      })),
    );
    await withProtocol(context, parameters, async protocol => {
      const contenders: ContenderRecord[] = [];
      const methods: Method[] = [];
      const draws: SamplingDraws[] = [];
      const twin = regressionTwin(diffusion);
      for (const denoiser of denoisers) {
        const { name } = await loadDenoiser(denoiser);
        for (const process of parameters.regression ? [diffusion, twin] : [diffusion]) {
          const found = await protocol.contend(
            {
              denoiser,
              label: process === twin ? `${name}, regression` : name,
              parameters: parameters.parameters[denoiser],
              diffusion: process,
              training,
              rollout,
              sampling,
              seed,
            },
            undefined,
            drawing(context, protocol.study, sampling.draws ?? 1, { nullModel: draws.length === 0 }),
          );
          contenders.push(found.contender);
          const drawn = drawnMethods(found.inspected);
          methods.push(...found.methods, ...drawn.baselines);
          draws.push(...drawn.draws);
        }
      }
      await writeComparison(context, protocol, {
        experiment: quickstart,
        parameters,
        results: [...(await protocol.measure(methods)), ...(await protocol.baselines(seed))],
        contenders,
        draws: (sampling.draws ?? 1) > 1 ? draws : [],
        requireSampling: sampling.require,
        sections: [await trainingSection(contenders)],
      });
    });
  },
};

export default quickstart;
