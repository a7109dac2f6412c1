import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { settle } from '../../config/index.ts';
import { writePng } from '../../formats/index.ts';
import { randomStream } from '../../tensor/index.ts';
import { groupsOf } from './alike.ts';
import type { ZooSource } from './source.ts';

const folder = mkdtempSync(join(tmpdir(), 'weightloom-alike-'));
test.after(() => rmSync(folder, { recursive: true }));

test('names and pictures join groups, in chains too', async () => {
  const noise = (seed: number) => randomStream(seed, 'picture').uniforms(40 * 40 * 3);
  const pictures: Record<string, Float32Array | null> = {
    bark: noise(1),
    dots: noise(2),
    'bark-red': noise(1).map((x, i) => (i % 3 === 0 ? 0.2 + 0.5 * x : 0.9 - 0.7 * x)),
    'dots~2': noise(3),
    moss: noise(3),
    plain: null,
  };
  const names = Object.keys(pictures);
  for (const [name, data] of Object.entries(pictures)) {
    if (data) await settle(writePng(join(folder, `${name}.png`), { width: 40, height: 40, data }));
  }
  const source = {
    names,
    picture: (i: number, kind: string) =>
      kind === 'image' && pictures[names[i]] ? join(folder, `${names[i]}.png`) : null,
  } as unknown as ZooSource;
  const groups = await groupsOf(source, () => {});
  // moss looks like dots~2, which is a copy of dots by its name.
  assert.equal(groups, ['bark', 'dots', 'bark', 'dots', 'dots', 'plain']);
});

test.run();
