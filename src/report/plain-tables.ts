/** Tables as plain text for other programs: CSV (RFC 4180) and Markdown. */

import { csvCell, markdownCell } from '../formats/index.ts';

/** Rows as CSV, the head first. */
export const csvTable = (head: readonly string[], rows: readonly (readonly (string | number)[])[]): string =>
  `${[head, ...rows].map(row => row.map(csvCell).join(',')).join('\n')}\n`;

/** Rows as a Markdown table, the head first. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(markdownCell).join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line), ''].join('\n');
}
