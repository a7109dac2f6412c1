/** Text of any origin made safe to stand in other formats: XML and HTML, CSV, Markdown. */
import { printable } from '../config/index.ts';

const ENTITIES: Record<string, string> = {
  '<': '&lt;',
  '>': '&gt;',
  '&': '&amp;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text made safe to stand in XML or HTML, attribute values included. */
export const escapeMarkup = (text: string): string => text.replace(/[<>&"']/g, c => ENTITIES[c]);

/**
 * A cell of a CSV file (RFC 4180). A text that a spreadsheet would take for a formula (it begins with = + - @) gets an apostrophe in front, which
 * spreadsheets take for "text"; numbers stay numbers.
 */
export function csvCell(value: string | number): string {
  if (typeof value === 'number') return String(value);
  const isNumber = value.trim() !== '' && Number.isFinite(Number(value));
  const text = /^[=+\-@\t\r]/.test(value) && !isNumber ? `'${value}` : value;
  return /[",\r\n']/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A cell of a Markdown table: one line, bars and markup (code, emphasis, links, HTML) as the signs they are. */
export const markdownCell = (text: string): string =>
  printable(text)
    .replace(/[\\|`*]/g, '\\$&')
    .replace(/(?<![\w])_|_(?![\w])/g, '\\_')
    .replaceAll('](', ']\\(')
    .replace(/[<>]/g, c => ENTITIES[c]);
