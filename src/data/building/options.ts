/** How a build is steered and watched, and what it tells at its end. */
import type { Survey } from './survey.ts';

/** Where a build keeps what is finished, how much of it this process does, and how it is watched. */
export interface BuildOptions {
  /** Folder for what is finished so far; a folder for this configuration is made inside. */
  readonly work: string;
  /** Ends the build; what is finished stays in the work folder. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: BuildProgress) => void;
  /** Told what was found about the pictures, before anything is trained. */
  readonly onSurvey?: (survey: Survey) => void;
  /** Told what happened to single NCAs, a sentence each. */
  readonly onNote?: (sentence: string) => void;
  /** This process's share of the textures, when several work in one work folder: those whose number is `index` modulo `count`. */
  readonly part?: { readonly index: number; readonly count: number };
  /** Ends when the base, or this process's share, is trained: another process writes the zoo. */
  readonly only?: 'base' | 'part';
  /** Kept in the manifest: how to make this zoo again. */
  readonly command?: string;
}

/** How far a stage of a build is, told after every iteration. */
export interface BuildProgress {
  /** `base`: the NCA that all are fine-tuned from; `zoo`: the fine-tunings; `again`: those of a few that ran away. */
  readonly stage: 'pictures' | 'base' | 'zoo' | 'again';
  /** Pictures, or iterations of one NCA each; those of earlier runs included. */
  readonly done: number;
  readonly total: number;
  /** Mean texture loss of the NCAs in training; none while pictures are looked at. */
  readonly loss?: number;
}

/** How far a build has come. */
export interface BuildResult {
  /**
   * False when the signal ended the build early or other processes have not done their parts: nothing is written to `out` then, and
   * the same command goes on.
   */
  readonly finished: boolean;
  /** NCAs trained so far. */
  readonly trained: number;
  /** NCAs the zoo will have. */
  readonly total: number;
  /** Where what is finished lies. */
  readonly workFolder: string;
  /** NCAs that ran away twice and are not in the zoo. */
  readonly leftOut: readonly { readonly name: string; readonly reason: string }[];
  /** Median texture loss of the zoo's NCAs; NaN before the end. */
  readonly medianLoss: number;
  /** Texture loss of the base on its own picture; null without a base, and before the end. */
  readonly baseLoss: number | null;
}
