/** One or several runs of the same textures, as rows of one table. */
import type { RunInfo, SetInfo, SourceInfo } from '../api.ts';
import { runInfo, setInfo } from './server.ts';

/** Kinds of methods, in the order of their buttons. */
export const KINDS = ['denoiser', 'baseline', 'bound'] as const;
export type Kind = (typeof KINDS)[number];

/** A run that is compared: its results, and what it kept. */
export interface Compared {
  readonly source: string;
  readonly title: string;
  readonly run: RunInfo;
  readonly set: SetInfo | null;
}

/** A method with its mean and its values by texture, for one metric. */
export interface Row {
  /** With the run's name where several are compared. */
  readonly method: string;
  /** The run it is of, and its name there. */
  readonly of: Compared;
  readonly name: string;
  readonly kind: Kind;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  readonly values: readonly number[];
}

/** Reads a run that was compared. */
export const compared = async ({ id, title, sets }: SourceInfo): Promise<Compared> => ({
  source: id,
  title,
  run: await runInfo(id),
  set: sets.methods === undefined ? null : await setInfo(sets.methods),
});

/** Whether another run was measured on the same textures by the same metrics. */
export async function alikeTo({ textures, metrics }: RunInfo, source: SourceInfo): Promise<boolean> {
  const other = await runInfo(source.id).catch(() => null);
  const same = (a: readonly unknown[], b: readonly unknown[]) => JSON.stringify(a) === JSON.stringify(b);
  return other !== null && same(other.textures, textures) && same(other.metrics, metrics);
}

/** All methods of some runs under one metric. */
export const rowsOf = (runs: readonly Compared[], metric: string): Row[] =>
  runs.flatMap(of =>
    of.run.summary.map(({ method: name, kind, metrics }) => {
      const values = of.run.perTexture.find(row => row.method === name)?.[metric] as number[] | undefined;
      const { mean, low, high } = metrics[metric];
      const method = runs.length > 1 ? `${name} · ${of.title}` : name;
      return { method, of, name, kind, mean, low, high, values: values ?? [] };
    }),
  );

/** The best of one kind by its mean. */
export const bestOf = (rows: readonly Row[], kind: Kind, lower: boolean): Row | undefined =>
  rows.filter(row => row.kind === kind).sort((a, b) => (lower ? 1 : -1) * (a.mean - b.mean))[0];

/** The texture at which a method is worst or best. */
export function extremeOf({ values }: Row, which: 'worst' | 'best', lower: boolean): number {
  const most = lower === (which === 'worst') ? Math.max(...values) : Math.min(...values);
  return Math.max(0, values.indexOf(most));
}
