/** What a model is worth for a picture of one's own, in words and figures: by distances that are stated, and by the fine-tuning it takes to reach them. */
import { type Bounds, isReached, iterationsTo, type MethodResult } from '../evaluation/index.ts';
import { number } from './figures.ts';
import type { Tuning, TuningCurve } from './goal-times.ts';

/** What a verdict goes by: the distance that NCAs are trained with, and the same with the mean colour removed. */
export const JUDGED = ['patch-sw', 'patch-sw-structure'] as const;

/** The quality that is asked for, of both distances. */
export interface Quality {
  /** So many times the distance of an NCA that was trained for the picture. */
  readonly timesOwn: number;
  /** Nearer than this, in brightness, is always enough. */
  readonly least: number;
  /** Where the NCA trained for a picture shows it worse than this share of the zoo's NCAs show theirs, the picture does not suit. */
  readonly worst: number;
}

/** [M] distances of a method over those that are asked for, the worse of both: the quality is reached from 1 down. */
export const timesGoal = (
  { values }: Pick<MethodResult, 'values'>,
  bound: Pick<MethodResult, 'values'>,
  { timesOwn, least }: Quality,
): Float64Array =>
  values[JUDGED[0]].map((_, i) =>
    Math.max(
      ...JUDGED.map(metric => values[metric][i] / Math.max(least, timesOwn * bound.values[metric][i])),
    ),
  );

/** What starts are called before people who do not know the experiments. */
const SHOWN: Readonly<Record<string, string>> = {
  'one step': 'one-step answer',
  nearest: 'nearest of the zoo',
  'nearest-orbit': 'nearest, recoloured',
  ridge: 'ridge regression',
  base: 'the zoo’s base',
};
export const startName = (start: string): string => SHOWN[start] ?? start;

/** What verdicts are made from. */
export interface Judged {
  /** Fine-tuning from every start; the bound are NCAs trained for the pictures. */
  readonly tuning: Tuning;
  /** Which of the starts are the model's. */
  readonly ofModel: readonly string[];
  /** Single samples of the model: one for a regression. */
  readonly samples: readonly MethodResult[];
  readonly quality: Quality;
  /** What is wrong with the NCA trained for each picture; null when nothing is. */
  readonly faults: readonly (string | null)[];
}

/** What fine-tuning from one start takes. */
export interface Cost {
  readonly start: string;
  readonly iterations: Bounds;
  /** The same in seconds, of one NCA among those that trained side by side. */
  readonly seconds: Bounds;
  /** Times the goal, before and after all fine-tuning. */
  readonly before: number;
  readonly after: number;
}

/** The verdict on one picture. */
export interface Verdict {
  readonly verdict: 'works' | 'needs fine-tuning' | 'does not work';
  readonly sentence: string;
  /** How many of the samples reach the quality without fine-tuning. */
  readonly reached: number;
  /** The model's best start, and what every start takes. */
  readonly best: Cost;
  readonly costs: readonly Cost[];
}

const scaled = ({ low, high }: Bounds, factor: number): Bounds => ({
  low: low * factor,
  high: high * factor,
});

function costOf(curve: TuningCurve, i: number, { tuning, quality }: Judged): Cost {
  const { checkpoints, bound } = tuning;
  const along = curve.results.map(result => timesGoal(result, bound, quality)[i]);
  // A single picture's curve is not smooth: reached is what is kept until the end.
  const kept = along.map((_, c) => Math.max(...along.slice(c)));
  const iterations = along[0] <= 1 ? { low: 0, high: 0 } : iterationsTo(checkpoints, kept, 1);
  const perIteration = curve.seconds / (checkpoints.at(-1)! * bound.health.length);
  return {
    start: curve.start,
    iterations,
    seconds: scaled(iterations, perIteration),
    before: along[0],
    after: along.at(-1)!,
  };
}

/** Fewer iterations first; where none reaches it, what comes nearest. */
const sooner = (a: Cost, b: Cost) =>
  a.iterations.high === b.iterations.high ? a.after - b.after : a.iterations.high - b.iterations.high;

const count = ({ high }: Bounds) => Math.ceil(high);
const seconds = (x: number) => `${number(Number(x.toPrecision(2)))} s`;

/** What a start takes, in words. */
export const costText = ({ iterations, seconds: time }: Cost): string =>
  !isReached(iterations)
    ? `more than ${iterations.low}`
    : iterations.high === 0
      ? 'none'
      : `${count(iterations)} (${seconds(time.high)})`;

/** One verdict a picture. */
export function verdictsOf(judged: Judged): Verdict[] {
  const { tuning, ofModel, samples, quality, faults } = judged;
  const last = tuning.checkpoints.at(-1)!;
  return faults.map((fault, i) => {
    const costs = tuning.curves.map(curve => costOf(curve, i, judged));
    const [best] = costs.filter(({ start }) => ofModel.includes(start)).sort(sooner);
    const [rival] = costs.filter(({ start }) => !ofModel.includes(start)).sort(sooner);
    const reached = samples.filter(sample => timesGoal(sample, tuning.bound, quality)[i] <= 1).length;
    const found = { reached, best, costs };
    if (fault !== null) {
      const sentence = `does not suit: even the NCA that was trained for it, as those of the zoo were, hardly shows it (${fault}).`;
      return { ...found, verdict: 'does not work', sentence };
    }
    const against = rival ? rivalText(best, rival) : '';
    if (best.iterations.high === 0) {
      const many = samples.length > 1 ? `, ${reached} of ${samples.length} samples have it` : '';
      const sentence = `works as it is: the quality asked for is there without fine-tuning (${startName(best.start)}${many}). ${against}`;
      return { ...found, verdict: 'works', sentence };
    }
    if (isReached(best.iterations)) {
      const n = count(best.iterations);
      const sentence = `needs about ${n} iterations of fine-tuning, ${seconds(best.seconds.high)} on this machine (start: ${startName(best.start)}). ${against}`;
      return { ...found, verdict: 'needs fine-tuning', sentence };
    }
    const sentence = `does not work: after ${last} iterations of fine-tuning it is still ${number(best.after)} times as far as asked for (start: ${startName(best.start)}). ${against}`;
    return { ...found, verdict: 'does not work', sentence };
  });
}

/** What the best start without the model takes. */
function rivalText(best: Cost, rival: Cost): string {
  const name = `Best start without the model: ${startName(rival.start)},`;
  if (!isReached(rival.iterations)) return `${name} which does not get there.`;
  if (rival.iterations.high === 0) return `${name} which has the quality at once.`;
  const fewer = count(rival.iterations) < count(best.iterations) ? ': fewer' : '';
  return `${name} ${count(rival.iterations)} iterations${fewer}.`;
}
