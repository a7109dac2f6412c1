import type { NcaSpec } from '../../nca/index.ts';

/** A set of trained NCAs in someone else's format, read a few at a time. */
export interface ZooSource {
  readonly spec: NcaSpec;
  /** N names, all different. */
  readonly names: readonly string[];
  /** Weights of NCAs `start` to `start + count`, [count, D]. */
  rows(start: number, count: number): Promise<Float32Array>;
  /** The file of a picture of NCA i, or null where the set has none. */
  picture(index: number, kind: 'image' | 'rendering'): string | null;
  /** What the set says of where NCA i came from. */
  provenance(index: number): Record<string, unknown>;
  close(): Promise<void>;
}
