import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  pickle,
  type TorchTensor,
  torchLegacy,
  torchPickled,
  torchZip,
} from '../../property-tests/crafted.ts';
import { refusal } from '../../property-tests/refusal.ts';
import { settle } from '../config/index.ts';
import { encodeNpy, encodePng, readSafetensorsHeader, writeSafetensors } from '../formats/index.ts';
import { type NcaSpec, SPECS, specText, weightBlocks, weightCount } from '../nca/index.ts';
import { startBackend } from '../tensor/index.ts';
import { importZoo, loadWeights, readSpec, readZoo, writeWeights } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'weightloom-weights-'));
const file = (name: string) => join(folder, name);
const test = suite('weights');
test.before(async () => {
  await startBackend();
});
test.after(() => rmSync(folder, { recursive: true }));

const specOf = (channels: number, hidden: number, outputBias: boolean): NcaSpec => ({
  ...SPECS.hypernca,
  name: 'x',
  channels,
  hidden,
  outputBias,
});
/** Numbers that half precision and bfloat16 hold exactly. */
const exact = (spec: NcaSpec, seed = 0) =>
  new Float32Array(weightCount(spec)).map((_, i) => ((i * 37 + seed) % 129) - 64);

const NAMES = {
  torch: { w1: 'w1.weight', b1: 'w1.bias', w2: 'w2.weight', b2: 'w2.bias' },
  sequential: { w1: 'update.0.weight', b1: 'update.0.bias', w2: 'update.2.weight', b2: 'update.2.bias' },
  ours: { w1: 'w1', b1: 'b1', w2: 'w2', b2: 'b2' },
};

type Precision = 'half' | 'bfloat' | 'single' | 'double';
/** bfloat16 is the upper half of float32, half precision of these whole numbers is made by hand. */
function stored(data: Float32Array, precision: Precision): Pick<TorchTensor, 'data' | 'storage'> {
  if (precision === 'single') return { data };
  if (precision === 'double') return { data: Float64Array.from(data) };
  const bits = new Uint32Array(data.slice().buffer);
  const words = Uint16Array.from(bits, word => {
    if (precision === 'bfloat' || word === 0) return word >>> 16;
    return ((word >>> 16) & 0x8000) | ((((word >>> 23) & 255) - 127 + 15) << 10) | ((word >>> 13) & 1023);
  });
  return { data: words, storage: precision === 'half' ? 'HalfStorage' : 'BFloat16Storage' };
}

const pickled = (storages: Readonly<Record<string, { bytes: Uint8Array }>>) =>
  Object.fromEntries(Object.entries(storages).map(([key, { bytes }]) => [key, bytes]));

test('torch files in any order, precision, nesting, layout, size, naming and age give the same weights', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        channels: fc.integer({ min: 3, max: 6 }),
        hidden: fc.integer({ min: 1, max: 7 }),
        bias: fc.boolean(),
        names: fc.constantFrom(...Object.values(NAMES)),
        prefix: fc.constantFrom('', 'module.', 'nca.step.'),
        conv: fc.boolean(),
        transposed: fc.boolean(),
        precision: fc.constantFrom<Precision>('half', 'bfloat', 'single', 'double'),
        nesting: fc.constantFrom([], ['state_dict'], ['checkpoint', 'model']),
        legacy: fc.boolean(),
        reversed: fc.boolean(),
      }),
      async ({
        channels,
        hidden,
        bias,
        names,
        prefix,
        conv,
        transposed,
        precision,
        nesting,
        legacy,
        reversed,
      }) => {
        const spec = specOf(channels, hidden, bias);
        const flat = exact(spec);
        const tensors: [string, TorchTensor][] = weightBlocks(spec).map(({ name, shape, offset, size }) => {
          const block = flat.slice(offset, offset + size);
          const matrix = shape.length === 2;
          const [rows, columns] = shape;
          const moved = matrix && transposed;
          const data = moved
            ? block.map((_, i) => block[(i % rows) * columns + Math.floor(i / rows)])
            : block;
          const strides = moved ? [1, rows] : matrix ? [columns, 1] : [1];
          return [
            prefix + names[name],
            {
              ...stored(data, precision),
              shape: matrix && conv ? [...shape, 1, 1] : shape,
              strides: matrix && conv ? [...strides, 1, 1] : strides,
            },
          ];
        });
        tensors.push(['filters', { shape: [4, 1, 3, 3], data: new Float32Array(36) }]);
        tensors.push(['steps', { shape: [], data: new BigInt64Array([5n]) }]);
        if (reversed) tensors.reverse();
        const { state, storages } = torchPickled(Object.fromEntries(tensors));
        let content: Uint8Array = state;
        for (const key of [...nesting].reverse())
          content = pickle.dictionary({ epoch: pickle.whole(3), [key]: content });
        writeFileSync(
          file('x.pth'),
          legacy ? torchLegacy(content, storages) : torchZip(content, pickled(storages)),
        );
        const nca = await settle(loadWeights(file('x.pth')));
        assert.equal(nca.flat, flat);
        assert.equal([nca.spec.channels, nca.spec.hidden, nca.spec.outputBias], [channels, hidden, bias]);
      },
    ),
    { numRuns: 60 },
  );
});

