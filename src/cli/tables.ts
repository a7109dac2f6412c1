/** Tables and figures as the commands print them. */
import Table from 'cli-table3';
import { Option } from 'commander';
import { printable } from '../config/index.ts';

const STYLE = { head: [], border: [] };

/** Names come from files: their lines stay, their control characters do not. */
const onTerminal = (text: string) =>
  text
    .split('\n')
    .map(line => printable(line))
    .join('\n');

export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const printed = new Table({ head: [...head], style: STYLE });
  for (const row of rows) printed.push(row.map(cell => (typeof cell === 'string' ? onTerminal(cell) : cell)));
  return printed.toString();
}

/** Records of the same keys as rows. */
export const recordTable = (records: readonly Readonly<Record<string, string | number>>[]): string =>
  table(
    Object.keys(records[0] ?? {}),
    records.map(record => Object.values(record)),
  );

/** Two columns; long values are broken. */
export function keyValueTable(record: Readonly<Record<string, string | number>>): string {
  const longest = Math.max(...Object.values(record).map(value => String(value).length));
  const printed = new Table({ style: STYLE, colWidths: [null, Math.min(100, longest + 2)], wordWrap: true });
  for (const [key, value] of Object.entries(record))
    printed.push({ [onTerminal(key)]: typeof value === 'string' ? onTerminal(value) : value });
  return printed.toString();
}

/** `--json`, which every command has that prints a table. */
export const jsonOption = (about = 'print the result as JSON'): Option => new Option('--json', about);

/** Prints a result: as JSON for programs, else as `text` shows it to people. */
export function show<T>(json: boolean | undefined, result: T, text: (result: T) => string): void {
  console.log(json ? JSON.stringify(result, null, 2) : text(result));
}

/** 75 -> `1m15s` */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  const whole = Math.round(seconds);
  const [days, hours, minutes] = [
    Math.floor(whole / 86400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
  ];
  if (days > 0) return `${days}d${hours}h`;
  if (hours > 0) return `${hours}h${String(minutes).padStart(2, '0')}m`;
  return minutes > 0 ? `${minutes}m${String(whole % 60).padStart(2, '0')}s` : `${whole}s`;
}
