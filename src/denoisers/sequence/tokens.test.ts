import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { golden } from '../../../property-tests/golden.ts';
import { type NcaSpec, SPECS, weightCount } from '../../nca/index.ts';
import { randomStream, startBackend, tf } from '../../tensor/index.ts';
import { hiddenTokens, mixedTokens } from './tokens.ts';

await startBackend();

const spec = (channels: number, hidden: number, outputBias: boolean): NcaSpec => ({
  ...SPECS.hypernca,
  name: `${channels}x${hidden}`,
  channels,
  hidden,
  outputBias,
});

const specs = fc
  .tuple(fc.integer({ min: 3, max: 5 }), fc.integer({ min: 5, max: 9 }), fc.boolean())
  .map(([channels, hidden, outputBias]) => spec(channels, hidden, outputBias));

test('tokens and back is the identity, exactly', () => {
  fc.assert(
    fc.property(specs, fc.integer({ min: 1, max: 3 }), (s, batch) => {
      for (const layout of [mixedTokens(s), hiddenTokens(s)]) {
        const before = tf.memory().numTensors;
        tf.tidy(() => {
          const data = randomStream(1, 'weights').normals(batch * weightCount(s));
          const tokens = layout.tokenise(tf.tensor2d(data, [batch, weightCount(s)]));
          assert.equal(tokens.shape, [batch, layout.kinds.length, layout.width]);
          assert.equal(layout.untokenise(tokens).dataSync(), data);
        });
        assert.is(tf.memory().numTensors, before);
      }
    }),
    { numRuns: 20 },
  );
});

test('the reference tokenises alike', async () => {
  const arrays = await golden('04_tokenisation');
  const s = spec(2, 6, false);
  tf.tidy(() => {
    const flat = tf.tensor2d(arrays.flat.data as Float32Array, [2, 66]);
    // Rearrangements: every number exactly.
    assert.equal(mixedTokens(s).tokenise(flat).dataSync(), arrays.mixed.data);
    assert.equal(hiddenTokens(s).tokenise(flat).dataSync(), arrays.hidden.data);
  });
});

test.run();
