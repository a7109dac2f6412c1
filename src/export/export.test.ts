import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildGraph, ncaNetwork } from '../../graphs/index.ts';
import { runOnnx } from '../../property-tests/onnx-plain.ts';
import { refusal } from '../../property-tests/refusal.ts';
import { settle } from '../config/index.ts';
import { loadWeights, openReferenceSet } from '../data/index.ts';
import { edm, normaliserOf } from '../diffusion/index.ts';
import { buildDenoiser, writeModel } from '../experiment/index.ts';
import { encodeOnnx, readSafetensors, readTorchState, sizeOf } from '../formats/index.ts';
import { blockOf, type NcaSpec, plainStep, SPECS, weightBlocks, weightCount } from '../nca/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import { specs, weightsOf } from '../testing/arbitraries.ts';
import { exportDenoiser, exportNcas, type NamedNca, NCA_TARGETS, ncaOnnx } from './index.ts';

const root = mkdtempSync(join(tmpdir(), 'weightloom-export-'));
const test = suite('export');
test.before(async () => {
  await startBackend();
});
test.after(() => rmSync(root, { recursive: true }));
let files = 0;
const fresh = () => join(root, `file-${files++}`);

const bare = specs({ clips: false }).map(spec => ({ ...spec, filterScale: 1 }));
const namedNca = (spec: NcaSpec, name = 'one'): fc.Arbitrary<NamedNca> =>
  weightsOf(spec).map(flat => ({ name, weights: { spec, flat: Float32Array.from(flat) } }));
const few = { numRuns: 10 };

test('the ONNX graph, run by the definitions of its operators, is the step', () => {
  const cases = specs().chain(spec =>
    fc.record({
      nca: namedNca(spec),
      height: fc.integer({ min: 1, max: 4 }),
      width: fc.integer({ min: 1, max: 4 }),
      seed: fc.nat(1000),
    }),
  );
  fc.assert(
    fc.property(cases, ({ nca: { weights }, height, width, seed }) => {
      const { spec, flat } = weights;
      const { channels, rgb } = spec;
      const random = randomStream(seed, 'export/test');
      const state = Float64Array.from({ length: height * width * channels }, () => random.normal(0, 1));
      const mask = Float64Array.from({ length: height * width }, () => Number(random.uniform() < 0.5));
      const expected = plainStep(spec, flat, state, { height, width }, (y, x) => mask[y * width + x] === 1);
      const first = (x: Float64Array) =>
        Float64Array.from(
          x,
          (_, i) => x[(i % (height * width)) * channels + Math.floor(i / (height * width))],
        );
      const { next, picture } = runOnnx(ncaOnnx(weights), {
        state: { shape: [1, channels, height, width], data: first(state) },
        mask: { shape: [1, 1, height, width], data: mask },
      });
      assert.equal(next.shape, [1, channels, height, width]);
      assert.equal(picture.shape, [1, 3, height, width]);
      const wanted = first(expected as Float64Array);
      // Sums in float64 on both sides; filter constants and clips are kept as float32.
      const close = (a: number, b: number) => Math.abs(a - b) < 1e-5;
      for (let i = 0; i < wanted.length; i++)
        assert.ok(close(next.data[i], wanted[i]), `${next.data[i]}, ${wanted[i]}`);
      for (let i = 0; i < 3 * height * width; i++)
        assert.ok(close(picture.data[i], rgb.scale * wanted[i] + rgb.offset));
    }),
    { numRuns: 30 },
  );
});

