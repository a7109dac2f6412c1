import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { randomStream } from '../../tensor/index.ts';
import { textureFrame } from './frame.ts';
import { contactSheet, drawTexture, sampleParameters, textureFamilies } from './index.ts';

const families = Object.values(textureFamilies);

test('the same parameters give the same picture, others another', () => {
  for (const family of families) {
    const parameters = sampleParameters(family, randomStream(1, family.name));
    const picture = drawTexture(family, parameters, 12);
    assert.equal(picture, drawTexture(family, parameters, 12));
    assert.not.equal(
      picture,
      drawTexture(family, sampleParameters(family, randomStream(2, family.name)), 12),
    );
    assert.ok(picture.every(x => x >= 0 && x <= 1));
    const mean = picture.reduce((a, b) => a + b, 0) / picture.length;
    const spread = Math.sqrt(picture.reduce((a, b) => a + (b - mean) ** 2, 0) / picture.length);
    assert.ok(spread > 0.02, `${family.name} is flat`);
  }
});

test('tileable textures continue across their borders', () => {
  const size = 48;
  for (const family of families) {
    for (let seed = 0; seed < 4; seed++) {
      const random = randomStream(seed, family.name);
      const parameters = sampleParameters(family, random);
      const frame = textureFrame({
        size,
        scale: parameters.scale,
        angle: (parameters.angle * Math.PI) / 180,
        phase: [parameters.phaseU, parameters.phaseV],
        layout: parameters.layout,
        tileable: true,
        period: family.period,
      });
      let worst = 0;
      for (let i = 0; i < 60; i++) {
        const [x, y] = [random.uniform(0, size), random.uniform(0, size)];
        const here = family.pattern(...frame.toCell(x, y), parameters, frame);
        for (const [dx, dy] of [
          [size, 0],
          [0, size],
          [-size, 2 * size],
        ]) {
          const there = family.pattern(...frame.toCell(x + dx, y + dy), parameters, frame);
          worst = Math.max(worst, Math.abs(here[0] - there[0]), Math.abs(here[1] - there[1]));
        }
      }
      // Rounding of the cell coordinates, magnified by the steepest edges.
      assert.ok(worst < 1e-6, `${family.name} ${seed}: ${worst}`);
    }
  }
});

test('a texture without repetition is the same wherever the picture ends', () => {
  const family = textureFamilies.cells;
  const parameters = sampleParameters(family, randomStream(3, 'x'));
  const large = drawTexture(family, parameters, 20);
  const small = drawTexture(family, parameters, 10);
  for (let y = 0; y < 10; y++) {
    assert.equal(small.subarray(y * 30, y * 30 + 30), large.subarray(y * 60, y * 60 + 30));
  }
});

test('pictures change little when a parameter changes little', () => {
  for (const family of families) {
    const parameters = sampleParameters(family, randomStream(4, family.name));
    const picture = drawTexture(family, parameters, 8);
    for (const [name, [low, high]] of Object.entries(family.ranges)) {
      if (name === 'layout' || low === high) continue;
      const moved = drawTexture(family, { ...parameters, [name]: parameters[name] + 1e-3 * (high - low) }, 8);
      const change = picture.reduce((sum, x, i) => sum + Math.abs(x - moved[i]), 0) / picture.length;
      // A thousandth of the range; sixteen samples a pixel move by steps where edges are hard.
      assert.ok(change < 0.02, `${family.name} ${name}: ${change}`);
    }
  }
});

test('narrowing one range leaves the other parameters as they were', () => {
  const family = textureFamilies.dots;
  const free = sampleParameters(family, randomStream(5, 'x'));
  const narrowed = sampleParameters(family, randomStream(5, 'x'), { radius: [0.3, 0.3] });
  assert.equal(narrowed, { ...free, radius: narrowed.radius });
  assert.is(narrowed.radius, 0.3);
});

test('a contact sheet holds every picture', () => {
  const pictures = [0.1, 0.2, 0.3].map(value => new Float32Array(2 * 2 * 3).fill(value));
  const sheet = contactSheet(pictures, 2, 2, { gap: 1, zoom: 2 });
  assert.equal([sheet.width, sheet.height], [11, 11]);
  for (const value of [0.1, 0.2, 0.3]) {
    assert.is(sheet.data.filter(x => x === Math.fround(value)).length, 4 * 4 * 3);
  }
});

test.run();
