/** Sweeps: every combination of some settings, each a run of its own, and one table over all. */
export { cellsNamed, type SweepCell, splitValues, sweepCells, sweepWords } from './cells.ts';
export { configOf, experimentConfig, finishedCells, type PlannedCell, planSweep } from './plan.ts';
export {
  headlines,
  type SweepRow,
  type SweepTable,
  sweepLines,
  sweepTable,
  writeSweepReport,
} from './report.ts';
export {
  type CellRun,
  type CellRunner,
  runSweep,
  type SweepOptions,
  type SweepOutcome,
} from './run.ts';
