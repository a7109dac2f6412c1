#!/bin/sh
# @tensorflow/tfjs-node 4.22.0 over libtensorflow 2.12.0 (PyPI's tensorflow-cpu wheel), Node 20.20.2, Linux x86_64, 2026-11-27.
#
# tf.image.resizeBilinear(x, size, false, true) puts pixel centres at half integers (halfPixelCenters). The forward kernel of tfjs-node does;
# the kernel of its gradient (ResizeBilinearGrad) leaves half_pixel_centers out, so the gradient belongs to another function. tfjs-backend-cpu's is right.
#
# Seen: of sum(c * resize(x)) for one pixel: differences 1.05, tfjs-backend-cpu 1.05, tfjs-node 0.70 (figures of the run below). Expected: equal.
# Takes two minutes and 1 GB in a temporary folder: the library comes from PyPI, served on loopback as the archive that the installer expects.
set -eu
temp=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server"; fi; rm -rf "$temp"' EXIT INT TERM
cd "$temp"
python3 -m pip download --quiet --no-deps --only-binary :all: --python-version 311 \
  --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --dest . tensorflow-cpu==2.12.0
python3 - <<'PYTHON'
import glob, zipfile
wanted = ('tensorflow/libtensorflow', 'tensorflow/include/tensorflow/c/', 'tensorflow/include/tensorflow/core/platform/', 'tensorflow/include/tensorflow/tsl/')
with zipfile.ZipFile(glob.glob('*.whl')[0]) as wheel:
    for name in wheel.namelist():
        if name.startswith(wanted):
            wheel.extract(name)
PYTHON
mkdir -p archive/lib served project
mv tensorflow/include archive/include
mv tensorflow/libtensorflow_cc.so.2 tensorflow/libtensorflow_framework.so.2 archive/lib
for suffix in so so.2.9.1; do
  ln -s libtensorflow_cc.so.2 "archive/lib/libtensorflow.$suffix"
  ln -s libtensorflow_framework.so.2 "archive/lib/libtensorflow_framework.$suffix"
done
tar -C archive -cf - include lib | gzip -1 > served/libtensorflow-cpu-linux-x86_64-2.9.1.tar.gz
python3 -u - > port 2> requests <<'PYTHON' &
import functools, http.server
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(http.server.SimpleHTTPRequestHandler, directory='served'))
print(server.server_port)
server.serve_forever()
PYTHON
server=$!
while [ ! -s port ]; do sleep 0.2; done
TFJS_NODE_BASE_URI="http://127.0.0.1:$(cat port)/libtensorflow-"
export TFJS_NODE_BASE_URI
prefix=$(dirname "$(dirname "$(node -p 'process.execPath')")")
if [ -e "$prefix/include/node/node_api.h" ]; then
  npm_config_nodedir=$prefix
  export npm_config_nodedir
fi
cd project
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @tensorflow/tfjs-node@4.22.0 >/dev/null
cat > run.cjs <<'JS'
process.env.TF_CPP_MIN_LOG_LEVEL = '2';
const tf = require('@tensorflow/tfjs-node');
require('@tensorflow/tfjs-backend-cpu');
const size = [7, 5];
const x = Array.from({ length: 16 }, (_, i) => Math.sin(i));
const c = Array.from({ length: 35 }, (_, i) => Math.cos(i) + 0.5);
const f = image => tf.sum(tf.mul(tf.image.resizeBilinear(tf.reshape(image, [1, 4, 4, 1]), size, false, true), tf.tensor(c, [1, 7, 5, 1])));
const slopes = {};
for (const backend of ['cpu', 'tensorflow']) {
  tf.setBackend(backend);
  slopes[backend] = tf.grad(f)(tf.tensor(x)).dataSync()[0];
}
const at = h => f(tf.tensor(x.map((v, i) => (i === 0 ? v + h : v)))).dataSync()[0];
tf.setBackend('tensorflow');
const difference = (at(0.5) - at(-0.5)) / 1;
console.log(`differences ${difference.toFixed(3)}, tfjs-backend-cpu ${slopes.cpu.toFixed(3)}, tfjs-node ${slopes.tensorflow.toFixed(3)}`);
const near = (a, b) => Math.abs(a - b) < 1e-3;
if (!near(difference, slopes.cpu) || near(difference, slopes.tensorflow)) { console.error('the behaviour has changed'); process.exit(1); }
JS
node run.cjs 2>/dev/null || { node run.cjs; exit 1; }
