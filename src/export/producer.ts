import { readFileSync } from 'node:fs';

/** Who wrote a file, for formats that keep it. */
export function producer(): { name: string; version: string } {
  const { name, version } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  ) as { name: string; version: string };
  return { name, version };
}
