/** Parts of runs: what is read back is what was written, and a damaged one is told. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { refusal } from '../../property-tests/refusal.ts';
import { readPart, writePart } from './parts.ts';

const test = suite('parts of runs');
const folder = mkdtempSync(join(tmpdir(), 'weightloom-parts-'));
const path = join(folder, 'part.safetensors');
test.after(() => rmSync(folder, { recursive: true, force: true }));

const typed = fc.oneof(
  fc.float32Array(),
  fc.float64Array(),
  fc.int8Array(),
  fc.uint8Array(),
  fc.int16Array(),
  fc.uint16Array(),
  fc.int32Array(),
  fc.uint32Array(),
);
const key = fc.oneof(fc.string(), fc.constantFrom('$', '__proto__', 'value', 'json', '0'));
const { data } = fc.letrec<{ data: unknown }>(tie => ({
  data: fc.oneof(
    { maxDepth: 4 },
    fc.double(),
    fc.constantFrom(undefined, null, -0, Number.NaN, Number.POSITIVE_INFINITY, true),
    fc.string(),
    typed,
    fc.array(tie('data')),
    fc.array(fc.tuple(key, tie('data'))).map(entries => Object.fromEntries(entries)),
  ),
}));

/** With the kinds of arrays and of zeros, which a deep comparison may take for the same. */
const told = (value: unknown): unknown => {
  if (ArrayBuffer.isView(value))
    return [value.constructor.name, ...Array.from(value as Float64Array, String)];
  if (Array.isArray(value)) return value.map(told);
  if (typeof value === 'object' && value !== null) return Object.entries(value).map(([k, v]) => [k, told(v)]);
  return Object.is(value, -0) ? '-0' : `${typeof value} ${String(value)}`;
};

test('plain data and typed arrays come back as they were', async () => {
  await fc.assert(
    fc.asyncProperty(data, async value => {
      await writePart(path, value);
      assert.equal(told(await readPart(path)), told(value));
    }),
    { numRuns: 60 },
  );
});

test('a changed byte anywhere, and every cut, is refused', async () => {
  await writePart(path, { weights: Float64Array.of(0.1, Math.PI), loss: [1, Number.NaN] });
  const whole = readFileSync(path);
  for (let i = 0; i < whole.length; i++) {
    const changed = Buffer.from(whole);
    changed[i] ^= 1;
    writeFileSync(path, changed);
    // Padding and the names of metadata may change without harm: then the value is the same.
    const value = await readPart(path).catch(error => error.name as string);
    if (typeof value === 'string') assert.is(value, 'UserError');
    else assert.equal(value, { weights: Float64Array.of(0.1, Math.PI), loss: [1, Number.NaN] });
  }
  for (const length of [0, 7, 8, 60, whole.length - 1]) {
    writeFileSync(path, whole.subarray(0, length));
    assert.match(await refusal(() => readPart(path)), path);
  }
});

test('what is no plain data is an error of the programme', async () => {
  for (const value of [new Map(), () => 0, 1n, new Date(0)]) {
    assert.match(String(await writePart(path, { value }).catch(String)), 'plain data and typed arrays');
  }
});

test.run();