test('safetensors by any names give the same weights; of two NCAs one has to be named', async () => {
  const spec = specOf(16, 128, true);
  const tensorsOf = (names: (typeof NAMES)['ours'], prefix: string, flat: Float32Array) =>
    Object.fromEntries(
      weightBlocks(spec).map(({ name, shape, offset, size }) => [
        prefix + names[name],
        {
          shape: shape.length === 2 ? [...shape, 1, 1] : shape,
          data: Float64Array.from(flat.slice(offset, offset + size)),
        },
      ]),
    );
  for (const names of Object.values(NAMES)) {
    const path = file('any.safetensors');
    await settle(writeSafetensors(path, tensorsOf(names, '', exact(spec))));
    const nca = await settle(loadWeights(path));
    assert.equal(nca.flat, exact(spec));
    assert.is(nca.spec.name, '16 channels, 128 hidden, output bias');
    await settle(
      writeSafetensors(path, {
        ...tensorsOf(names, 'model.', exact(spec)),
        ...tensorsOf(names, 'ema.', exact(spec, 5)),
      }),
    );
    assert.match(
      await refusal(() => settle(loadWeights(path))),
      'expected one NCA, found several pairs of layers',
    );
    assert.equal((await settle(loadWeights(`${path}#ema`))).flat, exact(spec, 5));
  }
});

test('what is no NCA says which tensors there are, and what to do', async () => {
  const says = async (tensors: Record<string, number[]>, expected: string) => {
    const arrays = Object.entries(tensors).map(([name, shape]) => [
      name,
      { shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) },
    ]);
    await settle(writeSafetensors(file('no.safetensors'), Object.fromEntries(arrays)));
    assert.match(await refusal(() => settle(loadWeights(file('no.safetensors')))), expected);
  };
  await says({ a: [5, 5], b: [7] }, 'found a 5x5, b 7');
  await says(
    { 'w1.weight': [96, 48], 'w2.weight': [12, 96] },
    'expected the bias of w1.weight (w1.bias 96), found no tensors',
  );
  await says(
    { 'fc0.weight': [128, 48], 'fc0.bias': [128], 'fc1.weight': [16, 128] },
    'Its perception seems to have 3 filters: name them in a file for --spec, as in "filters: [identity, sobel_x, sobel_y]".',
  );
});

