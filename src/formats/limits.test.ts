/** Files that state or imply far more than they hold, each read in a process of its own: refused or read, within three times what they state and 64 MiB. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pickle, torchStorage, torchTensor, torchZip, zipOf } from '../../property-tests/crafted.ts';
import { bytesOf, encodeNpy } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'weightloom-limits-'));
const test = suite('limits');
test.after(() => rmSync(folder, { recursive: true }));

const MIB = 2 ** 20;

/** Reads a file in a fresh process: bytes that resident memory grew by at most, and the sentence or "read". */
function growth(reader: string, path: string): { grown: number; said: string } {
  const script = `
    import { ${reader} } from './src/formats/index.ts';
    const now = () => process.resourceUsage().maxRSS * 1024;
    globalThis.gc();
    const before = now();
    const result = await ${reader}(${JSON.stringify(path)})();
    console.log(JSON.stringify({ grown: now() - before, said: result._tag === 'Left' ? result.left.found : 'read' }));`;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--expose-gc', '--import', 'tsx', '--input-type=module', '-e', script],
    { cwd: fileURLToPath(new URL('../../', import.meta.url)), encoding: 'utf8', timeout: 60_000 },
  );
  assert.ok(stdout.startsWith('{'), stderr);
  return JSON.parse(stdout);
}

const many = (piece: string, times: number) => Buffer.from(piece.repeat(times), 'latin1');
const floats = new Float32Array(6 * MIB);
const whole = (shape: number[]) => ({ shape, strides: [1] });

const files: Record<string, { reader: string; stated: number; bytes: () => Buffer; said: RegExp }> = {
  'objects.pt': {
    reader: 'readTorchState',
    stated: 20 * MIB,
    bytes: () => torchZip(many('}', 20 * MIB), {}),
    said: /makes more of its bytes/,
  },
  'views.pt': {
    reader: 'readTorchState',
    stated: 24 * MIB,
    bytes() {
      const views = Array.from({ length: 200 }, (_, i) => [
        `w${i}`,
        torchTensor(torchStorage('FloatStorage', '0', floats.length), {
          ...whole([floats.length - 200]),
          offset: i,
        }),
      ]);
      return torchZip(pickle.dictionary(Object.fromEntries(views)), { 0: bytesOf(floats) });
    },
    said: /200 views of one/,
  },
  'half.pt': {
    reader: 'readTorchState',
    stated: 24 * MIB,
    bytes: () =>
      torchZip(
        pickle.dictionary({ w: torchTensor(torchStorage('HalfStorage', '0', 12 * MIB), whole([12 * MIB])) }),
        { 0: bytesOf(floats) },
      ),
    said: /^read$/,
  },
  'zeros.npz': {
    reader: 'readNpz',
    stated: 0,
    bytes: () =>
      zipOf(
        { 'a.npy': encodeNpy({ shape: [160 * MIB], data: new Uint8Array(160 * MIB) }) },
        { deflated: true },
      ),
    said: /entries that state/,
  },
  'columns.npy': {
    reader: 'readNpy',
    stated: 24 * MIB,
    bytes() {
      const bytes = Buffer.from(encodeNpy({ shape: [3, 2 * MIB], data: floats }));
      bytes.write('True, ', bytes.indexOf('False'));
      return bytes;
    },
    said: /^read$/,
  },
  'names.safetensors': {
    reader: 'readSafetensors',
    stated: 20 * MIB,
    bytes() {
      const entry = (i: number) => `"${i}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`;
      const text = Buffer.from(`{${Array.from({ length: 400_000 }, (_, i) => entry(i)).join()}}`);
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(text.length));
      return Buffer.concat([length, text]);
    },
    said: /more than 100000 names/,
  },
  'lists.json': {
    reader: 'readJson',
    stated: 20 * MIB,
    bytes: () => Buffer.concat([many('[', 1), many('[],', 7 * MIB), many('1]', 1)]),
    said: /^\d+$/,
  },
};

for (const [name, { reader, stated, bytes, said }] of Object.entries(files)) {
  test(`${name} is read within its memory`, () => {
    const path = join(folder, name);
    writeFileSync(path, bytes());
    const found = growth(reader, path);
    assert.match(found.said, said);
    const most = 3 * stated + 64 * MIB;
    assert.ok(found.grown <= most, `${(found.grown / MIB).toFixed(0)} MiB of at most ${most / MIB}`);
  });
}

test.run();
