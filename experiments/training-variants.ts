/**
 * What do exact augmentation, a loss through the rollout and canonicalised sampling each bring, at equal budgets? Every denoiser is trained
 * plainly, on turned and recoloured copies, and with the rollout loss; the models are sampled as they are and in the frame of the
 * nearest training picture; several seeds, against all baselines.
 */
import * as t from 'io-ts';
import { meanOverSeeds } from '../src/evaluation/index.ts';
import type { ContenderSampleOptions } from '../src/experiment/index.ts';
import {
  type ContenderRecord,
  contestKeys,
  type Experiment,
  listOf,
  loadDenoiser,
  type MethodResult,
  type Protocol,
  type RunContext,
  studyKeys,
  whole,
  withProtocol,
  writeComparison,
} from '../src/index.ts';
import { RolloutSettingsCodec } from '../src/training/index.ts';

const variant = t.keyof({
  plain: null,
  augmented: null,
  rollout: null,
  canonical: null,
  'rollout+canonical': null,
});
type Variant = t.TypeOf<typeof variant>;
const symmetries = t.array(t.keyof({ colour: null, d4: null }));

const Parameters = t.strict({
  ...studyKeys,
  ...contestKeys,
  preset: t.string,
  seeds: listOf(whole),
  denoisers: listOf(t.string),
  variants: listOf(variant),
  augmentation: symmetries,
  canonical: symmetries,
  rollout: t.partial(RolloutSettingsCodec.type.props),
});
type Parameters = t.TypeOf<typeof Parameters>;

/** How a model is trained, and the variants that sample it. */
const TRAININGS: Record<
  'plain' | 'augmented' | 'rollout',
  { readonly direct: Variant; readonly framed?: Variant }
> = {
  plain: { direct: 'plain', framed: 'canonical' },
  augmented: { direct: 'augmented' },
  rollout: { direct: 'rollout', framed: 'rollout+canonical' },
};

/** All wanted variants of one denoiser with one seed, measured. */
async function variantsOf(
  { run }: RunContext,
  protocol: Protocol,
  denoiser: string,
  seed: number,
  { variants, augmentation, canonical, rollout, diffusion, training, sampling }: Parameters,
) {
  const results: MethodResult[] = [];
  const contenders: ContenderRecord[] = [];
  for (const [name, { direct, framed }] of Object.entries(TRAININGS)) {
    const ways: Record<string, ContenderSampleOptions> = {};
    if (variants.includes(direct)) ways[`${denoiser} ${direct}`] = {};
    if (framed && variants.includes(framed)) ways[`${denoiser} ${framed}`] = { canonical };
    if (Object.keys(ways).length === 0) continue;
    const { contender, methods } = await protocol.contend(
      {
        denoiser,
        label: `${denoiser} ${name} (seed ${seed})`,
        diffusion,
        training,
        rollout: name === 'rollout' ? rollout : null,
        augmentation: name === 'augmented' ? augmentation : [],
        sampling,
        seed,
      },
      ways,
    );
    contenders.push(contender);
    results.push(...(await protocol.measure(methods)));
  }
  for (const { name, values } of results) run.log({ method: name, seed, values });
  return { results, contenders };
}

const trainingVariants: Experiment<Parameters> = {
  name: 'training-variants',
  question:
    'What do exact augmentation, a loss through the rollout, and sampling in the frame of the nearest training picture each bring, at equal budgets?',
  parameters: Parameters,

  async run(context, parameters) {
    const { denoisers, seeds } = parameters;
    for (const denoiser of denoisers) await loadDenoiser(denoiser);
    await withProtocol(context, parameters, async protocol => {
      const contenders: ContenderRecord[] = [];
      const runs: MethodResult[] = [];
      for (const denoiser of denoisers) {
        for (const seed of seeds) {
          const found = await variantsOf(context, protocol, denoiser, seed, parameters);
          contenders.push(...found.contenders);
          runs.push(...found.results);
        }
      }
      await writeComparison(context, protocol, {
        experiment: trainingVariants,
        parameters,
        results: [...meanOverSeeds(runs), ...(await protocol.baselines(seeds[0]))],
        contenders,
      });
    });
  },
};

export default trainingVariants;
