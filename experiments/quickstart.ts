/**
 * The whole way once: a texture nobody trained on goes in, a denoiser samples the weights of an NCA, the NCA grows a texture.
 */
import * as t from 'io-ts';
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
});
type Parameters = t.TypeOf<typeof Parameters>;

const quickstart: Experiment<Parameters> = {
  name: 'quickstart',
  question:
    'A texture that nobody trained on goes in; can a diffusion model over the weights of neural cellular automata sample the weights of one that grows it? Two denoisers, one on the parameter graph and one on a sequence of weight tokens, are trained under equal budgets and set against everything simpler.',
  parameters: Parameters,

  async run(context, parameters) {
    const { seed, denoisers, diffusion, training, rollout, sampling } = parameters;
    // A misspelt name should not wait for its turn.
    for (const denoiser of denoisers) await loadDenoiser(denoiser);
    await withProtocol(context, parameters, async protocol => {
      const contenders: ContenderRecord[] = [];
      const methods: Method[] = [];
      for (const denoiser of denoisers) {
        const found = await protocol.contend({
          denoiser,
          parameters: parameters.parameters[denoiser],
          diffusion,
          training,
          rollout,
          sampling,
          seed,
        });
        contenders.push(found.contender);
        methods.push(...found.methods);
      }
      await writeComparison(context, protocol, {
        experiment: quickstart,
        parameters,
        results: [...(await protocol.measure(methods)), ...(await protocol.baselines(seed))],
        contenders,
        sections: [await trainingSection(contenders)],
      });
    });
  },
};

export default quickstart;