test('--spec says what a file cannot: conventions, filters and the order of columns', async () => {
  const spec = SPECS.hypernca;
  const nca = { spec, flat: exact(spec) };
  const bare = file('bare.safetensors');
  await settle(
    writeSafetensors(
      bare,
      Object.fromEntries(
        weightBlocks(spec).map(({ name, shape, offset, size }) => [
          name,
          { shape, data: nca.flat.slice(offset, offset + size) },
        ]),
      ),
    ),
  );
  const given = async (text: string) => {
    writeFileSync(file('spec.yaml'), text);
    return settle(readSpec(file('spec.yaml')));
  };
  // A published texture.pth whose picture is clamp(x), without offset.
  const plain = await settle(loadWeights(bare, { spec: await given('rgb: {offset: 0}') }));
  assert.equal(plain.spec, { ...spec, name: 'hypernca, as given', rgb: { scale: 1, offset: 0 } });
  assert.is(
    specText(plain.spec),
    'hypernca, as given: 12 channels, 96 hidden units; no output bias; filters unscaled; no clips; picture = state',
  );
  const named = await settle(loadWeights(bare, { spec: await settle(readSpec('self-organising-textures')) }));
  assert.is(named.spec.name, 'hypernca like self-organising-textures');
  assert.equal(named.spec.clip, SPECS['self-organising-textures'].clip);
  // What a file says itself stays where the user says nothing.
  const quantised = SPECS['self-organising-textures'];
  await settle(writeWeights(file('sot.safetensors'), { spec: quantised, flat: exact(quantised) }));
  const shifted = await settle(
    loadWeights(file('sot.safetensors'), { spec: await given('rgb: {offset: 0}') }),
  );
  assert.equal(
    { ...shifted.spec, name: '' },
    { ...quantised, name: '', rgb: { ...quantised.rgb, offset: 0 } },
  );
  await settle(writeWeights(file('own.safetensors'), nca));
  assert.is(
    (await settle(loadWeights(file('own.safetensors'), { spec: await given('filterScale: 0.125') }))).spec
      .filterScale,
    0.125,
  );

  const at = (flat: Float32Array, h: number, c: number, f: number) => flat[h * 48 + 4 * c + f];
  const sorted = await settle(
    loadWeights(bare, {
      spec: await given('columns: filter-major\nfilters: [identity, laplacian, sobel_x, sobel_y]'),
    }),
  );
  // Our (c, f) = (7, laplacian) is the file's filter 1 of channel 7.
  assert.is(at(sorted.flat, 5, 7, 3), nca.flat[5 * 48 + 12 + 7]);
  assert.is(at(sorted.flat, 5, 7, 1), nca.flat[5 * 48 + 24 + 7]);

  const three = { 'fc0.weight': [128, 48], 'fc0.bias': [128], 'fc1.weight': [16, 128] };
  const arrays = Object.entries(three).map(([name, shape], k) => [
    name,
    { shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)).map((_, i) => i + k) },
  ]);
  await settle(writeSafetensors(file('three.safetensors'), Object.fromEntries(arrays)));
  const grown = await settle(
    loadWeights(file('three.safetensors'), { spec: await given('filters: [identity, sobel_x, sobel_y]') }),
  );
  assert.is(grown.flat.length, 128 * 64 + 128 + 16 * 128);
  assert.equal([...grown.flat.slice(64 * 2, 64 * 2 + 8)], [96, 97, 98, 0, 99, 100, 101, 0]);

  const refused = async (text: string) => refusal(() => given(text));
  assert.match(await refused('chanels: 3'), 'found the unknown key chanels. Did you mean channels?');
  assert.match(await refused('clip: {state: -1}'), 'clip.state: expected a number above 0 or null, found -1');
  assert.match(await refused('channels: 2'), 'expected a whole number from 3 to 1024, found 2');
  assert.match(await refused('filters: [identity, identity]'), 'none twice');
  assert.match(await refused('a: &a [*a]'), 'spec.yaml: expected YAML');
  assert.match(await refusal(() => settle(readSpec('hypernac'))), 'Did you mean hypernca?');
  const other = await given('hidden: 64');
  assert.match(
    await refusal(() => settle(loadWeights(bare, { spec: other }))),
    'expected 12 channels, 64 hidden units, no output bias (option --spec), found 12 channels, 96 hidden units',
  );
});

