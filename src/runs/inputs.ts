/** What a run was made from, in its inputs.json: a resumed run that finds something else under the same name is refused. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as t from 'io-ts';
import { decode, orThrow, refuse } from '../config/index.ts';
import { parseJson, writeAtomicallyNow } from '../formats/index.ts';

/** SHA-256 by name: `the zoo zoos/mine`. */
const Inputs = t.record(t.string, t.string);
/** The file in a run folder. */
export const INPUTS = 'inputs.json';

/**
 * Notes what a run is made from, or compares it with the note of an earlier try.
 * @param what in words that tell it from the run's other inputs: `the zoo zoos/mine`
 * @throws UserError when the run was begun with another one
 */
export function pinInput(folder: string, what: string, sha256: string): void {
  const path = join(folder, INPUTS);
  const noted = existsSync(path)
    ? orThrow(decode(Inputs, parseJson(readFileSync(path, 'utf8'), path), path))
    : {};
  if (noted[what] === undefined) {
    writeAtomicallyNow(path, `${JSON.stringify({ ...noted, [what]: sha256 }, null, 2)}\n`);
  } else if (noted[what] !== sha256) {
    refuse(
      what,
      `the content that ${folder} was begun with (SHA-256 ${noted[what].slice(0, 12)}...)`,
      `another one (${sha256.slice(0, 12)}...)`,
      { hint: 'Put it back, or begin a new run.' },
    );
  }
}
