#!/bin/sh
# @tensorflow/tfjs 4.22.0 on its own backend `cpu` (tfjs-backend-cpu 4.22.0), Node 20.20.2, 2026-11-27.
#
# The gradient of tf.image.resizeBilinear works for square pictures only: for one of 4 x 3 pixels the kernel ResizeBilinearGrad returns 3 x 4.
#
# Seen: 4 x 4: a gradient; 4 x 3: "The gradient of input 'images' has shape '1,3,4,1', which does not match the shape of the input '1,4,3,1'".
set -eu
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT INT TERM
cd "$temp"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @tensorflow/tfjs@4.22.0 >/dev/null
cat > run.cjs <<'JS'
console.warn = () => {};
const tf = require('@tensorflow/tfjs');
const gradient = (height, width) => {
  try {
    return tf.grad(x => tf.sum(tf.image.resizeBilinear(x, [7, 5])))(tf.ones([1, height, width, 1])).shape.join();
  } catch (error) {
    return error.message;
  }
};
tf.setBackend('cpu');
const [square, oblong] = [gradient(4, 4), gradient(4, 3)];
console.log(`4 x 4: a gradient of shape ${square}`);
console.log(`4 x 3: ${oblong}`);
if (square !== '1,4,4,1' || !oblong.includes("has shape '1,3,4,1'")) { console.error('the behaviour has changed'); process.exit(1); }
JS
node run.cjs
