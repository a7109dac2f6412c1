/** Every registered denoiser, every way to bring a condition in, with and without one: the promises of the interface. */
import * as E from 'fp-ts/lib/Either.js';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { orThrow } from '../config/index.ts';
import { type NcaSpec, SPECS, weightCount } from '../nca/index.ts';
import { randomStream, startBackend, tf } from '../tensor/index.ts';
import * as contract from './contract.ts';
import { type Denoiser, type DenoiserContext, denoiserKind, denoiserNames } from './index.ts';

await startBackend();

const plain: NcaSpec = { ...SPECS.compact, name: 'plain', channels: 3, hidden: 6 };
const biased: NcaSpec = { ...plain, name: 'biased', outputBias: true };

const anchor = (spec: NcaSpec) => randomStream(0, 'anchor').normals(weightCount(spec));

const contexts: readonly { readonly label: string; readonly context: DenoiserContext }[] = [
  { label: 'unconditional', context: { spec: plain, condition: null, seed: 1 } },
  { label: 'one token', context: { spec: plain, condition: { tokens: 1, width: 10 }, seed: 1 } },
  {
    label: 'three tokens, output bias, anchor',
    context: { spec: biased, condition: { tokens: 3, width: 5 }, anchor: anchor(biased), seed: 1 },
  },
];

for (const name of denoiserNames()) {
  const kind = orThrow(denoiserKind(name));
  for (const { label, config } of contract.smallConfigs(kind)) {
    for (const { label: given, context } of contexts) {
      const build = (c: DenoiserContext): Denoiser => kind.build(config, c);
      test(`${label}: ${given}`, () => {
        const before = tf.memory().numTensors;
        const denoiser = build(context);
        const held = tf.memory().numTensors;
        contract.givesWeights(denoiser, context);
        contract.scramble(denoiser);
        contract.treatsSamplesApart(denoiser, context);
        if (config.condition === 'none') {
          contract.ignoresCondition(denoiser, context);
        } else {
          contract.knowsAbsence(denoiser, context);
          contract.readsEveryToken(denoiser, context);
        }
        contract.dependsOnNoise(denoiser, context);
        contract.trainsEveryVariable(denoiser, context);
        assert.is(tf.memory().numTensors, held, 'apply leaves tensors behind');
        denoiser.dispose();
        contract.isSeeded(build, context);
        assert.is(tf.memory().numTensors, before, 'dispose leaves tensors behind');
      });

      test(`${label}: ${given}: hidden permutation holds if and only if it is declared`, () => {
        const denoiser = build(context);
        const declared = denoiser.symmetries.includes('hidden-permutation');
        denoiser.dispose();
        const error = contract.hiddenPermutationError(build, context);
        assert.is(error < 1e-4, declared, `error ${error}, declared: ${declared}`);
      });
    }
  }

  test(`${name}: its defaults decode, nonsense does not`, () => {
    assert.ok(E.isRight(kind.config.decode(kind.defaults)));
    for (const key of Object.keys(kind.defaults)) {
      assert.ok(E.isLeft(kind.config.decode({ ...kind.defaults, [key]: {} })), key);
    }
  });
}

test.run();
