/** The memorisation audit of a comparison: are the denoisers' samples new, or copies of training NCAs? */
import { type Audit, type MethodResult, prepareAudit, renderWeights } from '../../evaluation/index.ts';
import { html, plots, type Section, stripChart } from '../../report/index.ts';
import { tf } from '../../tensor/index.ts';
import type { RunContext } from '../experiment.ts';
import type { Protocol } from '../protocol.ts';
import { BOUND } from '../study.ts';

/** The audit of a comparison, for its report, the terminal and results.json. */
export interface ComparisonAudit {
  readonly section: Section;
  /** One for each denoiser. */
  readonly sentences: readonly string[];
  /** By denoiser, for results.json. */
  readonly record: Record<string, unknown>;
}

/** Above so many training NCAs their pictures are not compared: every sample would be held against each of them. */
const PICTURED = 2000;
/** The fewest held-out NCAs that tell what new looks like. */
const FEWEST = 3;

/** Audits every denoiser of a comparison; null when the held-out set is too small for it, or no denoiser took part. */
export async function auditComparison(
  context: RunContext,
  protocol: Protocol,
  results: readonly MethodResult[],
): Promise<ComparisonAudit | null> {
  const { study, ncaSteps } = protocol;
  const { spec, size, train, heldOut } = study;
  const denoisers = results.filter(({ kind }) => kind === 'denoiser');
  const bound = results.find(({ name }) => name === BOUND);
  if (heldOut.names.length < FEWEST || denoisers.length === 0 || !bound) return null;
  const held: tf.Tensor4D[] = [];
  const pictures = (data: Float32Array, count: number): tf.Tensor4D => {
    const tensor = tf.tensor4d(data, [count, size, size, 3]);
    held.push(tensor);
    return tensor;
  };
  const bar = context.progress('audit', denoisers.length);
  try {
    const pictured = train.names.length <= PICTURED;
    const renderings = pictured
      ? {
          train: pictures(
            (await renderWeights(spec, train.weights, { steps: ncaSteps, size, seed: 0 })).pictures,
            train.names.length,
          ),
          heldOut: pictures(bound.pictures, heldOut.names.length),
        }
      : undefined;
    const auditor = await prepareAudit({
      spec,
      train: train.weights,
      heldOut: heldOut.weights,
      renderings,
    });
    const audits: [string, Audit][] = [];
    for (const { name, weights, pictures: shown } of denoisers) {
      context.signal.throwIfAborted();
      const audit = await auditor.audit(
        weights,
        pictured ? pictures(shown, heldOut.names.length) : undefined,
      );
      audits.push([name, audit]);
      bar.update(audits.length);
    }
    return {
      section: await section(audits),
      sentences: audits.map(([name, { sentence }]) => `${name}: ${sentence}`),
      record: Object.fromEntries(
        audits.map(([name, audit]) => [name, recordOf(audit, heldOut.names, train.names)]),
      ),
    };
  } finally {
    bar.stop();
    tf.dispose(held);
  }
}

async function section(audits: readonly [string, Audit][]): Promise<Section> {
  const [[, first]] = audits;
  const charts = (['weights', 'renderings'] as const).flatMap(part => {
    const reference = first[part];
    if (!reference) return [];
    const groups: [string, Float64Array][] = [
      ['held-out NCAs', reference.heldOut.distance],
      ...audits.map(([name, audit]): [string, Float64Array] => [name, audit[part]!.samples.distance]),
    ];
    return [
      stripChart({
        x: `distance to the nearest training ${part === 'weights' ? 'NCA, weights modulo symmetry' : "NCA's picture"}`,
        points: groups.flatMap(([group, distances]) => [...distances].map(x => ({ group, x }))),
        threshold: reference.threshold,
      }),
    ];
  });
  return {
    title: 'Are the samples copies?',
    body: html`<ul>${audits.map(([name, { sentence }]) => html`<li><b>${name}</b>: ${sentence}</li>`)}</ul>
<p class="dim">Every tick is an NCA. Held-out NCAs are new by construction; what lies left of the dashed line (a fifth of their 5% quantile) counts as a copy.
Weights are compared modulo hidden permutation and scaling. After Zeng et al. 2026, arXiv 2506.07998.</p>
${plots(...(await Promise.all(charts)))}`,
  };
}

const recordOf = (
  { copies, sentence, weights, renderings }: Audit,
  samples: readonly string[],
  train: readonly string[],
) => ({
  copies: copies.map(i => ({ sample: samples[i], of: train[weights.samples.index[i]] })),
  sentence,
  ...Object.fromEntries(
    Object.entries({ weights, renderings }).flatMap(([name, part]) =>
      part
        ? [
            [
              name,
              {
                threshold: part.threshold,
                samples: [...part.samples.distance],
                heldOut: [...part.heldOut.distance],
                nearest: [...part.samples.index].map(i => train[i]),
              },
            ],
          ]
        : [],
    ),
  ),
});