/** Fields of a protocol buffer: by number, what each occurrence holds. */
function fields(bytes: Uint8Array): Map<number, (bigint | Uint8Array)[]> {
  const found = new Map<number, (bigint | Uint8Array)[]>();
  let at = 0;
  const varint = () => {
    for (let value = 0n, shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    assert.ok([0, 2].includes(tag & 7), 'a varint or something of known length');
    const number = varint();
    const value = (tag & 7) === 0 ? number : bytes.subarray(at, at + Number(number));
    if (typeof value === 'object') at += value.length;
    found.set(tag >> 3, [...(found.get(tag >> 3) ?? []), value]);
  }
  return found;
}

test('an .onnx file is a protocol buffer with the operators and the version', () => {
  const spec = SPECS.compact;
  const model = ncaOnnx({ spec, flat: new Float32Array(weightCount(spec)) });
  const file = fields(encodeOnnx(model));
  assert.equal(file.get(1), [8n]);
  assert.is(file.get(7)?.length, 1);
  assert.is(file.get(14)?.length, 1);
});

test('a state dictionary keeps every number, and the same NCA gives the same bytes', async () => {
  await fc.assert(
    fc.asyncProperty(bare.chain(namedNca), async nca => {
      const [path, again] = [fresh(), fresh()];
      await settle(exportNcas('torch', path, [nca], true));
      await settle(exportNcas('torch', again, [nca], true));
      assert.equal(readFileSync(path), readFileSync(again));
      const state = await settle(readTorchState(path));
      const { spec, flat } = nca.weights;
      assert.equal(
        Object.keys(state),
        weightBlocks(spec).map(({ name }) => name),
      );
      for (const { name, shape } of weightBlocks(spec)) {
        assert.equal(state[name].shape, shape);
        assert.equal(state[name].data, blockOf(spec, flat, name).slice());
      }
    }),
    few,
  );
});

test('a folder of .npy files is a set that the importer reads back', async () => {
  const sets = bare
    .map(spec => ({ ...spec, outputBias: false }))
    .chain(spec => fc.tuple(namedNca(spec, 'a'), namedNca(spec, 'schön 木目'), namedNca(spec, 'c/d')));
  await fc.assert(
    fc.asyncProperty(sets, async ncas => {
      const folder = fresh();
      await settle(exportNcas('npy', folder, ncas, false));
      const { spec } = ncas[0].weights;
      const source = await settle(openReferenceSet(folder, { spec }));
      const rows = await source.rows(0, 3);
      await source.close();
      assert.equal(source.names, ['a', 'schön 木目', 'd']);
      assert.equal(rows, Float32Array.from(ncas.flatMap(({ weights }) => [...weights.flat])));
    }),
    few,
  );
});

test('graph tensors hold every edge with its weight, and safetensors the whole spec', async () => {
  await fc.assert(
    fc.asyncProperty(specs().chain(namedNca), async nca => {
      const { spec, flat } = nca.weights;
      const [geometric, plain] = [fresh(), `${fresh()}.safetensors`];
      await settle(exportNcas('geometric', geometric, [nca], true));
      const { tensors } = await settle(readSafetensors(geometric));
      const graph = buildGraph(ncaNetwork(spec), flat);
      const [ends, edges] = [tensors.edge_index, tensors.edge_attr];
      assert.equal(ends.shape, [2, graph.size]);
      assert.is(tensors.x.shape[0], graph.order);
      graph.forEachEdge((key, { weight, parameter }, source, target) => {
        const e = Number(key);
        assert.equal([ends.data[e], ends.data[graph.size + e]].map(Number), [source, target].map(Number));
        assert.is(edges.data[8 * e], Math.fround(weight));
        assert.is(edges.data[8 * e + 6], parameter);
      });
      await settle(exportNcas('safetensors', plain, [nca], true));
      const back = await settle(loadWeights(plain));
      assert.is(JSON.stringify(back.spec), JSON.stringify(spec));
      assert.equal(back.flat, flat);
    }),
    few,
  );
});

test('a target that has no place for the spec is refused in one sentence, and nothing is written', async () => {
  const zeros = (spec: NcaSpec): NamedNca => ({
    name: 'zeros',
    weights: { spec, flat: new Float32Array(weightCount(spec)) },
  });
  const clipped = zeros(SPECS['self-organising-textures']);
  const biased = zeros({ ...SPECS.compact, outputBias: true });
  const before = readdirSync(root);
  assert.is(
    await refusal(() => settle(exportNcas('torch', fresh(), [clipped], true))),
    'export --to torch: expected an NCA of bare weights, found the spec self-organising-textures, which has clips of the perception, hidden, update, state. onnx and safetensors hold all of it.',
  );
  assert.match(
    await refusal(() => settle(exportNcas('npy', fresh(), [biased], true))),
    'found the spec compact, which has an output bias b2.',
  );
  assert.match(
    await refusal(() =>
      settle(exportNcas('torch', fresh(), [zeros({ ...SPECS.compact, filterScale: 1 / 8 })], true)),
    ),
    'a filter scale of 0.125',
  );
  assert.equal(readdirSync(root), before);
  // What has room for b2 takes it.
  for (const target of NCA_TARGETS.filter(name => name !== 'npy')) {
    const [path] = await settle(exportNcas(target, fresh(), [biased], true));
    assert.ok(existsSync(path));
  }
});

test('several NCAs are a folder of files with names that every file system takes', async () => {
  const flat = new Float32Array(weightCount(SPECS.compact));
  const folder = fresh();
  const ncas = ['a/b', 'a/b', '..'].map(name => ({ name, weights: { spec: SPECS.compact, flat } }));
  const paths = await settle(exportNcas('onnx', folder, ncas, false));
  assert.equal(readdirSync(folder).sort(), ['_.onnx', 'a_b.onnx', 'a_b~2.onnx']);
  assert.ok(paths.every(path => existsSync(path)));
});

test('the manifest of a denoiser names every tensor of its file, with shape', async () => {
  const before = tf.memory().numTensors;
  const spec = SPECS.compact;
  const size = weightCount(spec);
  const run = fresh();
  const config = {
    denoiser: { kind: 'edge-mpnn', hidden: 8, edge: 4, global: 8, layers: 1, heads: 2, basis: 4 },
    encoder: null,
    diffusion: { process: 'edm' },
    guidance: 1,
    seed: 3,
  };
  const anchor = randomStream(1, 'anchor').normals(size);
  const denoiser = await buildDenoiser(config.denoiser, spec, null, anchor, config.seed);
  const normaliser = normaliserOf(new Float32Array(size), new Float32Array(size).fill(2));
  await writeModel(
    run,
    {
      config,
      spec,
      pictureSize: 16,
      ncaSteps: 8,
      denoiser,
      encoder: null,
      diffusion: edm(),
      normaliser,
      standardiser: null,
      anchor,
      trainFeatures: null,
    },
    7,
  );
  const folder = fresh();
  const { tensors: count, numbers } = await settle(exportDenoiser(run, folder));
  const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'));
  const { tensors } = await settle(readSafetensors(join(folder, 'denoiser.safetensors')));
  const listed: { name: string; role: string; shape: number[] }[] = manifest.tensors;
  assert.equal(listed.map(({ name }) => name).sort(), Object.keys(tensors).sort());
  for (const { name, role, shape } of listed) {
    assert.equal(tensors[name].shape, shape);
    assert.type(manifest.roles[role], 'string');
  }
  for (const [name, variable] of Object.entries(denoiser.variables))
    assert.equal(tensors[`denoiser/${name}`].data, variable.dataSync());
  assert.is(count, listed.length);
  assert.is(
    numbers,
    Object.values(tensors).reduce((sum, { shape }) => sum + sizeOf(shape), 0),
  );
  assert.is(manifest.denoiser.kind, 'edge-mpnn');
  denoiser.dispose();
  assert.is(tf.memory().numTensors, before);
});

test.run();
