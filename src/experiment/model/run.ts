/** Carries a prepared training out in a run folder, from the start or from its latest checkpoint. */
import { join } from 'node:path';
import * as t from 'io-ts';
import { decode, orThrow, settle, UserError } from '../../config/index.ts';
import { makeFolder, writeAtomically } from '../../formats/index.ts';
import type { Progress } from '../../runs/index.ts';
import { checkThere, environment, pinInput, track } from '../../runs/index.ts';
import { backendReport } from '../../tensor/index.ts';
import {
  checkpointSteps,
  type StepRecord,
  setAsideDamaged,
  type TrainingResult,
  trainDenoiser,
} from '../../training/index.ts';
import { renderingSteps } from '../study.ts';
import { decisive, type TrainConfig } from './config.ts';
import type { TrainingJob } from './job.ts';
import { type Model, writeModel } from './model.ts';
import { trainingPreview } from './preview.ts';

/** Where a training runs, whether it goes on, and how it is watched and stopped. */
export interface RunTrainingOptions {
  /** The run folder, with its configuration already in it. */
  readonly folder: string;
  /** Goes on from the latest checkpoint. */
  readonly resume: boolean;
  /** When raised, the step is finished, a checkpoint written and the training returns. */
  readonly signal?: AbortSignal;
  readonly progress: (label: string, total: number, from?: number) => Progress;
}

/** Where the checkpoints of a run lie. */
export const checkpointFolder = (run: string) => join(run, 'checkpoints');

/**
 * Trains in a run folder: metrics, event files, previews, checkpoints, and at the end `model.safetensors`.
 * @throws UserError when the loss is not finite, or a file cannot be read or written
 */
export async function runTraining(job: TrainingJob, options: RunTrainingOptions): Promise<TrainingResult> {
  const { config } = job;
  const { folder, resume, signal } = options;
  const { steps } = config.training;
  // Metrics go on from the step that training goes on from.
  if (resume) await setAsideDamaged(checkpointFolder(folder));
  const resumedAt = resume ? (checkpointSteps(checkpointFolder(folder)).at(-1) ?? 0) : undefined;
  await makeFolder(folder);
  pinInput(folder, `the zoo ${config.zoo}`, job.dataHash);
  const tracker = track(folder, { resumedAt });
  const bar = options.progress('training', steps, resumedAt);
  const recorder = metricsRecorder(config, tracker.log);
  try {
    const result = await trainDenoiser({
      ...job,
      settings: { ...config.training, seed: config.seed },
      checkpoint: {
        ...config.checkpoint,
        folder: checkpointFolder(folder),
        identity: { config: decisive(config), dataHash: job.dataHash },
        environment: environment({ backend: backendReport() }),
        beside: recorder.beside,
        resume,
      },
      onStep(record) {
        recorder.record(record);
        const rollout =
          record.rolloutLoss === undefined ? '' : ` rollout ${record.rolloutLoss.toPrecision(3)}`;
        bar.update(record.step, `loss ${record.loss.toPrecision(3)}${rollout}`);
      },
      onValidation: ({ loss, bins }, step) =>
        tracker.log(step, {
          validation: { loss, bins: Object.fromEntries(bins.map((bin, i) => [binName(i), bin.loss])) },
        }),
      preview: config.preview
        ? {
            everySteps: config.preview.everySteps,
            async show(step) {
              const { png, width, height } = await trainingPreview(job);
              await settle(
                writeAtomically(join(folder, 'samples', `step-${String(step).padStart(8, '0')}.png`), png),
              );
              tracker.image(step, 'samples', png, { width, height });
            },
          }
        : undefined,
      signal,
    });
    if (result.stopped === 'non-finite') {
      throw new UserError(
        `The loss at step ${result.steps + 1} is not finite. Its batch and the state before it are in ${result.studyFolder}.`,
      );
    }
    checkThere(folder);
    if (result.stopped !== 'interrupted') await writeModel(folder, modelOf(job), result.steps);
    return result;
  } finally {
    bar.stop();
    tracker.close();
  }
}

/** The job's models as they are now. */
export const modelOf = (job: TrainingJob): Model => ({
  ...job,
  spec: job.study.spec,
  pictureSize: job.study.size,
  ncaSteps: renderingSteps(job.study.zoo),
  trainFeatures: job.data.features,
});

/** With a letter, so that no JSON reader takes them for numbers and sorts them apart. */
const binName = (bin: number) => `b${String(bin).padStart(2, '0')}`;

/** What a record is made of, of one step. */
const GatheredCodec = t.intersection([
  t.strict({
    loss: t.number,
    gradientNorm: t.number,
    clippedNorm: t.number,
    /** By noise bin; null where the batch has none in it. */
    binLosses: t.array(t.union([t.number, t.null])),
  }),
  t.partial({ rolloutLoss: t.number }),
]);
type Gathered = t.TypeOf<typeof GatheredCodec>;

/** Gathers steps into records: means since the last record, the loss also by noise bin. */
function metricsRecorder(
  { logEvery, training }: TrainConfig,
  write: (step: number, record: Record<string, unknown>) => void,
) {
  const bins = training.validationBins;
  let gathered: Gathered[] = [];
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  return {
    record(record: StepRecord) {
      gathered.push({
        loss: record.loss,
        rolloutLoss: record.rolloutLoss,
        gradientNorm: record.gradientNorm,
        clippedNorm: record.gradientNorm * record.clipFactor,
        binLosses: Array.from(record.binLosses(bins), loss => (Number.isNaN(loss) ? null : loss)),
      });
      if (record.step % logEvery !== 0 && record.progress < 1) return;
      const binned = Array.from({ length: bins }, (_, bin): [string, number] => [
        binName(bin),
        mean(gathered.flatMap(({ binLosses }) => binLosses[bin] ?? [])),
      ]).filter(([, loss]) => !Number.isNaN(loss));
      const rollouts = gathered.flatMap(({ rolloutLoss }) => rolloutLoss ?? []);
      write(record.step, {
        loss: mean(gathered.map(({ loss }) => loss)),
        ...(rollouts.length > 0 && { rolloutLoss: mean(rollouts) }),
        learningRate: record.learningRate,
        gradientNorm: mean(gathered.map(({ gradientNorm }) => gradientNorm)),
        clippedNorm: mean(gathered.map(({ clippedNorm }) => clippedNorm)),
        seconds: record.seconds,
        samplesPerSecond: (record.step * training.batch) / record.seconds,
        bins: Object.fromEntries(binned),
      });
      gathered = [];
    },
    /** What is gathered since the last record, for checkpoints between two. */
    beside: {
      save: () => gathered,
      restore(saved: unknown, where: string) {
        gathered = orThrow(decode(t.array(GatheredCodec), saved, where));
      },
    },
  };
}