test('a spec in a file that no NCA can have is refused', async () => {
  const bad = async (change: object, expected: string) => {
    const spec = JSON.stringify({ ...SPECS.compact, ...change });
    await settle(
      writeSafetensors(
        file('s.safetensors'),
        { weights: { shape: [1312], data: new Float32Array(1312) } },
        { spec },
      ),
    );
    assert.match(await refusal(() => settle(loadWeights(file('s.safetensors')))), expected);
  };
  await bad({ channels: 2 }, 'channels: expected a whole number from 3 to 1024, found 2');
  await bad({ hidden: 1.5 }, 'hidden: expected a whole number from 1 to 65536, found 1.5');
  await bad(
    { clip: { ...SPECS.compact.clip, state: 0 } },
    'clip.state: expected a number above 0 or null, found 0',
  );
  await bad({ rgb: { scale: null, offset: 0 } }, 'rgb.scale: expected a finite number, found null');
});

test('a set in Fortran order, of another size and with an output bias is imported as it is', async () => {
  const spec = specOf(4, 5, true);
  const root = file('fortran');
  mkdirSync(root);
  const count = 3;
  const all = Array.from({ length: count }, (_, i) => exact(spec, i));
  const codes = new Uint32Array([...'abc'].map(c => c.codePointAt(0)!));
  const names = Buffer.from(encodeNpy({ shape: [count], data: codes }));
  names.write("<U1'", names.indexOf('<u4'));
  writeFileSync(join(root, 'texture_names.npy'), names);
  for (const { name, shape, offset, size } of weightBlocks(spec)) {
    const data = new Float32Array(count * size);
    const [rows, columns = 1] = shape;
    // Column-major [N, rows(, columns)].
    for (let i = 0; i < count; i++)
      for (let r = 0; r < rows; r++)
        for (let c = 0; c < columns; c++) data[i + count * (r + rows * c)] = all[i][offset + r * columns + c];
    const bytes = Buffer.from(encodeNpy({ shape: [count, ...shape], data }));
    bytes.write('True, ', bytes.indexOf('False'));
    writeFileSync(join(root, `${name}.npy`), bytes);
  }
  await settle(importZoo([root], file('fortran-zoo'), { render: { steps: 1, size: 8 } }));
  const zoo = await settle(readZoo(file('fortran-zoo')));
  assert.equal(zoo.weights, Float32Array.from(all.flatMap(flat => [...flat])));
  assert.is(zoo.spec.name, '4 channels, 5 hidden, output bias');
});

test('what nca train and sample leave is imported, with its pictures', async () => {
  const spec = specOf(4, 5, false);
  const one = file('bubbles/weights.safetensors');
  await settle(writeWeights(one, { spec, flat: exact(spec) }));
  const png = await encodePng({ width: 8, height: 8, data: new Float32Array(192) });
  writeFileSync(file('bubbles/target.png'), png);
  const several = file('many.safetensors');
  await settle(
    writeWeights(
      several,
      [1, 2].map(seed => ({ spec, flat: exact(spec, seed) })),
    ),
  );
  await settle(importZoo([one, several], file('own-zoo'), { render: { steps: 1, size: 8 } }));
  const zoo = await settle(readZoo(file('own-zoo')));
  assert.equal(
    zoo.entries.map(({ name, image }) => [name, image !== null]),
    [
      ['bubbles', true],
      ['many-0', false],
      ['many-1', false],
    ],
  );
  assert.equal(zoo.spec, spec);
  const other = file('other.safetensors');
  await settle(writeWeights(other, { spec: specOf(3, 5, false), flat: exact(specOf(3, 5, false)) }));
  assert.match(
    await refusal(() => settle(importZoo([one, other], file('no-zoo'), {}))),
    'expected NCAs of one spec',
  );
});

test('a tensor may be called as JavaScript calls its own', async () => {
  const tensors = Object.fromEntries([['__proto__', { shape: [1], data: new Float32Array([3]) }]]);
  await settle(writeSafetensors(file('proto.safetensors'), tensors));
  assert.equal(
    [...(await settle(readSafetensorsHeader(file('proto.safetensors')))).entries.keys()],
    ['__proto__'],
  );
});

test.run();
