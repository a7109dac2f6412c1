/**
 * `npm run bench -- transformer`: the transformer denoiser on tokens of the 48-96-12 spec (256 wide, 8 layers, 61 weight tokens, a noise token
 * and a condition token, batch 8), whole, beside the same model in PyTorch. Forward, and forward and backward to every variable.
 * WEIGHTLOOM_BENCH_THREADS=1,2 sets the numbers of threads.
 */
import { setThreadCount } from '../src/compute/index.ts';
import { orThrow } from '../src/config/index.ts';
import { denoiserKind } from '../src/denoisers/index.ts';
import { SPECS, weightCount } from '../src/nca/index.ts';
import { randomStream, startBackend, tf } from '../src/tensor/index.ts';
import { Comparison, contestant, interleave, PythonPeer } from './harness.ts';

const BATCH = 8;
const CONDITION = 256;
const sizes = { width: 256, layers: 8, heads: 4, noiseWidth: 256 };
const threadCounts = (process.env.WEIGHTLOOM_BENCH_THREADS ?? '2').split(',').map(Number);

console.error((await startBackend()).summary);
const spec = SPECS.hypernca;
const kind = orThrow(denoiserKind('transformer'));
const denoiser = kind.build(
  { ...kind.defaults, ...sizes },
  { spec, condition: { tokens: 1, width: CONDITION }, seed: 1 },
);
const variables = Object.values(denoiser.variables);
const weights = tf.tensor2d(randomStream(1, 'weights').normals(BATCH * weightCount(spec)), [
  BATCH,
  weightCount(spec),
]);
const noise = tf.tensor1d(randomStream(1, 'noise').normals(BATCH));
const condition = {
  tokens: tf.tensor3d(randomStream(1, 'condition').normals(BATCH * CONDITION), [BATCH, 1, CONDITION]),
  present: tf.ones([BATCH]) as tf.Tensor1D,
};
const forward = () => denoiser.apply(weights, noise, condition);
const work = {
  forward: () => tf.tidy(() => forward().dataSync()),
  'forward and backward': () =>
    tf.tidy(() => {
      const { grads } = tf.variableGrads(() => tf.mean(tf.square(forward())) as tf.Scalar, variables);
      Object.values(grads).at(-1)!.dataSync();
    }),
};

const peer = PythonPeer.start('transformer.py');
for (const threads of threadCounts) {
  const table = new Comparison(`transformer, ${threads} thread${threads > 1 ? 's' : ''}`, [
    'weightloom',
    'PyTorch',
  ]);
  for (const [name, run] of Object.entries(work)) {
    const ours = contestant('weightloom', () => {
      setThreadCount(threads);
      run();
    });
    const parameters = { ...sizes, tokens: 61, token_width: 96, condition: CONDITION, batch: BATCH };
    const theirs = peer?.contestant('PyTorch', 'denoiser', {
      ...parameters,
      threads,
      backward: name !== 'forward',
    });
    table.add(name, await interleave(theirs ? [ours, theirs] : [ours]));
  }
  table.print();
}
peer?.stop();
