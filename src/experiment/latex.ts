/** Tables for papers: LaTeX with booktabs. */
import type { PairMetric, Summary } from '../evaluation/index.ts';
import { metricLabel, number } from './comparison-report.ts';

const SPECIAL: Record<string, string> = {
  '\\': '\\textbackslash{}',
  '{': '\\{',
  '}': '\\}',
  $: '\\$',
  '&': '\\&',
  '#': '\\#',
  '%': '\\%',
  _: '\\_',
  '^': '\\textasciicircum{}',
  '~': '\\textasciitilde{}',
  '<': '\\textless{}',
  '>': '\\textgreater{}',
  '−': '--',
};

/** Text as LaTeX sets it, whatever signs it holds. A line break, which would end a comment or a paragraph, becomes a space. */
export const latexText = (text: string): string =>
  text.replace(/[\\{}$&#%_^~<>−]/g, sign => SPECIAL[sign]).replace(/\s+/g, ' ');

type Direction = PairMetric['better'];
interface Ends {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/**
 * Which of several means lead: the best one and all whose intervals overlap with its own; none where that is all of them, for then nothing
 * is told apart.
 */
export function leading(intervals: readonly Ends[], better: Direction): boolean[] {
  if (intervals.length === 0) return [];
  const sign = better === 'lower' ? 1 : -1;
  const best = intervals.reduce((a, b) => (sign * b.mean < sign * a.mean ? b : a));
  const leads = intervals.map(({ low, high }) => low <= best.high && high >= best.low);
  return leads.every(Boolean) ? leads.map(() => false) : leads;
}

/** $0.0316$ {\scriptsize $[0.0276, 0.0367]$} */
function cell({ mean, low, high }: Ends, best: boolean): string {
  const middle = best ? `$\\mathbf{${number(mean)}}$` : `$${number(mean)}$`;
  return `${middle} {\\scriptsize $[${number(low)}, ${number(high)}]$}`;
}

export interface LatexOptions {
  /** The command line that made the numbers, for the caption. */
  readonly command?: string;
  /** What the table shows; a sentence or more. */
  readonly caption?: string;
  /** For \ref. Default `tab:comparison`. */
  readonly label?: string;
}

/**
 * Methods by metrics as a booktabs table, best first by the first metric: mean with its 95% interval; bold where intervals part. Bounds
 * stand below a rule of their own. The preamble needs `\usepackage{booktabs}`.
 */
export function comparisonLatex(
  summaries: readonly Summary[],
  metrics: readonly Pick<PairMetric, 'name' | 'better'>[],
  { command, caption = 'Comparison of methods.', label = 'tab:comparison' }: LatexOptions = {},
): string {
  const [lead] = metrics;
  const sign = lead.better === 'lower' ? 1 : -1;
  const sorted = [...summaries].sort(
    (a, b) => sign * (a.metrics[lead.name].mean - b.metrics[lead.name].mean),
  );
  const contenders = sorted.filter(({ kind }) => kind !== 'bound');
  const bounds = sorted.filter(({ kind }) => kind === 'bound');
  const bold = new Map(
    metrics.map(({ name, better }) => [
      name,
      leading(
        contenders.map(({ metrics: intervals }) => intervals[name]),
        better,
      ),
    ]),
  );
  const row = ({ method, metrics: intervals, diverged }: Summary, i: number | null) =>
    `    ${[
      latexText(method),
      ...metrics.map(({ name }) => cell(intervals[name], i !== null && bold.get(name)![i])),
      `${(100 * diverged).toFixed(0)}\\%`,
    ].join(' & ')} \\\\`;
  const head = [
    'method',
    ...metrics.map(
      ({ name, better }) =>
        `${latexText(metricLabel(name))} $\\${better === 'lower' ? 'downarrow' : 'uparrow'}$`,
    ),
    'diverged',
  ];
  const made = command ? ` Made by \\texttt{${latexText(command)}}.` : '';
  return [
    '% needs \\usepackage{booktabs}',
    '\\begin{table}',
    '  \\centering',
    `  \\caption{${latexText(caption)} Mean with 95\\% interval; arrows say which way is better; bold: the best, and what its interval overlaps with.${made}}`,
    `  \\label{${label}}`,
    `  \\begin{tabular}{l${'r'.repeat(metrics.length + 1)}}`,
    '    \\toprule',
    `    ${head.join(' & ')} \\\\`,
    '    \\midrule',
    ...contenders.map(row),
    ...(bounds.length > 0 ? ['    \\midrule', ...bounds.map(summary => row(summary, null))] : []),
    '    \\bottomrule',
    '  \\end{tabular}',
    '\\end{table}',
    '',
  ].join('\n');
}
