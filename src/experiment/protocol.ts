/**
 * How every experiment on a zoo proceeds: a study is opened, methods give weights for its held-out textures, all are run and measured alike,
 * and the baselines stand beside them. What is costly is done once, however often the run is stopped and resumed.
 */
import * as t from 'io-ts';
import { natural, optional, whole } from '../config/index.ts';
import { zooHash } from '../data/index.ts';
import {
  BASELINES,
  compareMethods,
  type Method,
  type MethodResult,
  ORBIT_BASELINES,
  type PairMetric,
  pairMetrics,
} from '../evaluation/index.ts';
import { digest, progressBar, withBar } from '../runs/index.ts';
import { RolloutSettingsCodec, TrainingSettingsCodec } from '../training/index.ts';
import {
  type Contender,
  type ContenderRecord,
  type ContenderSampleOptions,
  type ContenderSettings,
  SamplingSettingsCodec,
  trainContender,
} from './contender.ts';
import type { RunContext } from './experiment.ts';
import { buildEncoder } from './model/index.ts';
import {
  type AnsweredPictures,
  BOUND,
  baselineMethods,
  openStudy,
  renderingSteps,
  type Study,
  zooFolder,
} from './study.ts';
import { sourceOf } from './unfinished.ts';

/** A registered kind, or the path of a TypeScript file, and its parameters. */
export const KindCodec = t.intersection(
  [t.strict({ kind: t.string }), t.UnknownRecord],
  'a mapping with kind',
);

/**
 * Configuration keys of every experiment on a zoo, to be spread into its codec. Every one must stand in its .yaml: null where it is not used.
 *
 *     const Parameters = t.strict({ ...studyKeys, seed: whole });
 *
 *     # and in the .yaml
 *     defaults: [{ encoder: random-gram }]
 *     zoo: embedded
 *     picture: null
 *     evaluation: { steps: null, seed: 1000 }
 *     limit: { train: null, heldOut: null }
 */
export const studyKeys = {
  /** A folder, or `embedded`. */
  zoo: t.string,
  /** What NCAs are conditioned on; null takes textures where all have one. */
  picture: optional(t.keyof({ texture: null, rendering: null })),
  encoder: KindCodec,
  evaluation: t.intersection([
    t.strict({ steps: optional(natural), seed: whole }),
    t.partial({
      /** Whose textures are answered and measured; default held-out. Settings are chosen on validation. */
      split: t.keyof({ 'held-out': null, validation: null }),
      /** The baselines that are measured; default all. Those over orbits encode 384 pictures a texture. */
      baselines: t.array(t.keyof({ ...BASELINES, ...ORBIT_BASELINES, [BOUND]: null })),
    }),
  ]),
  /** For trials: only so many NCAs of each split. */
  limit: t.strict({ train: optional(natural), heldOut: optional(natural) }),
};
const StudyKeys = t.strict(studyKeys);
/** What `studyKeys` decodes to. */
export type StudyKeys = t.TypeOf<typeof StudyKeys>;

/**
 * Configuration keys of every experiment that trains denoisers, beside `studyKeys`: what `Protocol.contend` is given. Every one must stand in the
 * .yaml: null for no rollout loss; of `training` and `rollout` what differs from their defaults.
 *
 *     # in the .yaml
 *     diffusion: { process: edm }
 *     training: { steps: 200, batch: 32 }
 *     rollout: null
 *     sampling: { steps: 18, guidance: 1 }
 */
export const contestKeys = {
  diffusion: t.UnknownRecord,
  training: t.partial(TrainingSettingsCodec.type.props),
  rollout: optional(t.partial(RolloutSettingsCodec.type.props)),
  sampling: SamplingSettingsCodec,
};

/**
 * What an experiment works with: an open study, its metrics and baselines, and trainings that a resumed run does not repeat. Made by
 * `withProtocol`.
 */
export interface Protocol {
  /** Training and held-out NCAs. Closed when the work on it is done. */
  readonly study: Study;
  /** The first one leads tables and charts. */
  readonly metrics: readonly PairMetric[];
  /** NCA steps to the measured picture. */
  readonly ncaSteps: number;
  /** Of the masks of the measured pictures: held-out texture i has the i-th of `seedsFor` it. */
  readonly maskSeed: number;
  /**
   * Work on this study that a resumed run takes from its folder where an earlier try had finished it: the trainings of `contend`, and
   * whatever else takes long.
   * @param key what the result depends on besides the study and the configuration: JSON and typed arrays
   * @param work its result is plain data: JSON, typed arrays, undefined
   */
  once<T>(key: unknown, work: () => Promise<T>): Promise<T>;
  /** Runs and measures methods: all with the same masks. */
  measure(methods: readonly Method[], label?: string): Promise<MethodResult[]>;
  /** All baselines and the bound, measured, or only those with some names. */
  baselines(seed: number, only?: readonly string[]): Promise<MethodResult[]>;
  /** The same protocol on another study, such as one of fewer training NCAs; the caller disposes of it. */
  on(study: Study): Protocol;
  /**
   * Trains, then samples: a denoiser is trained on the study and sampled for its held-out textures, once for each named way. A resumed run takes what
   * was finished from its folder. The denoiser's tensors are disposed of, after a last look at it.
   * @param ways by the name the method has in tables; default one, as the settings have it, under the contender's label
   * @param inspect the last look: what it returns is plain data, as `once` keeps it
   */
  contend<T = undefined>(
    settings: ContenderSettings,
    ways?: Readonly<Record<string, Omit<ContenderSampleOptions, 'onProgress'>>>,
    inspect?: (contender: Contender) => Promise<T>,
  ): Promise<{ contender: ContenderRecord; methods: Method[]; inspected: T }>;
}

