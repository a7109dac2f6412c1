import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { golden } from '../../../property-tests/golden.ts';
import { randomStream } from '../../tensor/index.ts';
import { meanSquaredError, psnr, ssim } from './pixels.ts';

const pairs = ['a_b', 'a_d', 'b_d', 'a_a', 'a_a2', 'c_c2'];

test('MSE, PSNR and SSIM agree with the golden numbers', async () => {
  const images = await golden('images');
  const expected = await golden('psnr_ssim');
  for (const pair of pairs) {
    const [p, q] = pair
      .split('_')
      .map(name => Float64Array.from(images[name].data as Uint8Array, v => v / 255));
    const [height, width, channels] = images[pair[0]].shape;
    const shape = { height, width, channels };
    const check = (name: string, found: number) => {
      const wanted = Number(expected[`${name}_${pair}`].data[0]);
      // 1e-10: both sides are float64, sums of some 50,000 terms in another order.
      assert.ok(
        found === wanted || Math.abs(found - wanted) <= 1e-10 * Math.abs(wanted),
        `${name}_${pair}: ${found} for ${wanted}`,
      );
    };
    check('mse', meanSquaredError(p, q));
    // Equal pictures have infinity there, and the figure of rounding here.
    if (pair === 'a_a') assert.ok(Math.abs(psnr(p, q) - 20 * Math.log10(255 * Math.sqrt(12))) < 1e-9);
    else check('psnr', psnr(p, q));
    check('ssim_valid', ssim(p, q, shape));
    check('ssim_reflect', ssim(p, q, shape, 'reflect'));
  }
});

const picture = (seed: number) => Float64Array.from(randomStream(seed, 'ssim').uniforms(12 * 14 * 3));
const shape = { height: 12, width: 14, channels: 3 };

test('SSIM is symmetric, at most 1, 1 for equal pictures, and the same for mirrored ones', () => {
  fc.assert(
    fc.property(
      fc.nat(999),
      fc.nat(999),
      fc.constantFrom('valid' as const, 'reflect' as const),
      (s, t, border) => {
        const [a, b] = [picture(s), picture(t + 1000)];
        const mirror = (x: Float64Array) =>
          x.map((_, i) => x[(Math.floor(i / 42) * 14 + 13 - (Math.floor(i / 3) % 14)) * 3 + (i % 3)]);
        const value = ssim(a, b, shape, border);
        return (
          value <= 1 &&
          Math.abs(value - ssim(b, a, shape, border)) < 1e-12 &&
          Math.abs(1 - ssim(a, a, shape, border)) < 1e-12 &&
          Math.abs(value - ssim(mirror(a), mirror(b), shape, border)) < 1e-12
        );
      },
    ),
    { numRuns: 30 },
  );
});

test('PSNR of noise of standard deviation s is -20 log10 s', () => {
  for (const s of [0.01, 0.1, 1]) {
    const noise = randomStream(1, 'psnr').normals(40_000, 0, s);
    assert.ok(Math.abs(psnr(noise, new Float32Array(40_000)) + 20 * Math.log10(s)) < 0.1);
  }
  // Pictures cannot be told to be nearer than rounding to bytes leaves them.
  assert.ok(
    Math.abs(psnr(new Float32Array(4), new Float32Array(4)) - 20 * Math.log10(255 * Math.sqrt(12))) < 1e-9,
  );
});

test('pictures of other sizes are refused', () => {
  assert.throws(() => psnr(new Float32Array(3), new Float32Array(4)), '3 and 4');
  assert.throws(
    () => ssim(new Float64Array(300), new Float64Array(300), { height: 10, width: 10, channels: 3 }),
    '11x11',
  );
});

test.run();
