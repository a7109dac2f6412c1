/** What people look at: figures, tables, charts and pages that need no experiment. */
export {
  INK,
  type IntervalChart,
  intervalChart,
  type LineChart,
  lineChart,
  renderSvg,
  type StripChart,
  stripChart,
} from './charts.ts';
export { comparisonLatex, type LatexOptions, latexText } from './comparison-latex.ts';
export {
  comparisonCsv,
  comparisonJson,
  comparisonLines,
  comparisonMarkdown,
  comparisonPlots,
  comparisonTable,
  metricLabel,
  note,
  pairedTable,
} from './comparison-tables.ts';
export { type BandChart, bandChart, type CurveChart, type CurveMean, curveChart } from './curve-chart.ts';
export { intervalText, number } from './figures.ts';
export { comparisonGallery, type Gallery, renderGallery } from './gallery.ts';
export {
  type Goal,
  type GoalTimes,
  goalRecord,
  goalTable,
  goalTimes,
  type Tuning,
  type TuningCurve,
} from './goal-times.ts';
export { drawnSection, figureSection, type StudiedNcas, weightSection } from './graph-sections.ts';
export { Html, html, raw } from './html.ts';
export { type LiveNcas, liveTiles } from './live-gallery.ts';
export {
  type Cell,
  type ImageOptions,
  image,
  plots,
  type Report,
  renderReport,
  type Section,
  sideBySide,
  strip,
  table,
} from './page.ts';
export { type Photographs, photographGallery, photographSections } from './photograph-sections.ts';
export { csvTable, markdownTable } from './plain-tables.ts';
export {
  type Cost,
  JUDGED,
  type Judged,
  type Quality,
  timesGoal,
  type Verdict,
  verdictsOf,
} from './verdicts.ts';
