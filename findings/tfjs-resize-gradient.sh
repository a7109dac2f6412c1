#!/bin/sh
# @tensorflow/tfjs 4.22.0 on its own backend `cpu` (tfjs-backend-cpu 4.22.0), Node 20.20.2, 2026-11-27.
#
# The gradient of tf.image.resizeBilinear is wrong in two ways. With halfPixelCenters (pixel centres at half integers) the gradient is that of the resize
# without it: the forward kernel heeds the flag, its gradient's kernel does not. (So does tfjs-node 4.22.0's: 2.169 as well.) And
# the gradient to a picture that is not square has height and width swapped, which tfjs then refuses.
#
# Seen: slope by differences 2.584, by tf.grad 2.169; 4 x 3: "The gradient of input 'images' has shape '1,3,4,1', which does not match the shape
# of the input '1,4,3,1'".
set -eu
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT INT TERM
cd "$temp"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @tensorflow/tfjs@4.22.0 >/dev/null
cat > run.cjs <<'JS'
console.warn = () => {};
const tf = require('@tensorflow/tfjs');
tf.setBackend('cpu');
const c = Array.from({ length: 35 }, (_, i) => Math.cos(i) + 0.5);
const loss = image => tf.sum(tf.mul(tf.image.resizeBilinear(image, [7, 5], false, true), tf.tensor(c, [1, 7, 5, 1])));
const x = Array.from({ length: 16 }, (_, i) => Math.sin(i));
const picture = values => tf.tensor(values, [1, 4, 4, 1]);
const slope = tf.grad(loss)(picture(x)).dataSync()[0];
// The resize is linear: a difference is exact but for rounding.
const at = h => loss(picture(x.map((v, i) => (i === 0 ? v + h : v)))).dataSync()[0];
const difference = at(0.5) - at(-0.5);
console.log(`half-integer centres: slope by differences ${difference.toFixed(3)}, by tf.grad ${slope.toFixed(3)}`);
let oblong = 'a gradient';
try {
  tf.grad(image => tf.sum(tf.image.resizeBilinear(image, [7, 5])))(tf.ones([1, 4, 3, 1]));
} catch (error) {
  oblong = error.message;
}
console.log(`4 x 3: ${oblong}`);
if (Math.abs(difference - slope) < 1e-2 || !oblong.includes("has shape '1,3,4,1'")) { console.error('the behaviour has changed'); process.exit(1); }
JS
node run.cjs 2>/dev/null || { node run.cjs; exit 1; }
