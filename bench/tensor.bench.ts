/**
 * `npm run bench -- tensor [PART ...]`: the loom backend beside PyTorch and tfjs-backend-wasm, at 1 and 2 threads (wasm has one).
 * Parts: matmul, elementwise, conv, transformer, vgg, edge-mpnn. WEIGHTLOOM_BENCH_THREADS=2 leaves out one thread,
 * WEIGHTLOOM_BENCH_ROUNDS=3 makes it short, WEIGHTLOOM_BENCH_WASM=0 leaves out wasm, whose backward passes take seconds.
 */
import '@tensorflow/tfjs-backend-wasm';
import { setThreadCount } from '../src/compute/index.ts';
import { edgeMpnnKind } from '../src/denoisers/index.ts';
import { SPECS, weightCount } from '../src/nca/index.ts';
import { encoderLayer, Parameters, randomStream, startBackend, tf } from '../src/tensor/index.ts';
import { Comparison, type Contestant, clock, contestant, interleave, PythonPeer } from './harness.ts';

const parts = process.argv.slice(3);
const wanted = (part: string) => parts.length === 0 || parts.includes(part);
const threadCounts = (process.env.WEIGHTLOOM_BENCH_THREADS ?? '1,2').split(',').map(Number);

const withWasm = process.env.WEIGHTLOOM_BENCH_WASM !== '0';

const peer = PythonPeer.start('tensor.py');
await startBackend({ prefer: 'loom' });
await tf.setBackend('wasm');

type Work = () => tf.Tensor | tf.Tensor[] | undefined;

/** The work on a backend of ours: built there once, its results disposed of after each run. */
function on(name: string, backend: 'loom' | 'wasm', threads: number, make: () => Work): Contestant {
  let work: Work | undefined;
  return contestant(
    name,
    () => tf.dispose(work?.() ?? []),
    async () => {
      await tf.setBackend(backend);
      if (backend === 'loom') setThreadCount(threads);
      work ??= make();
    },
  );
}

interface Question {
  readonly name: string;
  readonly make: () => Work;
  readonly what: string;
  readonly parameters: Record<string, unknown>;
  readonly wasm?: boolean;
}

async function ask(part: string, questions: readonly Question[]): Promise<void> {
  if (!wanted(part)) return;
  for (const threads of threadCounts) {
    const table = new Comparison(
      `${part}, ${threads} thread${threads > 1 ? 's' : ''}${clock === 'cpu' ? ', processor time' : ''}`,
      ['loom', 'PyTorch', 'tfjs-wasm'],
    );
    for (const { name, make, what, parameters, wasm = true } of questions) {
      const contestants = [on('loom', 'loom', threads, make)];
      if (peer) contestants.push(peer.contestant('PyTorch', what, { ...parameters, threads }));
      if (wasm && withWasm && threads === threadCounts[0]) contestants.push(on('tfjs-wasm', 'wasm', 1, make));
      table.add(name, await interleave(contestants));
    }
    table.print();
  }
}

const random = randomStream(1, 'bench');
const uniform = (...shape: number[]) =>
  tf.tensor(
    random.uniforms(
      shape.reduce((a, b) => a * b, 1),
      0,
      1,
    ),
    shape,
  );

const product = (
  name: string,
  m: number,
  n: number,
  k: number,
  ta = false,
  tb = false,
  batch = 0,
): Question => ({
  name,
  what: 'matmul',
  parameters: { m, n, k, transpose_a: ta, transpose_b: tb, batch },
  make: () => {
    const lead = batch ? [batch] : [];
    const a = uniform(...lead, ...(ta ? [k, m] : [m, k]));
    const b = uniform(...lead, ...(tb ? [n, k] : [k, n]));
    return () => tf.matMul(a, b, ta, tb);
  },
});

await ask('matmul', [
  product('sgemm 256', 256, 256, 256),
  product('sgemm 1024', 1024, 1024, 1024),
  product('sgemm 2048', 2048, 2048, 2048),
  product('504 x 256 x 1024', 504, 1024, 256),
  product('its gradient to the input, dy W^T', 504, 256, 1024, false, true),
  product('its gradient to the weight, x^T dy', 256, 1024, 504, true),
  product('attention scores, 32 of 63 x 64 x 63', 63, 63, 64, false, true, 32),
  product('attention sums, 32 of 63 x 63 x 64', 63, 64, 63, false, false, 32),
  product('edges, 46848 x 96 x 96', 46848, 96, 96),
]);

const size = 1_500_000;
const pointwise = (op: string, f: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor): Question => ({
  name: `${op}, 1.5M`,
  what: 'elementwise',
  parameters: { op, size },
  make: () => {
    const a = uniform(size);
    const b = uniform(size);
    return () => f(a, b);
  },
});
const rows = Math.floor(size / 256);
const wide = (a: tf.Tensor) => tf.reshape(tf.slice(a, 0, rows * 256), [rows, 256]);

await ask('elementwise', [
  pointwise('add', (a, b) => tf.add(a, b)),
  {
    name: 'add a row of 256, 1.5M',
    what: 'elementwise',
    parameters: { op: 'row', size },
    make: () => {
      const a = wide(uniform(size));
      const b = uniform(256);
      return () => tf.add(a, b);
    },
  },
  pointwise('exp', a => tf.exp(a)),
  pointwise('tanh', a => tf.tanh(a)),
  pointwise('sum', a => tf.sum(a)),
  {
    name: 'sum over rows, 1.5M',
    what: 'elementwise',
    parameters: { op: 'columns', size },
    make: () => {
      const a = wide(uniform(size));
      return () => tf.sum(a, 0);
    },
  },
  {
    name: 'softmax [16128, 63]',
    what: 'softmax',
    parameters: { rows: 16128, length: 63 },
    make: () => {
      const a = uniform(16128, 63);
      return () => tf.softmax(a);
    },
  },
  {
    name: 'transpose [8, 63, 4, 64] to 0 2 1 3',
    what: 'transpose',
    parameters: { shape: [8, 63, 4, 64], perm: [0, 2, 1, 3] },
    make: () => {
      const a = uniform(8, 63, 4, 64);
      return () => tf.transpose(a, [0, 2, 1, 3]);
    },
  },
]);

