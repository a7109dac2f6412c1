/** The memorisation audit of a comparison: are the denoisers' samples new, or copies of training NCAs? */
import { type Audit, type MethodResult, prepareAudit } from '../../evaluation/index.ts';
import { html, plots, type Section, stripChart } from '../../report/index.ts';
import type { RunContext } from '../experiment.ts';
import type { Protocol } from '../protocol.ts';

/** The audit of a comparison, for its report, the terminal and results.json. */
export interface ComparisonAudit {
  readonly section: Section;
  /** One for each denoiser. */
  readonly sentences: readonly string[];
  /** By denoiser, for results.json. */
  readonly record: Record<string, unknown>;
}

/** The fewest held-out NCAs that tell what new looks like. */
const FEWEST = 3;

/** Audits every denoiser of a comparison, with all its seeds; null when the held-out set is too small for it, or no denoiser took part. */
export async function auditComparison(
  context: RunContext,
  { study }: Protocol,
  results: readonly MethodResult[],
): Promise<ComparisonAudit | null> {
  const { spec, train, heldOut } = study;
  const { signal } = context;
  const denoisers = results.filter(({ kind }) => kind === 'denoiser');
  if (heldOut.names.length < FEWEST || denoisers.length === 0) return null;
  const bar = context.progress('audit', denoisers.length + 1);
  try {
    const watched = (done: number) => ({ signal, onProgress: (share: number) => bar.update(done + share) });
    const auditor = await prepareAudit({ spec, train: train.weights, heldOut: heldOut.weights }, watched(0));
    const audits: [string, Audit][] = [];
    for (const { name, weights, weightsBySeed } of denoisers) {
      const all = weightsBySeed ? joined(weightsBySeed) : weights;
      audits.push([name, await auditor.audit(all, watched(audits.length + 1))]);
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
  }
}

/** The weights of all seeds, one after the other. */
function joined(seeds: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(seeds.length * seeds[0].length);
  seeds.forEach((weights, k) => {
    all.set(weights, k * seeds[0].length);
  });
  return all;
}

async function section(audits: readonly [string, Audit][]): Promise<Section> {
  const [[, first]] = audits;
  const charts = (['functions', 'weights'] as const).map(part => {
    const reference = first[part];
    const groups: [string, Float64Array][] = [
      ['held-out NCAs', reference.heldOut.distance],
      ...audits.map(([name, audit]): [string, Float64Array] => [name, audit[part].samples.distance]),
    ];
    return stripChart({
      x: `distance to the nearest training NCA, ${part === 'weights' ? 'weights modulo hidden permutation and scaling' : 'what it grows modulo turns and colours'}`,
      points: groups.flatMap(([group, distances]) => [...distances].map(x => ({ group, x }))),
      threshold: reference.threshold,
    });
  });
  return {
    title: 'Are the samples copies?',
    body: html`<ul>${audits.map(([name, { sentence }]) => html`<li><b>${name}</b>: ${sentence}</li>`)}</ul>
<p class="dim">Every tick is an NCA. Held-out NCAs are new by construction; what lies left of the dashed line (a fifth of their 5% quantile) counts as a copy.
What NCAs grow from the same masks is compared after the best linear map of colours, over the eight turns of the grid, so that no symmetry hides a copy; the weights of the
five nearest are matched modulo hidden permutation and scaling. After Zeng et al. 2026, arXiv 2506.07998.</p>
${plots(...(await Promise.all(charts)))}`,
  };
}

const recordOf = (
  { copies, sentence, functions, weights }: Audit,
  textures: readonly string[],
  train: readonly string[],
) => ({
  copies: copies.map(i => ({
    sample: textures[i % textures.length],
    of: train[functions.samples.index[i]],
  })),
  sentence,
  ...Object.fromEntries(
    Object.entries({ functions, weights }).map(([name, part]) => [
      name,
      {
        threshold: part.threshold,
        samples: [...part.samples.distance],
        heldOut: [...part.heldOut.distance],
        nearest: [...part.samples.index].map(i => train[i]),
      },
    ]),
  ),
});
