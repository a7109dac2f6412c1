/** How the contenders' training went, as a section of a report. */

import { lineChart, plots, type Section } from '../../report/index.ts';
import type { ContenderRecord } from '../contender.ts';

/** Curves of the denoising loss, and of the texture loss of the denoised weights' rollouts. */
export async function trainingSection(contenders: readonly ContenderRecord[]): Promise<Section> {
  const points = (value: 'loss' | 'rolloutLoss') =>
    contenders.flatMap(({ label, curve }) =>
      curve.flatMap(point =>
        point[value] === undefined ? [] : [{ series: label, x: point.step, y: point[value] }],
      ),
    );
  const charts = [lineChart({ x: 'step', y: 'denoising loss', logY: true, points: points('loss') })];
  if (points('rolloutLoss').length > 0) {
    charts.push(lineChart({ x: 'step', y: 'texture loss of rollouts', points: points('rolloutLoss') }));
  }
  return { title: 'Training', body: plots(...(await Promise.all(charts))) };
}
