import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { MethodKind, RolloutHealth } from '../evaluation/index.ts';
import { comparisonLatex, latexText } from './comparison-latex.ts';
import { comparisonTable } from './comparison-tables.ts';

const metrics = [
  { name: 'patch-sw', better: 'lower' },
  { name: 'ssim', better: 'higher' },
] as const;

const measured = (name: string, kind: MethodKind, distances: number[], ssim: number[]) => ({
  name,
  kind,
  weights: new Float32Array(),
  pictures: new Float32Array(),
  health: ['saturated', ...Array(7).fill('sound')] as RolloutHealth[],
  values: { 'patch-sw': Float64Array.from(distances), ssim: Float64Array.from(ssim) },
});
/** The same on eight textures: the fewest of which sign flips tell 5 % after a correction for seven comparisons. */
const eight = (value: number): number[] => new Array<number>(8).fill(value);

test('a booktabs table: best first, bold where paired intervals part, bounds below', () => {
  const text = comparisonLatex(
    [
      measured('edge_mpnn & co', 'denoiser', eight(0.2), eight(0.25)),
      measured('nearest', 'baseline', eight(0.1), eight(0.25)),
      measured('own', 'bound', eight(0.01), eight(0.9)),
    ],
    metrics,
    { command: 'weightloom run x a={b: 1}' },
  );
  assert.is(
    text,
    `% needs \\usepackage{booktabs}
\\begin{table}
  \\centering
  \\caption{Comparison of methods. Mean with 95\\% interval; arrows say which way is better; bold: the best, and what is not told apart from it (paired, with Holm's correction). Made by \\texttt{weightloom run x a=\\{b: 1\\}}.}
  \\label{tab:comparison}
  \\begin{tabular}{lrrr}
    \\toprule
    method & patch distance (trained on) $\\downarrow$ & SSIM (weak for textures) $\\uparrow$ & diverged \\\\
    \\midrule
    nearest & $\\mathbf{0.1}$ {\\scriptsize $[0.1, 0.1]$} & $0.25$ {\\scriptsize $[0.25, 0.25]$} & 13\\% \\\\
    edge\\_mpnn \\& co & $0.2$ {\\scriptsize $[0.2, 0.2]$} & $0.25$ {\\scriptsize $[0.25, 0.25]$} & 13\\% \\\\
    \\midrule
    own & $0.01$ {\\scriptsize $[0.01, 0.01]$} & $0.9$ {\\scriptsize $[0.9, 0.9]$} & 13\\% \\\\
    \\bottomrule
  \\end{tabular}
\\end{table}
`,
  );
});

test('LaTeX and HTML set the same means in bold: what is paired decides, however wide the intervals overlap', () => {
  // Textures differ far more than methods do: only the pairs tell the methods apart.
  const textures = Array.from({ length: 24 }, (_, i) => 1 + i);
  const shifted = (by: number) => textures.map(value => value + by);
  const results = [
    measured('worse', 'denoiser', shifted(0.3), textures),
    measured('level', 'baseline', shifted(0), textures),
    measured('best', 'denoiser', shifted(-0.3), textures),
    measured(
      'unsure',
      'baseline',
      shifted(-0.2).map((value, i) => value + (i % 2 === 0 ? 2 : -2)),
      textures,
    ),
    measured('own', 'bound', shifted(-0.9), textures),
  ];
  const names = (bold: RegExp, text: string) => [...text.matchAll(bold)].map(([, name]) => name).sort();
  const latex = comparisonLatex(results, metrics);
  assert.equal(names(/^ *(\w+) & \$\\mathbf/gm, latex), ['best', 'unsure']);
  const unused = () => Promise.reject(new Error('nothing is compared'));
  const { source } = comparisonTable(
    results,
    metrics.map(metric => ({ ...metric, compare: unused })),
  );
  assert.equal(names(/<td>(\w+)<\/td><td class="best">/g, source), ['best', 'unsure']);
  // On the second metric all are alike: nothing is told apart, nothing is bold.
  assert.is(latex.match(/mathbf/g)?.length, 2);
  assert.is(source.match(/class="best"/g)?.length, 2);
});

test('no sign of a text means anything to LaTeX', () => {
  assert.is(
    latexText('\\x{1}_$&#%^~ <a> −\nnext'),
    '\\textbackslash{}x\\{1\\}\\_\\$\\&\\#\\%\\textasciicircum{}\\textasciitilde{} \\textless{}a\\textgreater{} -- next',
  );
});

test.run();
