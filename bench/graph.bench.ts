/**
 * Parameter graphs and message passing. Conversion: filling the compiled graph with the weights of 256 NCAs, per NCA, beside building one
 * graph's arrays. Denoising: the reference's EdgeMPNN at its own size with every linear layer factored, beside PyTorch that gathers and
 * concatenates the inputs of every layer as the reference does; the same function, batch norm by batch statistics.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { threadCount } from '../src/compute/index.ts';
import { orThrow } from '../src/config/index.ts';
import {
  denoiserKind,
  denseEdges,
  ncaGraph,
  REFERENCE_DEFAULTS,
  referenceMpnn,
} from '../src/denoisers/index.ts';
import { SPECS, weightCount } from '../src/nca/index.ts';
import { randomStream, startBackend, tf } from '../src/tensor/index.ts';
import { Comparison, type Contestant, contestant, interleave, PythonPeer } from './harness.ts';

const THREADS = threadCount();
const spec = SPECS.hypernca;
const size = weightCount(spec);
const CONDITION = 256;
const BATCH = 8;
const MANY = 256;

const random = (name: string, shape: number[]) =>
  tf.tensor(randomStream(1, name).normals(shape.reduce((a, b) => a * b, 1)), shape);

await startBackend({ prefer: 'loom' });

const inputs = {
  weights: random('weights', [BATCH, size]) as tf.Tensor2D,
  noise: random('noise', [BATCH]) as tf.Tensor1D,
  condition: {
    tokens: random('condition', [BATCH, 1, CONDITION]) as tf.Tensor3D,
    present: tf.ones([BATCH]) as tf.Tensor1D,
  },
};

const context = { spec, condition: { tokens: 1, width: CONDITION }, seed: 1 };

function ours(name: string, denoiser: ReturnType<typeof referenceMpnn>, gradient: boolean): Contestant {
  const apply = () => denoiser.apply(inputs.weights, inputs.noise, inputs.condition, { training: true });
  return contestant(name, () => {
    if (!gradient) {
      tf.tidy(() => apply().dataSync());
      return;
    }
    const { value, grads } = tf.variableGrads(
      () => tf.mean(tf.square(apply())) as tf.Scalar,
      Object.values(denoiser.variables),
    );
    value.dataSync();
    tf.dispose([value, grads]);
  });
}

const peer = PythonPeer.start('graph.py');
const threads = `${THREADS} thread${THREADS > 1 ? 's' : ''}`;
const names = [`factored, ${threads}`, `PyTorch concatenating, ${threads}`] as const;
const shape = {
  batch: BATCH,
  channels: spec.channels,
  units: spec.hidden,
  ...REFERENCE_DEFAULTS,
  reduction: undefined,
  condition: CONDITION,
};

const conversions = new Comparison('parameter graph of one NCA', ['compiled, of 256', 'PyTorch, one graph']);
{
  const space = denseEdges(ncaGraph(spec));
  const many = random('many', [MANY, size]) as tf.Tensor2D;
  const batch = contestant('compiled, of 256', () => tf.tidy(() => void space.ofWeights(many)));
  const perNca: Contestant = { name: batch.name, time: async count => (await batch.time(count)) / MANY };
  const theirs = peer
    ? [
        peer.contestant('PyTorch, one graph', 'convert', {
          channels: spec.channels,
          units: spec.hidden,
          threads: THREADS,
        }),
      ]
    : [];
  conversions.add('48-96-12, weights to edge features', await interleave([perNca, ...theirs]));
  many.dispose();
}

const denoisers = new Comparison(`edge-mpnn at the reference's size, batch ${BATCH}`, names);
const reference = referenceMpnn(REFERENCE_DEFAULTS, context);
for (const gradient of [false, true]) {
  const theirs = peer
    ? [peer.contestant(names[1], gradient ? 'gradient' : 'forward', { ...shape, threads: THREADS })]
    : [];
  denoisers.add(
    gradient ? 'forward and backward' : 'forward',
    await interleave([ours(names[0], reference, gradient), ...theirs], { rounds: 7 }),
  );
}
reference.dispose();

const defaults = new Comparison('denoisers as they come, batch 8', ['edge-mpnn', 'graph-dit']);
for (const gradient of [false, true]) {
  const built = ['edge-mpnn', 'graph-dit'].map(name => {
    const kind = orThrow(denoiserKind(name));
    return kind.build(kind.defaults, { ...context, anchor: randomStream(2, 'anchor').normals(size) });
  });
  defaults.add(
    gradient ? 'forward and backward' : 'forward',
    await interleave(
      built.map(denoiser => ours(denoiser.name, denoiser, gradient)),
      { rounds: 5 },
    ),
  );
  for (const denoiser of built) denoiser.dispose();
}

for (const table of [conversions, denoisers, defaults]) table.print();
peer?.stop();

const megabytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;
console.log(`Peak resident memory of this process: ${megabytes(process.resourceUsage().maxRSS * 1024)}`);
const script = fileURLToPath(new URL('peers/graph.py', import.meta.url));
const { stdout, status } = spawnSync(
  process.env.WEIGHTLOOM_PYTHON ?? '/usr/bin/python3',
  [script, JSON.stringify(shape)],
  {
    encoding: 'utf8',
  },
);
if (status === 0)
  console.log(`Peak resident memory of the peer, one forward and backward: ${megabytes(Number(stdout))}`);
process.exit(0);
