/**
 * `npm run bench -- denoisers [published]`: the six denoisers on loom, TensorFlow (where it is installed: bench/peers/tensorflow.sh) and
 * PyTorch, forward, and forward and backward to every variable, on 48-96-12 with batch 8, a condition and an anchor. At the sizes
 * they come with, or at the published ones. PyTorch gets the same weights and its output is compared before anything is timed.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { threadCount } from '../src/compute/index.ts';
import { orThrow } from '../src/config/index.ts';
import { type Denoiser, denoiserKind, ncaGraph } from '../src/denoisers/index.ts';
import { type NdArray, writeSafetensors } from '../src/formats/index.ts';
import { SPECS, weightCount } from '../src/nca/index.ts';
import { type BackendName, randomStream, startBackend, tf } from '../src/tensor/index.ts';
import { Comparison, type Contestant, contestant, interleave, PythonPeer } from './harness.ts';

const BATCH = 8;
const CONDITION = { tokens: 1, width: 256 };
const spec = SPECS.hypernca;
const size = weightCount(spec);
const sequence = { width: 256, layers: 8, noiseWidth: 256 };
const published: Record<string, Record<string, number>> = {
  transformer: sequence,
  'transformer-typed': sequence,
  'transformer-hidden': sequence,
  dit: sequence,
  'edge-mpnn': { hidden: 96, edge: 16, global: 256, layers: 4 },
  'graph-dit': { hidden: 96, edge: 16, global: 256, blocks: 4 },
};
const large = process.argv.includes('published');
const threads = threadCount();

const random = (name: string, ...shape: number[]): NdArray => ({
  data: randomStream(1, name).normals(shape.reduce((a, b) => a * b, 1)),
  shape,
});
const inputs = {
  weights: random('weights', BATCH, size),
  noise: random('noise', BATCH),
  condition: random('condition', BATCH, CONDITION.tokens, CONDITION.width),
  anchor: random('anchor', size),
};
const tensor = <R extends tf.Rank>({ data, shape }: NdArray): tf.Tensor<R> =>
  tf.tensor(data as Float32Array, [...shape] as tf.ShapeMap[R]);

const configOf = (name: string) => ({
  ...(orThrow(denoiserKind(name)).defaults as Record<string, unknown>),
  ...(large && published[name]),
});

/** Every variable moved away from where it starts: a layer that starts at 0 would hide a difference. */
function build(name: string): Denoiser {
  const denoiser = orThrow(denoiserKind(name)).build(configOf(name), {
    spec,
    condition: CONDITION,
    anchor: inputs.anchor.data as Float32Array,
    seed: 1,
  });
  for (const [key, variable] of Object.entries(denoiser.variables)) {
    const noise = tf.tensor(randomStream(2, key).normals(variable.size, 0, 0.02), variable.shape);
    tf.tidy(() => variable.assign(tf.add(variable, noise)));
    noise.dispose();
  }
  return denoiser;
}

interface Run {
  readonly denoiser: Denoiser;
  readonly apply: () => tf.Tensor2D;
}

async function onBackend(backend: BackendName, name: string): Promise<Run> {
  await tf.setBackend(backend);
  const denoiser = build(name);
  const weights = tensor<tf.Rank.R2>(inputs.weights);
  const noise = tensor<tf.Rank.R1>(inputs.noise);
  const condition = {
    tokens: tensor<tf.Rank.R3>(inputs.condition),
    present: tf.ones([BATCH]) as tf.Tensor1D,
  };
  return { denoiser, apply: () => denoiser.apply(weights, noise, condition, { training: true }) };
}

function timed(backend: BackendName, { denoiser, apply }: Run, gradient: boolean): Contestant {
  const variables = Object.values(denoiser.variables);
  const run = () =>
    tf.tidy(() => {
      if (!gradient) return void apply().dataSync();
      const { grads } = tf.variableGrads(() => tf.mean(tf.square(apply())) as tf.Scalar, variables);
      for (const grad of Object.values(grads).slice(-1)) grad.dataSync();
    });
  return contestant(backend, run, () => tf.setBackend(backend));
}

/** The parameter graph as the peer wants it: ranges of nodes per block of edges. */
function graphOf() {
  const graph = ncaGraph(spec);
  const range = (nodes: Int32Array) => [nodes[0], nodes.length];
  const faces = Array.from(graph.nodeLayer, (layer, i) =>
    [layer, graph.nodeType[i], graph.nodeOrder[i]].join(),
  );
  const classes = [...new Set(faces)];
  return {
    nodes: graph.nodeCount,
    nodeClass: faces.map(face => classes.indexOf(face)),
    blocks: graph.blocks.map(({ sources, targets }) => ({
      sources: range(sources),
      targets: range(targets),
    })),
  };
}

async function writeForPeer(path: string, { denoiser, apply }: Run): Promise<void> {
  const named = Object.entries(inputs).map(([key, array]) => [`input/${key}`, array] as const);
  const variables = Object.entries(denoiser.variables).map(
    ([key, variable]) => [key, { data: variable.dataSync() as Float32Array, shape: variable.shape }] as const,
  );
  const output = tf.tidy(() => apply().dataSync()) as Float32Array;
  const tensors = Object.fromEntries([
    ...named,
    ...variables,
    ['output', { data: output, shape: [BATCH, size] }],
  ]);
  orThrow(await writeSafetensors(path, tensors)());
}

const backends: BackendName[] = ['loom'];
process.env.TF_NUM_INTRAOP_THREADS ??= String(threads);
try {
  console.error((await startBackend({ prefer: 'tensorflow' })).summary);
  backends.push('tensorflow');
} catch (error) {
  console.error(`without TensorFlow: ${(error as Error).message}`);
}
console.error((await startBackend({ prefer: 'loom' })).summary);
const peer = PythonPeer.start('denoisers.py');
const folder = await mkdtemp(join(tmpdir(), 'weightloom-bench-'));
const table = new Comparison(`${large ? 'published sizes' : 'sizes as they come'}, batch ${BATCH}`, [
  ...backends,
  ...(peer ? ['PyTorch'] : []),
]);
try {
  for (const name of Object.keys(published)) {
    const runs: [BackendName, Run][] = [];
    for (const backend of backends) runs.push([backend, await onBackend(backend, name)]);
    const file = join(folder, `${name}.safetensors`);
    await tf.setBackend('loom');
    await writeForPeer(file, runs[0][1]);
    const { channels, hidden } = spec;
    const request = { file, kind: name, config: configOf(name), channels, hidden, graph: graphOf(), threads };
    const compared = await peer?.ask({ what: 'same', count: 1, ...request });
    if (compared?.error) throw new Error(compared.error);
    for (const gradient of [false, true]) {
      const contestants = runs.map(([backend, run]) => timed(backend, run, gradient));
      if (peer) contestants.push(peer.contestant('PyTorch', 'denoiser', { ...request, gradient }));
      table.add(
        `${name}: forward${gradient ? ' and backward' : ''}`,
        await interleave(contestants, { rounds: Number(process.env.WEIGHTLOOM_BENCH_ROUNDS ?? 7) }),
      );
    }
    for (const [backend, { denoiser }] of runs) {
      await tf.setBackend(backend);
      denoiser.dispose();
    }
  }
} finally {
  await rm(folder, { recursive: true, force: true });
  peer?.stop();
}
table.print();
process.exit(0);
