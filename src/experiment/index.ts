/** Running experiments: progress, run folders, reports. */
export { type Experiment, experimentNames, loadExperiment, type RunContext } from './experiment.ts';
export { type Html, html, raw } from './html.ts';
export { type IntervalChart, intervalChart, type LineChart, lineChart, renderSvg } from './plot.ts';
export { interruption, type Progress, progressBar } from './progress.ts';
export { type Cell, image, plots, type Report, renderReport, type Section, strip, table } from './report.ts';
export { createRunFolder, type Environment, environment, type RunFolder } from './run-folder.ts';
