/** The loss along a training: what tables and plots show, and what a checkpoint keeps of it. */
import * as t from 'io-ts';
import { decode, orThrow } from '../config/index.ts';
import type { CheckpointOptions, StepRecord } from '../training/index.ts';

/** A point of a curve: means over the steps since the one before. */
export interface CurvePoint {
  readonly step: number;
  readonly seconds: number;
  readonly loss: number;
  readonly rolloutLoss?: number;
}

const Point = t.intersection([
  t.strict({ step: t.number, seconds: t.number, loss: t.number }),
  t.partial({ rolloutLoss: t.number }),
]);
const Saved = t.strict({
  points: t.array(Point),
  losses: t.array(t.number),
  rollouts: t.array(t.number),
});

/** A curve that grows with a training, and goes on where the training goes on. */
export interface TrainingCurve {
  readonly points: readonly CurvePoint[];
  record(step: StepRecord): void;
  /** Its state, for the training's checkpoints. */
  readonly beside: NonNullable<CheckpointOptions['beside']>;
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

/**
 * A point every so many steps and at the end, so that curves of single batches can be read.
 * @param onPoint is told of every point, those of an earlier try too
 */
export function trainingCurve(every: number, onPoint: (point: CurvePoint) => void): TrainingCurve {
  const points: CurvePoint[] = [];
  let [losses, rollouts]: [number[], number[]] = [[], []];
  const put = (point: CurvePoint) => {
    points.push(point);
    onPoint(point);
  };
  return {
    points,
    record({ step, steps, seconds, loss, rolloutLoss }) {
      losses.push(loss);
      if (rolloutLoss !== undefined) rollouts.push(rolloutLoss);
      if (step % every !== 0 && step !== steps) return;
      put({
        step,
        seconds,
        loss: mean(losses),
        ...(rollouts.length > 0 && { rolloutLoss: mean(rollouts) }),
      });
      [losses, rollouts] = [[], []];
    },
    beside: {
      save: (): t.TypeOf<typeof Saved> => ({ points, losses, rollouts }),
      restore(saved, where) {
        const { points: before, ...since } = orThrow(decode(Saved, saved, where));
        before.forEach(put);
        [losses, rollouts] = [[...since.losses], [...since.rollouts]];
      },
    },
  };
}