/** Gradients of the mean square of an output with respect to variables. */
function withGradients(f: () => tf.Tensor): Work {
  return () =>
    tf.tidy(() => {
      const { grads } = tf.variableGrads(() => tf.mean(tf.square(f())) as tf.Scalar);
      return Object.values(grads);
    });
}

const transformer = (backward: boolean): Question => ({
  name: `256 wide, 8 layers, 63 tokens, batch 8: forward${backward ? ' and backward' : ''}`,
  what: 'transformer',
  parameters: { width: 256, layers: 8, heads: 4, tokens: 63, batch: 8, backward },
  make: () => {
    const parameters = new Parameters({ seed: 1 });
    const layers = Array.from({ length: 8 }, (_, i) =>
      encoderLayer(parameters, `${i}`, { width: 256, heads: 4, hidden: 1024 }),
    );
    const x = uniform(8, 63, 256) as tf.Tensor3D;
    const forward = () => layers.reduce((y, layer) => layer(y), x);
    return backward ? withGradients(forward) : () => tf.tidy(forward);
  },
});
await ask('transformer', [transformer(false), transformer(true)]);

const conv = (
  part: 'forward' | 'input' | 'filter',
  n: number,
  s: number,
  cin: number,
  cout: number,
): Question => ({
  name: `3x3, ${cin} to ${cout}, ${s} x ${s}, batch ${n}: ${part}`,
  what: 'conv',
  parameters: { n, h: s, w: s, cin, cout, part },
  wasm: part !== 'filter',
  make: () => {
    const x = uniform(n, s, s, cin) as tf.Tensor4D;
    const filter = uniform(3, 3, cin, cout) as tf.Tensor4D;
    const dy = uniform(n, s, s, cout) as tf.Tensor4D;
    const inputs: tf.NamedTensorMap =
      part === 'forward' ? { x, filter } : part === 'input' ? { dy, filter } : { x, dy };
    const kernel = { forward: 'Conv2D', input: 'Conv2DBackpropInput', filter: 'Conv2DBackpropFilter' }[part];
    const attributes = {
      strides: [1, 1],
      pad: 'same',
      dataFormat: 'NHWC',
      dilations: [1, 1],
      inputShape: [n, s, s, cin],
      filterShape: [3, 3, cin, cout],
    };
    return () => tf.engine().runKernel(kernel, inputs, attributes as unknown as tf.NamedAttrMap) as tf.Tensor;
  },
});
await ask('conv', [
  conv('forward', 4, 128, 64, 64),
  conv('forward', 4, 32, 256, 256),
  conv('input', 4, 32, 256, 256),
  conv('filter', 4, 32, 256, 256),
]);

const vgg = (backward: boolean): Question => ({
  name: `VGG16 to layer 25, 128 x 128, batch 4: forward${backward ? ' and gradient to the picture' : ''}`,
  what: 'vgg',
  parameters: { batch: 4, size: 128, backward },
  make: () => {
    const widths = [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512];
    let cin = 3;
    const layers = widths.map(width => {
      if (width === 0) return (x: tf.Tensor4D) => tf.maxPool(x, 2, 2, 'valid');
      const filter = tf.mul(uniform(3, 3, cin, width), 1 / (9 * cin)) as tf.Tensor4D;
      const bias = uniform(width) as tf.Tensor1D;
      cin = width;
      return (x: tf.Tensor4D) =>
        tf.fused.conv2d({ x, filter, bias, strides: 1, pad: 'same', activation: 'relu' }) as tf.Tensor4D;
    });
    const x = uniform(4, 128, 128, 3) as tf.Tensor4D;
    const forward = (x: tf.Tensor) => layers.reduce((y, layer) => layer(y), x as tf.Tensor4D);
    if (!backward) return () => tf.tidy(() => forward(x));
    const gradient = tf.grad(y => tf.mean(tf.square(forward(y))));
    return () => tf.tidy(() => gradient(x));
  },
});
await ask('vgg', [vgg(false), vgg(true)]);

/** The published graph denoiser, in which ours computes node and global terms once and not per edge; PyTorch's side concatenates. */
const edgeMpnn = (backward: boolean): Question => ({
  name: `edge-mpnn, 96 wide, 4 layers, batch 8: forward${backward ? ' and backward' : ''}`,
  what: 'edge_mpnn',
  parameters: { batch: 8, hidden: 96, layers: 4, backward },
  wasm: false,
  make: () => {
    const spec = SPECS.hypernca;
    const denoiser = edgeMpnnKind.build(
      {
        ...edgeMpnnKind.defaults,
        reference: { hidden: 96, layers: 4, out: 32, noise: 6, reduction: 'mean' },
      },
      { spec, condition: { tokens: 1, width: 64 }, seed: 1 },
    );
    const weights = uniform(8, weightCount(spec)) as tf.Tensor2D;
    const labels = uniform(8) as tf.Tensor1D;
    const condition = { tokens: uniform(8, 1, 64) as tf.Tensor3D, present: tf.ones([8]) as tf.Tensor1D };
    const forward = () => denoiser.apply(weights, labels, condition);
    return backward ? withGradients(forward) : () => tf.tidy(forward);
  },
});
await ask('edge-mpnn', [edgeMpnn(false), edgeMpnn(true)]);

peer?.stop();
