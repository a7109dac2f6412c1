/** What the studio's server tells its page. */
import type { KeptNcas } from '../experiment/index.ts';
import type { NcaSpec } from '../nca/index.ts';
import type { Results } from '../runs/index.ts';

/** Something that was given: a zoo, a run, or a file of weights. */
export interface SourceInfo {
  readonly id: string;
  readonly kind: 'zoo' | 'run' | 'weights';
  /** The folder's or file's own name. */
  readonly title: string;
  /** As it was given. */
  readonly path: string;
  /** What is wrong with it, as a sentence; the rest of it may still be shown. */
  readonly problem: string | null;
  /** Sets of NCAs that it has, by what they are. */
  readonly sets: Readonly<Partial<Record<'ncas' | 'methods' | 'trajectory', string>>>;
  /** Whether it has results of a comparison. */
  readonly compared: boolean;
  /** Whether it has a report of its own. */
  readonly report: boolean;
}

/** What the page starts from. */
export interface Library {
  readonly sources: readonly SourceInfo[];
  /** Kernel builds that are offered, the best first. */
  readonly builds: readonly string[];
}

/** NCAs of one spec, in rows. */
export interface SetInfo {
  readonly id: string;
  readonly title: string;
  readonly spec: NcaSpec;
  /** [N] */
  readonly names: readonly string[];
  /** [N] which are held out, where that is known. */
  readonly splits: readonly string[] | null;
  /** [N] the argument of `weightloom nca render --weights`, without what all have in common. */
  readonly argument: { readonly path: string; readonly by: 'name' | 'row' };
  /** [N] whether there is a target picture. */
  readonly pictures: readonly boolean[];
  /** NCA steps to its pictures. */
  readonly steps: number;
  /** What stands in which row, where a run kept them. */
  readonly kept: KeptNcas | null;
}

/** The results of a comparison, as results.json has them. */
export type RunInfo = Pick<
  Results,
  'experiment' | 'command' | 'textures' | 'metrics' | 'summary' | 'perTexture'
> & {
  /** Metrics' names in words. */
  readonly labels: Readonly<Record<string, string>>;
};
