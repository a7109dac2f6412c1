/** Tables for papers: LaTeX with booktabs. */
import {
  type Interval,
  leaders,
  type MethodResult,
  type PairMetric,
  summarise,
} from '../evaluation/index.ts';
import { metricLabel } from './comparison-tables.ts';
import { number } from './figures.ts';

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

/** $0.0316$ {\scriptsize $[0.0276, 0.0367]$} */
function cell({ mean, low, high }: Interval, best: boolean): string {
  const middle = best ? `$\\mathbf{${number(mean)}}$` : `$${number(mean)}$`;
  return `${middle} {\\scriptsize $[${number(low)}, ${number(high)}]$}`;
}

/** Words about the table. */
export interface LatexOptions {
  /** The command line that made the numbers, for the caption. */
  readonly command?: string;
  /** What the table shows; a sentence or more. */
  readonly caption?: string;
  /** For \ref. Default `tab:comparison`. */
  readonly label?: string;
}

/**
 * Methods by metrics as a booktabs table, best first by the first metric: mean with its 95% interval; bold as in the report. Bounds
 * stand below a rule of their own. The preamble needs `\usepackage{booktabs}`.
 */
export function comparisonLatex(
  results: readonly MethodResult[],
  metrics: readonly Pick<PairMetric, 'name' | 'better'>[],
  { command, caption = 'Comparison of methods.', label = 'tab:comparison' }: LatexOptions = {},
): string {
  const [lead] = metrics;
  const sign = lead.better === 'lower' ? 1 : -1;
  const bold = new Map(metrics.map(metric => [metric.name, leaders(results, metric)]));
  const rows = summarise(results)
    .map((summary, i) => ({ ...summary, result: results[i] }))
    .sort((a, b) => sign * (a.metrics[lead.name].mean - b.metrics[lead.name].mean))
    .map(({ method, kind, metrics: intervals, diverged, result }) => ({
      kind,
      line: `    ${[
        latexText(method),
        ...metrics.map(({ name }) => cell(intervals[name], bold.get(name)!.has(result))),
        `${(100 * diverged).toFixed(0)}\\%`,
      ].join(' & ')} \\\\`,
    }));
  const contenders = rows.filter(({ kind }) => kind !== 'bound').map(({ line }) => line);
  const bounds = rows.filter(({ kind }) => kind === 'bound').map(({ line }) => line);
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
    `  \\caption{${latexText(caption)} Mean with 95\\% interval; arrows say which way is better; bold: the best, and what is not told apart from it (paired, with Holm's correction).${made}}`,
    `  \\label{${label}}`,
    `  \\begin{tabular}{l${'r'.repeat(metrics.length + 1)}}`,
    '    \\toprule',
    `    ${head.join(' & ')} \\\\`,
    '    \\midrule',
    ...contenders,
    ...(bounds.length > 0 ? ['    \\midrule', ...bounds] : []),
    '    \\bottomrule',
    '  \\end{tabular}',
    '\\end{table}',
    '',
  ].join('\n');
}
