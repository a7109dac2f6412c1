/**
 * How good is a trained model on a zoo's held-out textures? A model of `weightloom train`, or of an earlier run, is sampled and measured by the same protocol as every
 * experiment: the same masks, metrics, baselines, measures of sampling and audit.
 */
import * as t from 'io-ts';
import { refuse } from '../src/config/index.ts';
import {
  drawableModel,
  drawing,
  drawnMethods,
  readModel,
  SamplingSettingsCodec,
} from '../src/experiment/index.ts';
import {
  type Experiment,
  type Method,
  studyKeys,
  weightCount,
  whole,
  withProtocol,
  writeComparison,
} from '../src/index.ts';

const { encoder: _, ...zooKeys } = studyKeys;

const Parameters = t.strict({
  ...zooKeys,
  /** Folder of the run that holds the model. */
  model: t.union([t.string, t.null]),
  /** TypeScript files that the model may be built with: see `weightloom sample --module`. */
  modules: t.array(t.string),
  sampling: SamplingSettingsCodec,
  seed: whole,
});
type Parameters = t.TypeOf<typeof Parameters>;

const evaluate: Experiment<Parameters> = {
  name: 'evaluate',
  question:
    'What does a trained model make of textures that it has not seen, beside everything simpler, and does it sample?',
  parameters: Parameters,

  async run(context, parameters) {
    const { model: folder, modules, sampling, seed } = parameters;
    if (folder === null)
      return refuse('configuration', 'the run folder of a trained model', 'none', {
        field: 'model',
        hint: 'weightloom evaluate --run FOLDER',
      });
    const model = await readModel(folder, { sampler: sampling.sampler, modules });
    const { denoiser, encoder, spec, config } = model;
    try {
      const keys = { ...parameters, encoder: config.encoder ?? { kind: 'random-gram' } };
      await withProtocol(context, { ...keys, pictureSize: model.pictureSize }, async protocol => {
        const { study } = protocol;
        if (weightCount(study.spec) !== weightCount(spec) || study.spec.channels !== spec.channels)
          refuse(folder, `a model of NCAs of ${study.spec.name}, as the zoo's are`, spec.name);
        const contender = drawableModel(model, { ...sampling, seed, signal: context.signal });
        const draw = drawing(context, study, sampling.draws ?? 8, { nullModel: true });
        const compared = await protocol.once(['evaluate', folder, parameters], () => draw(contender));
        const { draws, baselines } = drawnMethods(compared);
        const methods: Method[] = [
          { name: contender.label, kind: 'denoiser', weights: compared.own.samples[0] },
          ...baselines,
        ];
        await writeComparison(context, protocol, {
          experiment: evaluate,
          parameters,
          results: [...(await protocol.measure(methods)), ...(await protocol.baselines(seed))],
          contenders: [],
          draws,
          requireSampling: sampling.require,
        });
      });
    } finally {
      denoiser.dispose();
      encoder?.dispose();
    }
  },
};

export default evaluate;
