import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Summary } from '../evaluation/index.ts';
import { comparisonLatex, latexText, leading } from './latex.ts';

const metrics = [
  { name: 'patch-sw', better: 'lower' },
  { name: 'ssim', better: 'higher' },
] as const;

const summary = (
  method: string,
  kind: Summary['kind'],
  distance: [number, number, number],
  ssim: [number, number, number],
): Summary => ({
  method,
  kind,
  diverged: 0.125,
  metrics: Object.fromEntries(
    [distance, ssim].map(([mean, low, high], i) => [metrics[i].name, { mean, low, high, std: 0, count: 4 }]),
  ),
});

test('a booktabs table: best first, bold where intervals part, bounds below', () => {
  const text = comparisonLatex(
    [
      summary('edge_mpnn & co', 'denoiser', [0.2, 0.18, 0.22], [0.5, 0.4, 0.6]),
      summary('nearest', 'baseline', [0.1, 0.09, 0.12], [0.45, 0.4, 0.5]),
      summary('own', 'bound', [0.01, 0.01, 0.02], [0.9, 0.9, 0.9]),
    ],
    metrics,
    { command: 'weightloom run x a={b: 1}' },
  );
  assert.is(
    text,
    `% needs \\usepackage{booktabs}
\\begin{table}
  \\centering
  \\caption{Comparison of methods. Mean with 95\\% interval; arrows say which way is better; bold: the best, and what its interval overlaps with. Made by \\texttt{weightloom run x a=\\{b: 1\\}}.}
  \\label{tab:comparison}
  \\begin{tabular}{lrrr}
    \\toprule
    method & patch distance $\\downarrow$ & SSIM (weak for textures) $\\uparrow$ & diverged \\\\
    \\midrule
    nearest & $\\mathbf{0.1}$ {\\scriptsize $[0.09, 0.12]$} & $0.45$ {\\scriptsize $[0.4, 0.5]$} & 13\\% \\\\
    edge\\_mpnn \\& co & $0.2$ {\\scriptsize $[0.18, 0.22]$} & $0.5$ {\\scriptsize $[0.4, 0.6]$} & 13\\% \\\\
    \\midrule
    own & $0.01$ {\\scriptsize $[0.01, 0.02]$} & $0.9$ {\\scriptsize $[0.9, 0.9]$} & 13\\% \\\\
    \\bottomrule
  \\end{tabular}
\\end{table}
`,
  );
});

test('what leads: the best and what overlaps with it, nothing when all do', () => {
  const ends = (low: number, high: number) => ({ mean: (low + high) / 2, low, high });
  assert.equal(leading([ends(1, 2), ends(1.9, 3), ends(4, 5)], 'lower'), [true, true, false]);
  assert.equal(leading([ends(1, 2), ends(1.9, 3), ends(4, 5)], 'higher'), [false, false, true]);
  assert.equal(leading([ends(1, 2), ends(1.9, 3)], 'lower'), [false, false]);
  assert.equal(leading([], 'lower'), []);
});

test('no sign of a text means anything to LaTeX', () => {
  assert.is(
    latexText('\\x{1}_$&#%^~ <a> −\nnext'),
    '\\textbackslash{}x\\{1\\}\\_\\$\\&\\#\\%\\textasciicircum{}\\textasciitilde{} \\textless{}a\\textgreater{} -- next',
  );
});

test.run();
