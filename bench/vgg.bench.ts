/**
 * `npm run bench -- vgg`: VGG16's style layers on pictures of 128 x 128, batch 4, beside PyTorch. Forward, and forward with the gradient of
 * the Gram loss of all five layers to the pictures. WEIGHTLOOM_BENCH_THREADS=1,2 sets the numbers of threads.
 */

import { visionTensors } from '../property-tests/vision-weights.ts';
import { setThreadCount } from '../src/compute/index.ts';
import { pickTensors } from '../src/conditioning/pretrained/checkpoint.ts';
import { vgg, vggWanted } from '../src/conditioning/pretrained/vgg.ts';
import { randomStream, startBackend, tf } from '../src/tensor/index.ts';
import { Comparison, contestant, interleave, PythonPeer } from './harness.ts';

const BATCH = 4;
const SIZE = 128;
const threadCounts = (process.env.WEIGHTLOOM_BENCH_THREADS ?? '2').split(',').map(Number);

console.error((await startBackend()).summary);
const wanted = vggWanted();
const network = vgg(pickTensors('made up', visionTensors(wanted.shapes), wanted));
const pictures = tf.tensor4d(randomStream(1, 'pictures').uniforms(BATCH * SIZE * SIZE * 3), [
  BATCH,
  SIZE,
  SIZE,
  3,
]);

/** Sum of the mean squares of the layers' Gram matrices. */
const gramSize = (images: tf.Tensor): tf.Scalar => {
  const layers = network.styleLayers(images as tf.Tensor4D).map(layer => {
    const [batch, height, width, channels] = layer.shape;
    const flat = tf.reshape(layer, [batch, height * width, channels]);
    return tf.mean(tf.square(tf.div(tf.matMul(flat, flat, true, false), height * width)));
  });
  return tf.addN(layers) as tf.Scalar;
};
const gradient = tf.grad(gramSize);
const work = {
  'style layers': () => tf.tidy(() => network.styleLayers(pictures).at(-1)!.dataSync()),
  'Gram loss and its gradient': () => tf.tidy(() => gradient(pictures).dataSync()),
};

const peer = PythonPeer.start('vgg.py');
for (const threads of threadCounts) {
  const title = `VGG16, ${SIZE} x ${SIZE}, batch ${BATCH}, ${threads} thread${threads > 1 ? 's' : ''}`;
  const table = new Comparison(title, ['weightloom', 'PyTorch']);
  for (const [name, run] of Object.entries(work)) {
    const ours = contestant('weightloom', () => {
      setThreadCount(threads);
      run();
    });
    const theirs = peer?.contestant('PyTorch', 'style', {
      ...{ batch: BATCH, size: SIZE, threads },
      backward: name !== 'style layers',
    });
    table.add(name, await interleave(theirs ? [ours, theirs] : [ours], { rounds: 5 }));
  }
  table.print();
}
peer?.stop();
