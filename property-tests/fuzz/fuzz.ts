/**
 * Mutated files of every format, read as the project reads them. `npm run fuzz -- COUNT SEED` (100,000 by default); `npm test` runs 2,000.
 * Each ends in one of two ways: one sentence, or arrays that the format's plain reader finds too. Results are bounded by counted bytes.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { UserError } from '../../src/config/index.ts';
import type { NdArray } from '../../src/formats/index.ts';
import { FORMATS as COMMON_FORMATS, type Format } from './formats.ts';
import { type Mutation, mutation } from './mutations.ts';
import { OWN_FORMATS } from './own-formats.ts';
import { type PlainArrays, Unknown } from './plain-arrays.ts';
import { type Structured, structured } from './structured.ts';

const FORMATS = [...COMMON_FORMATS, ...OWN_FORMATS];

export interface Tally {
  inputs: number;
  refused: number;
  accepted: number;
}

/** What the arrays of a file may take: three times what it states, and it states no more than a hundred times its length. */
const bound = (bytes: Buffer) => 3 * Math.max(64 * 2 ** 20, 100 * bytes.length);

function compare(found: Record<string, NdArray | NdArray<string[]>>, plain: PlainArrays): void {
  const names = Object.keys(found);
  if (names.sort().join() !== [...plain.keys()].sort().join())
    throw new Error(`accepted ${names} where the format has ${[...plain.keys()]}`);
  for (const name of names) {
    const [mine, theirs] = [found[name], plain.get(name)!];
    if (mine.shape.join() !== theirs.shape.join() || mine.data.length !== theirs.values.length)
      throw new Error(`${name}: shape ${mine.shape} for ${theirs.shape}`);
    for (let i = 0; i < mine.data.length; i++) {
      if (!Object.is(mine.data[i], theirs.values[i]))
        throw new Error(`${name}[${i}]: ${mine.data[i]} for ${theirs.values[i]}`);
    }
  }
}

/** Reads one file; throws where it is read wrongly. Says whether it was accepted. */
async function readOne(format: Format, path: string, bytes: Buffer): Promise<boolean> {
  writeFileSync(path, bytes);
  let found: Awaited<ReturnType<Format['read']>>;
  try {
    found = await format.read(path, bytes);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const { message } = error;
    if (message.length > 2500 || /[\p{Cc}]/u.test(message)) throw new Error(`no sentence: ${message}`);
    return false;
  }
  const size = Object.values(found ?? {}).reduce(
    (sum, { data }) => sum + (Array.isArray(data) ? 24 * data.length : data.byteLength),
    0,
  );
  if (size > bound(bytes)) throw new Error(`${size} bytes of a file of ${bytes.length}`);
  if (found && format.plain) {
    let plain: PlainArrays;
    try {
      plain = format.plain(bytes);
    } catch (error) {
      if (error instanceof Unknown) return true;
      throw new Error(`accepted what the format does not allow: ${(error as Error).message}`);
    }
    compare(found, plain);
  }
  return true;
}

interface Changed {
  format: number;
  seed: number;
  part: number;
  changes: Mutation[];
  whole: Mutation[];
}

const changed: fc.Arbitrary<Changed> = fc.record({
  format: fc.nat(FORMATS.length - 1),
  seed: fc.nat(100),
  part: fc.nat(100),
  changes: fc.array(mutation, { minLength: 0, maxLength: 4 }),
  whole: fc.array(mutation, { minLength: 0, maxLength: 2 }),
});

/** Valid files with changes, and files put together, most of them with nothing wrong or one thing. */
const cases = fc.oneof(changed, structured);

/** The file of a case and its format. */
function fileOf(one: Changed | Structured): [Format, Buffer] {
  if ('bytes' in one) return [FORMATS.find(({ name }) => name === one.format)!, one.bytes];
  const { format: f, seed, part, changes, whole } = one;
  const format = FORMATS[f];
  const parts = [...format.seeds[seed % format.seeds.length]];
  const other = FORMATS[part % FORMATS.length].seeds[0][0];
  const chosen = part % parts.length;
  for (const change of changes) parts[chosen] = change(parts[chosen], other).subarray(0, LONGEST);
  let bytes = format.assemble(parts);
  // Half of the inputs keep their checksums.
  if (part % 2 === 0) for (const change of whole) bytes = change(bytes, other).subarray(0, 2 * LONGEST);
  return [format, Buffer.from(bytes)];
}

/** The longest file that mutations may make: repeated repetition grows without end. */
const LONGEST = 1 << 16;

/** Runs `count` inputs; rejects with the smallest that fails. */
export async function fuzz(count: number, seed: number, onProgress?: (done: number) => void): Promise<Tally> {
  const folder = mkdtempSync(join(tmpdir(), 'weightloom-fuzz-'));
  const tally: Tally = { inputs: 0, refused: 0, accepted: 0 };
  try {
    // The valid files first: what nothing was done to is accepted.
    for (const format of FORMATS) {
      for (const parts of format.seeds) {
        const path = join(folder, `valid.${format.extension}`);
        if (!(await readOne(format, path, format.assemble(parts))))
          throw new Error(`${format.name}: a valid file is refused`);
      }
    }
    await fc.assert(
      fc.asyncProperty(cases, async one => {
        const [format, bytes] = fileOf(one);
        tally.inputs++;
        onProgress?.(tally.inputs);
        const accepted = await readOne(format, join(folder, `x.${format.extension}`), bytes);
        tally[accepted ? 'accepted' : 'refused']++;
      }),
      { numRuns: count, seed },
    );
    return tally;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.filename === process.argv[1]) {
  const [count = 100_000, seed = 1] = process.argv.slice(2).map(Number);
  // In portions: fast-check keeps what it has tried.
  const portion = 5000;
  const sum: Tally = { inputs: 0, refused: 0, accepted: 0 };
  for (let done = 0; done < count; done += portion) {
    const { inputs, refused, accepted } = await fuzz(Math.min(portion, count - done), seed + done);
    sum.inputs += inputs;
    sum.refused += refused;
    sum.accepted += accepted;
    console.error(
      `${sum.inputs} of ${count}: ${sum.accepted} accepted as the format says, ${sum.refused} refused in one sentence`,
    );
  }
}
