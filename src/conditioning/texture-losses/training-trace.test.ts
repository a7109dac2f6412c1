/** The reference's training of an NCA, replayed from end to end: rollout, Gram loss, overflow, gradients, normalisation, Adam. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deviation, golden } from '../../../property-tests/golden.ts';
import { learningRateAt, NormalisedAdam, rollout, SPECS, toRgb, weightBlocks } from '../../nca/index.ts';
import { randomStream, startBackend, tf } from '../../tensor/index.ts';
import { pickTensors } from '../pretrained/checkpoint.ts';
import { type VggLayout, vgg, vggWanted } from '../pretrained/vgg.ts';
import { gramLoss } from './index.ts';

await startBackend();

const trace = await golden('13_nca_train_trace');
const LAYOUT: VggLayout = [8, 8, 'pool', 16, 16, 'pool', 24, 24, 24, 'pool', 32, 32, 32, 'pool', 32];
const spec = SPECS.hypernca;
const PARTS = ['w1.weight', 'w1.bias', 'w2.weight'];
const flat = (stage: string) =>
  Float32Array.from(PARTS.flatMap(name => Array.from(trace[`${stage}.${name}`].data, Number)));
const planes = (name: string): tf.Tensor4D =>
  tf.tidy(() => {
    const { shape, data } = trace[name];
    const stored = tf.tensor4d(Float32Array.from(data, Number), shape as [number, number, number, number]);
    return tf.transpose(stored, [0, 2, 3, 1]) as tf.Tensor4D;
  });

for (const run of ['trained', 'zero_w2', 'writeback']) {
  test(`${run}: loss, gradients and weights follow the reference through the whole chain`, async () => {
    const before = tf.memory().numTensors;
    const vggArrays = Object.fromEntries(
      Object.entries(await golden('02_texture_loss'))
        .filter(([name]) => name.startsWith('vgg.'))
        .map(([name, array]) => [name.replace('vgg.', 'features.'), array]),
    );
    const network = vgg(pickTensors('golden', vggArrays, vggWanted(LAYOUT)), LAYOUT);
    const target = planes('target');
    const prepared = gramLoss(network).prepare(target);
    const start = planes('x0');
    let state = start;
    const adam = new NormalisedAdam(weightBlocks(spec), flat(`${run}.iter0`));
    const masks = Array.from(trace.masks.data, Number);
    const perIteration = masks.length / 3;
    for (let i = 0; i < 3; i++) {
      let reached: tf.Tensor4D | undefined;
      const { value, grad } = tf.tidy(() => {
        const weights = tf.tensor2d(adam.weights, [1, adam.weights.length]);
        const found = tf.valueAndGrad((w: tf.Tensor) => {
          const after = rollout(spec, w as tf.Tensor2D, state, {
            steps: 4,
            seeds: [0, 0],
            masks: masks.slice(i * perIteration, (i + 1) * perIteration),
          });
          reached = tf.keep(tf.clone(after));
          const overflow = tf.sum(tf.abs(tf.sub(after, tf.clipByValue(after, -1, 1))));
          const texture = tf.mean(prepared.loss(toRgb(spec, after), randomStream(0, 'unused')));
          return tf.add(texture, tf.mul(overflow, 10)) as tf.Scalar;
        })(weights);
        return { value: found.value.dataSync()[0], grad: found.grad.dataSync() as Float32Array };
      });
      // The chain is float32 on both sides: 3e-5 of the largest number is what some hundreds of sums in another order come to, and
      // the weights that earlier updates gave differ by as much.
      assert.ok(deviation([value], trace[`${run}.loss${i}`]) < 3e-5, `loss ${i}: ${value}`);
      const seen = tf.tidy(() => tf.transpose(reached!, [0, 3, 1, 2]).dataSync());
      assert.ok(deviation(seen, trace[`${run}.state${i}`]) < 3e-5, `state ${i}`);
      if (`${run}.rawgrad${i}.w1.weight` in trace) {
        const blocks = weightBlocks(spec);
        PARTS.forEach((name, k) => {
          const { offset, size } = blocks[k];
          const error = deviation(grad.subarray(offset, offset + size), trace[`${run}.rawgrad${i}.${name}`]);
          assert.ok(error < 2e-4, `gradient ${i} ${name}: ${error}`);
        });
      }
      adam.update(grad, learningRateAt({ learningRate: 1e-3, milestones: [1000, 2000], decay: 0.5 }, i));
      const wanted = flat(`${run}.iter${i + 1}`);
      // Adam's first updates are 1e-3 whatever the gradient's size: a gradient that is nearly 0 may round to another one. All but one in a thousand lie within a
      // thousandth of an update.
      const gaps = Float64Array.from(adam.weights, (w, k) => Math.abs(w - wanted[k])).sort();
      assert.ok(gaps[Math.floor(0.999 * gaps.length)] < 1e-6, `weights ${i}: ${gaps.at(-1)}`);
      if (run === 'writeback') {
        if (state !== start) state.dispose();
        state = reached!;
      } else reached!.dispose();
    }
    if (state !== start) state.dispose();
    prepared.dispose();
    network.dispose();
    tf.dispose([target, start]);
    assert.is(tf.memory().numTensors, before);
  });
}

test.run();
