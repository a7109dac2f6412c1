import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { randomStream, threefry } from './random.ts';

// Known answers published with the Random123 library (threefry4x32, 20 rounds).
test('threefry gives the published words', () => {
  const out = new Uint32Array(4);
  threefry(new Uint32Array(4), new Uint32Array(4), out);
  assert.equal([...out], [0x9c6ca96a, 0xe17eae66, 0xfc10ecd4, 0x5256a7d8]);
  const ones = new Uint32Array(4).fill(0xffffffff);
  threefry(ones, ones, out);
  assert.equal([...out], [0x2a881696, 0x57012287, 0xf6c7446e, 0xa16a6732]);
});

test('a stream jumps to any position', () => {
  const whole = randomStream(7, 'a');
  const numbers = Array.from({ length: 50 }, () => whole.uint32());
  const jumped = randomStream(7, 'a');
  jumped.position = 37;
  assert.is(jumped.uint32(), numbers[37]);
  assert.is.not(randomStream(7, 'b').uint32(), numbers[0]);
  assert.is.not(randomStream(8, 'a').uint32(), numbers[0]);
});

test('normals have mean 0 and variance 1', () => {
  const n = 40000;
  const x = randomStream(1, 'moments').normals(n);
  const mean = x.reduce((a, b) => a + b, 0) / n;
  const variance = x.reduce((a, b) => a + b * b, 0) / n;
  // Five standard errors: 1/sqrt(n) and sqrt(2/n). The draw is fixed, so this either always passes or never does.
  assert.ok(Math.abs(mean) < 5 / Math.sqrt(n));
  assert.ok(Math.abs(variance - 1) < 5 * Math.sqrt(2 / n));
});

test.run();
