/**
 * Files that a real PyTorch wrote, read here: the same weights, exact or to the precision they were saved in. Outside `npm test`:
 *   node --import tsx property-tests/peers/torch-files.ts        (WEIGHTLOOM_PYTHON names a Python that has PyTorch)
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { settle } from '../../src/config/index.ts';
import { loadWeights } from '../../src/data/index.ts';
import { readNpy } from '../../src/formats/index.ts';

const python = process.env.WEIGHTLOOM_PYTHON ?? '/usr/bin/python3';
const folder = mkdtempSync(join(tmpdir(), 'weightloom-torch-files-'));
const script = fileURLToPath(new URL('./torch_files.py', import.meta.url));
const { status, stdout, stderr } = spawnSync(python, [script, folder], { encoding: 'utf8' });
if (status !== 0) {
  console.error(`no files from ${python}: ${stderr.trim().split('\n').at(-1)}`);
  process.exit(1);
}
console.log(`PyTorch ${stdout.trim()}`);

const blocks = await Promise.all(
  ['w1.weight', 'w1.bias', 'w2.weight'].map(name => settle(readNpy(join(folder, `${name}.npy`)))),
);
const expected = Float32Array.from(blocks.flatMap(({ data }) => [...data]));
/** Half a unit in the last place, relative: 11 bits of significand, and 8. */
const PRECISION: Record<string, number> = { half: 2 ** -11, bfloat16: 2 ** -8 };

let failed = 0;
for (const name of readdirSync(folder).filter(name => !name.endsWith('.npy'))) {
  const { spec, flat } = await settle(loadWeights(join(folder, name)));
  const precision = PRECISION[name.split('-')[0]] ?? 0;
  // Below half precision's smallest normal number its steps are 2^-24.
  const wrong = expected.findIndex(
    (x, i) => !(Math.abs(flat[i] - x) <= precision * Math.abs(x) + (precision && 2 ** -25)),
  );
  const fits = wrong < 0 && flat.length === expected.length;
  console.log(`${fits ? 'ok   ' : 'WRONG'} ${name}: ${spec.name}${fits ? '' : `, weight ${wrong}`}`);
  if (!fits) failed++;
}
rmSync(folder, { recursive: true });
process.exit(failed === 0 ? 0 : 1);
