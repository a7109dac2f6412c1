#!/bin/sh
# @tensorflow/tfjs-core 4.22.0 and @tensorflow/tfjs 4.22.0, Node 20.20.2, 2026-11-27.
#
# A gradient of one's own, registered with tf.registerGradient over one of tfjs's, is undone without a word when @tensorflow/tfjs is loaded
# later: its module registers all of tfjs-core's gradients again. A package that only wants a backend, such as @tensorflow/tfjs-node, loads it.
#
# Seen: before: my gradient; after loading @tensorflow/tfjs: tfjs's gradient. Expected: the last registration by hand stays, or a warning.
set -eu
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT INT TERM
cd "$temp"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-backend-cpu@4.22.0 @tensorflow/tfjs@4.22.0 >/dev/null
cat > run.cjs <<'JS'
const tf = require('@tensorflow/tfjs-core');
require('@tensorflow/tfjs-backend-cpu');
const warn = console.warn;
let warnings = 0;
console.warn = (...words) => { if (/gradient/i.test(words.join(' '))) warnings++; };
tf.registerGradient({ kernelName: 'Square', gradFunc: dy => ({ x: () => tf.mul(dy, 1000) }) });
const slope = () => tf.grad(x => tf.square(x))(tf.scalar(3)).dataSync()[0];
const before = slope();
console.log(`before: the gradient of x^2 at 3 is ${before} (mine)`);
require('@tensorflow/tfjs');
tf.setBackend('cpu');
const after = slope();
console.log(`after loading @tensorflow/tfjs: ${after}; warnings about gradients: ${warnings}`);
console.warn = warn;
if (before !== 1000 || after !== 6) { console.error('the behaviour has changed'); process.exit(1); }
JS
node run.cjs 2>/dev/null || { node run.cjs; exit 1; }
