/**
 * Whole sets of pictures against each other: every method against the target pictures and against what the target NCAs themselves render,
 * and these NCAs against the target pictures. Computed once over the whole set, with intervals.
 */
import { hasWeights } from '../../conditioning/index.ts';
import { settle } from '../../config/index.ts';
import {
  addPictures,
  encoderFeatures,
  FEWEST,
  FeatureSet,
  inceptionFeatures,
  loadInception,
  type MethodResult,
  renderWeights,
  type SetDistance,
  type SetFeatures,
  setMetrics,
} from '../../evaluation/index.ts';
import { html, intervalText, number, type Section, table } from '../../report/index.ts';
import { tf } from '../../tensor/index.ts';
import type { RunContext } from '../experiment.ts';
import type { Protocol } from '../protocol.ts';

/** By method, then by what it is compared with, then by metric. */
export type SetComparison = Record<string, Record<string, Record<string, SetDistance>>>;

/** Inception where its weights are at hand (`weightloom encoders fetch inception-fid`), else the study's own frozen features; the metrics' names say which. */
async function featureSource({ study }: Protocol): Promise<{ source: SetFeatures; dispose(): void }> {
  if (!hasWeights('inception-fid')) return { source: encoderFeatures(study.encoder), dispose: () => {} };
  const inception = await settle(loadInception());
  return { source: inceptionFeatures(inception), dispose: () => inception.dispose() };
}

/** Null when there are too few held-out textures for a set metric. */
export async function compareSets(
  context: RunContext,
  protocol: Protocol,
  results: readonly MethodResult[],
): Promise<{ section: Section; record: SetComparison } | null> {
  const { study, ncaSteps } = protocol;
  const { heldOut, spec, size, pictured } = study;
  const count = heldOut.names.length;
  if (count < FEWEST) return null;
  const { source, dispose } = await featureSource(protocol);
  const setOf = async (pictures: tf.Tensor4D) => {
    const set = new FeatureSet(source.width);
    await addPictures(set, source, pictures);
    return set;
  };
  const setOfData = async (data: Float32Array) => {
    const pictures = tf.tensor4d(data, [count, size, size, 3]);
    const set = await setOf(pictures);
    pictures.dispose();
    return set;
  };
  const bar = context.progress('whole sets', results.length);
  try {
    // Another seed than the bound's, which would otherwise be held against itself.
    const rendered = await renderWeights(spec, heldOut.weights, {
      steps: ncaSteps,
      size,
      seed: RENDERING_SEED,
      signal: context.signal,
    });
    const targets: Record<string, FeatureSet> = {
      [`${pictured}s`]: await setOf(heldOut.pictures),
      'NCA renderings': await setOfData(rendered.pictures),
    };
    const record: SetComparison = {};
    for (const { name, pictures } of results) {
      context.signal.throwIfAborted();
      const own = await setOfData(pictures);
      record[name] = Object.fromEntries(
        Object.entries(targets).map(([target, set]) => [target, setMetrics(source, own, set)]),
      );
      bar.update(Object.keys(record).length);
    }
    return { section: section(record, count), record };
  } finally {
    bar.stop();
    dispose();
  }
}
const RENDERING_SEED = 77;

const cell = ({ value, low, high }: SetDistance) =>
  low === null || high === null ? number(value) : intervalText({ mean: value, low, high });

function section(record: SetComparison, count: number): Section {
  const [first] = Object.values(record);
  const columns = Object.entries(first).flatMap(([target, metrics]) =>
    Object.keys(metrics).map(metric => ({ target, metric })),
  );
  return {
    title: 'Whole sets of pictures',
    body: html`<p class="dim">Frechet and kernel distances between all ${count} pictures of a method and all targets, once over the whole set; KID with 95% bootstrap
interval, FID without, for none can be had from sets this small; the name says whose features they are on. FID is biased upwards here; FID-infinity extrapolates that away, KID has no bias. The row of the target NCAs is what the
best initialiser could reach against the targets; against NCA renderings it is the distance between two renderings of the same NCAs.</p>
${table(
  ['method', ...columns.map(({ target, metric }) => `${metric}, against ${target} ↓`)],
  Object.entries(record).map(([method, found]) => [
    method,
    ...columns.map(({ target, metric }) => cell(found[target][metric])),
  ]),
)}`,
  };
}