/**
 * Opens the study of a configuration, works on it and closes it, whatever happens.
 *
 *     await withProtocol(context, parameters, async protocol => {
 *       const results = await protocol.baselines(parameters.seed);
 *       await writeComparison(context, protocol, { experiment, parameters, results, contenders: [] });
 *     });
 *
 * @returns what the work returns
 * @throws UserError when zoo or encoder cannot be read or built, or a split has fewer than two NCAs; what the work throws
 */
export async function withProtocol<T>(
  context: RunContext,
  /** `pictureSize`: the side that pictures are brought to; default that of the zoo's first. `answered`: see `StudyOptions`. */
  keys: StudyKeys & { readonly pictureSize?: number; readonly answered?: AnsweredPictures },
  work: (protocol: Protocol) => Promise<T>,
): Promise<T> {
  const encoder = await buildEncoder(keys.encoder, 0);
  let study: Study | undefined;
  try {
    // A bar of its own, for a dry run goes past it.
    study = await withBar(progressBar, 'encode pictures', onProgress =>
      openStudy({
        signal: context.signal,
        onProgress,
        zoo: zooFolder(keys.zoo),
        encoder,
        picture: keys.picture ?? undefined,
        measured: keys.evaluation.split,
        size: keys.pictureSize,
        answered: keys.answered,
        limit: { train: keys.limit.train ?? undefined, heldOut: keys.limit.heldOut ?? undefined },
      }),
    );
    const { train, heldOut, spec, size, pictured, zoo } = study;
    context.run.pin(`the zoo ${keys.zoo}`, zooHash(zoo));
    context.say(
      `${train.names.length} training and ${heldOut.names.length} ${keys.answered ? 'new' : (keys.evaluation.split ?? 'held-out')} NCAs of ${spec.name} (${train.weights.length / train.names.length} weights each), ${pictured}s of ${size} px`,
    );
    return await work(protocolOf(context, study, keys));
  } finally {
    study?.dispose();
    encoder.dispose();
  }
}

/** Tells studies apart, by all that results on them depend on. */
async function studyKey({ train, heldOut, encoder, zoo }: Study): Promise<string> {
  const sets = [train, heldOut].map(async ({ weights, features, pictures }) => [
    weights,
    await features.data(),
    await pictures.data(),
  ]);
  return digest([encoder.fingerprint, zoo.base, await Promise.all(sets)]);
}

function protocolOf(
  context: RunContext,
  study: Study,
  { evaluation }: Pick<StudyKeys, 'evaluation'>,
): Protocol {
  const metrics = pairMetrics(0, study.size);
  const ncaSteps = evaluation.steps ?? renderingSteps(study.zoo);
  const { heldOut, spec, size } = study;
  const { signal } = context;
  const measure: Protocol['measure'] = async (methods, label = 'run and measure') => {
    const bar = context.progress(label, methods.length);
    try {
      return await compareMethods({
        spec,
        methods,
        targets: heldOut.pictures,
        metrics,
        steps: ncaSteps,
        size,
        seed: evaluation.seed,
        signal,
        onProgress: done => bar.update(done),
      });
    } finally {
      bar.stop();
    }
  };
  let known: Promise<string> | undefined;
  const once: Protocol['once'] = async (key, work) => {
    known ??= studyKey(study);
    return context.run.once([await known, key], work);
  };
  return {
    study,
    metrics,
    ncaSteps,
    maskSeed: evaluation.seed,
    once,
    measure,
    on: other => protocolOf(context, other, { evaluation }),
    async baselines(seed, only = evaluation.baselines) {
      const bar = context.progress('baselines', heldOut.names.length);
      const methods = await baselineMethods(study, seed, {
        only,
        signal,
        onProgress: done => bar.update(done),
      }).finally(() => bar.stop());
      return measure(methods, 'run and measure baselines');
    },
    contend: (settings, ways, inspect) =>
      once([settings, sourceOf(settings.denoiser), ways ?? null], async () => {
        const contender = await trainContender(context, study, settings);
        const { label, symmetries, curve, trainingSeconds, parameterCount } = contender;
        const methods: Method[] = [];
        const bar = context.progress(
          `sample ${label}`,
          Object.keys(ways ?? { '': 0 }).length * heldOut.names.length,
        );
        try {
          for (const [name, options] of Object.entries(ways ?? { [label]: {} })) {
            const before = methods.length * heldOut.names.length;
            const weights = await contender.sample(heldOut, {
              ...options,
              onProgress: done => bar.update(before + Math.floor(done)),
            });
            methods.push({ name, kind: 'denoiser', weights });
          }
          return {
            contender: { label, symmetries, curve, trainingSeconds, parameterCount },
            methods,
            inspected: (await inspect?.(contender)) as Awaited<ReturnType<NonNullable<typeof inspect>>>,
          };
        } finally {
          bar.stop();
          contender.dispose();
        }
      }),
  };
}
