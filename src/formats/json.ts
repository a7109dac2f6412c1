/** JSON from outside: what it would take in memory is known before any of it is made, and nothing that walks it later recurses deeply. */
import { refuse } from '../config/index.ts';

/** Levels of nesting. */
const DEPTH = 128;
/** Values besides one for every eight characters: an empty list is two characters and two dozen bytes of memory. */
const VALUES = 1_000_000;

/** Where the text literal ends that begins with the quote at `start`, or -1: behind the next quote that no odd number of backslashes precedes. */
export function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes++;
    if (slashes % 2 === 0) return at + 1;
  }
  return -1;
}

/** Depth and number of values, by the brackets and commas outside texts. */
function checkSize(text: string, where: string): void {
  let depth = 0;
  let values = 1;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: {
        const end = endOfString(text, at);
        if (end < 0) return;
        at = end - 1;
        break;
      }
      case 0x5b:
      case 0x7b:
        if (++depth > DEPTH) refuse(where, `JSON of at most ${DEPTH} levels`, 'deeper nesting');
        values++;
        break;
      case 0x5d:
      case 0x7d:
        depth--;
        break;
      case 0x2c:
        values++;
    }
  }
  if (values > VALUES + text.length / 8) {
    refuse(where, `JSON of at most ${VALUES} values in ${text.length} characters`, `${values}`);
  }
}

/** The value of a JSON text; `where` names the file in a refusal. */
export function parseJson(text: string, where: string): unknown {
  checkSize(text, where);
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    return refuse(where, 'JSON', `text that is not (${(error as Error).message})`);
  }
}
