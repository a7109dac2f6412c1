/**
 * Self-contained HTML reports: one file that opens from the disk, light and dark, readable on a phone. Its one script sorts tables and grows NCAs; without it
 * the page reads as well. A content security policy of its own lets nothing else run, and nothing out.
 */
import { createHash } from 'node:crypto';
import { stringify } from 'yaml';
import { withoutNumbers } from './charts.ts';
import { type Html, html, raw } from './html.ts';
import { type LiveNcas, reportProgram } from './live-gallery.ts';

const STYLE = `
:root { color-scheme: light dark; --ink: #1c2026; --dim: #5c6470; --ground: #fff; --panel: #f5f6f8; --line: #d9dce2; --mark: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ec; --dim: #9aa3b0; --ground: #14161a; --panel: #1d2026; --line: #343a44; --mark: #56b4e9; } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem clamp(.8rem, 3vw, 2rem) 4rem; background: var(--ground); color: var(--ink); font: 16px/1.55 system-ui, sans-serif }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .4rem 0 } h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem }
p { max-width: 46rem } .dim, figcaption, footer { color: var(--dim); font-size: .9rem }
.scroll { overflow-x: auto; -webkit-overflow-scrolling: touch }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem } th, td { padding: .3rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line) }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: var(--ground) } thead th { color: var(--dim); font-weight: 500; vertical-align: bottom }
td.best { font-weight: 700; color: var(--mark) }
.under { position: relative; width: max-content; max-width: 100% } .under img { display: block } .live { position: absolute; padding: 0; border: 0; background: none; cursor: pointer } .live:hover, .live:focus-visible { outline: 2px solid var(--mark) } @media (max-width: 48rem) { .under:has(.live) { width: 64rem; max-width: none } .under:has(.live) img { width: 100% } } .live canvas { width: 100%; height: 100%; display: block; image-rendering: pixelated }
thead th[aria-sort] { cursor: pointer } thead th[aria-sort=ascending]::after { content: " ▲"; font-size: .7em } thead th[aria-sort=descending]::after { content: " ▼"; font-size: .7em }
a { color: var(--mark) } .csv { font-size: .85rem; white-space: nowrap }
figure { margin: 1rem 0 } figure img, figure svg { max-width: 100%; height: auto } img.pixel { image-rendering: pixelated }
.pairs { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 0 1.6rem }
.plots { display: flex; flex-wrap: wrap; gap: 1rem 2rem }
.strip { display: flex; flex-wrap: wrap; gap: .8rem } .strip figure { margin: 0; width: 7.2rem } .strip img { width: 100%; border-radius: 3px }
pre { background: var(--panel); padding: .8rem 1rem; overflow-x: auto; border-radius: 6px; font-size: .85rem } details summary { cursor: pointer; color: var(--dim) }
`;

/** A part of a report under a heading. */
export interface Section {
  /** The heading. */
  readonly title: string;
  readonly body: Html;
}

/** What a report page holds, down to how it was made. */
export interface Report {
  readonly title: string;
  /** What the run was to answer, in a sentence or two. */
  readonly question: string;
  readonly sections: readonly Section[];
  /** The command line that made it. */
  readonly command: string;
  /** Shown as YAML, as the environment is. */
  readonly config: unknown;
  readonly environment: Record<string, unknown>;
  /** NCAs of its gallery that grow at a click. */
  readonly live?: LiveNcas;
}

/** A cell of a table; `best` sets it in bold. */
export interface Cell {
  readonly text: string;
  readonly best?: boolean;
}

/** A table that scrolls sideways on small screens. */
export const table = (
  columns: readonly string[],
  rows: readonly (readonly (string | Cell)[])[],
): Html => html`
<div class="scroll"><table><thead><tr>${columns.map(c => html`<th>${c}</th>`)}</tr></thead><tbody>
${rows.map(row => html`<tr>${row.map(cell => (typeof cell === 'string' ? html`<td>${cell}</td>` : html`<td${cell.best ? raw(' class="best"') : ''}>${cell.text}</td>`))}</tr>\n`)}
</tbody></table></div>`;

const dataUrl = (type: string, bytes: Uint8Array) =>
  `data:${type};base64,${Buffer.from(bytes).toString('base64')}`;

/** A link to the numbers of a figure, which are in the page. */
const numbersLink = (csv: string | null | undefined): Html | null =>
  csv
    ? html` <a class="csv" download="numbers.csv" href="${dataUrl('text/csv', Buffer.from(csv))}">numbers (CSV)</a>`
    : null;

/** How a picture stands in the page. */
export interface ImageOptions {
  /** Default `image/png`. */
  readonly type?: string;
  /** A drawing keeps no hard pixels where the browser makes it larger or smaller. */
  readonly smooth?: boolean;
  /** Its numbers, behind a link. */
  readonly csv?: string;
  /** What lies on it. */
  readonly over?: Html;
}

/** A picture embedded in the page. */
export const image = (
  bytes: Uint8Array,
  caption: string,
  { type = 'image/png', smooth = false, csv, over }: ImageOptions = {},
): Html =>
  html`<figure><div class="scroll"><div class="under"><img${smooth ? null : raw(' class="pixel"')} src="${dataUrl(type, bytes)}" alt="${caption}">${over}</div></div><figcaption>${caption}${numbersLink(csv)}</figcaption></figure>`;

/** Small pictures (or animations) in a row that wraps. */
export const strip = (
  items: readonly { readonly bytes: Uint8Array; readonly caption: string; readonly type?: string }[],
  csv?: string,
): Html =>
  html`<div class="strip">${items.map(({ bytes, caption, type = 'image/gif' }) => html`<figure><img class="pixel" src="${dataUrl(type, bytes)}" alt="${caption}"><figcaption>${caption}</figcaption></figure>`)}</div>${csv ? html`<p class="dim">${numbersLink(csv)}</p>` : null}`;

/** Plots beside each other where there is room, each with a link to its numbers. */
export const plots = (...svgs: readonly string[]): Html =>
  html`<div class="plots">${svgs.map(svg => {
    const { drawing, csv } = withoutNumbers(svg);
    return html`<figure>${raw(drawing)}${csv ? html`<figcaption>${numbersLink(csv)}</figcaption>` : null}</figure>`;
  })}</div>`;

/** Large pictures two by two where there is room. */
export const sideBySide = (pieces: readonly Html[]): Html => html`<div class="pairs">${pieces}</div>`;

/** The whole page. */
export async function renderReport(report: Report): Promise<string> {
  const { title, question, sections, command, config, environment, live } = report;
  const program = await reportProgram(live);
  const script = program?.script ?? '';
  const hash = createHash('sha256').update(script).digest('base64');
  const policy = `default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-${hash}' 'wasm-unsafe-eval'`;
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="content-security-policy" content="${policy}">
<title>${title}</title><style>${raw(STYLE)}</style></head><body>
<h1>${title}</h1><p>${question}</p>
${sections.map(({ title, body }) => html`<section><h2>${title}</h2>${body}</section>\n`)}
<section><h2>How it was made</h2><pre>${command}</pre>
<details><summary>configuration</summary><pre>${stringify(config)}</pre></details>
<details><summary>environment</summary><pre>${stringify(environment)}</pre></details></section>
<footer>weightloom</footer>${program && html`${program.data}<script>${raw(script)}</script>`}</body></html>
`;
  return page.source;
}
