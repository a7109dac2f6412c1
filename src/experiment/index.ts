/** Running experiments: progress, run folders, tracking, reports. */
export { interruption, type Progress, progressBar } from './progress.ts';
