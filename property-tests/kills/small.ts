/** A small experiment for runs that are killed: two trainings, baselines, a table. `weightloom run property-tests/kills/small.ts` */
import {
  contestKeys,
  type Experiment,
  type Method,
  studyKeys,
  t,
  whole,
  withProtocol,
  writeComparison,
} from '../../src/index.ts';

const Parameters = t.strict({ ...studyKeys, ...contestKeys, seed: whole, denoisers: t.array(t.string) });
type Parameters = t.TypeOf<typeof Parameters>;

const small: Experiment<Parameters> = {
  name: 'small',
  question: 'Does a run that was killed end as one that was not?',
  parameters: Parameters,
  async run(context, parameters) {
    const { seed, diffusion, training, rollout, sampling } = parameters;
    await withProtocol(context, parameters, async protocol => {
      const methods: Method[] = [];
      const contenders = [];
      for (const denoiser of parameters.denoisers) {
        const found = await protocol.contend({ denoiser, diffusion, training, rollout, sampling, seed });
        contenders.push(found.contender);
        methods.push(...found.methods);
      }
      const results = [
        ...(await protocol.measure(methods)),
        ...(await protocol.baselines(seed, ['mean', 'nearest'])),
      ];
      await writeComparison(context, protocol, { experiment: small, parameters, results, contenders });
    });
  },
};

export default small;
