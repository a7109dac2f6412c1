#!/bin/sh
# Puts TensorFlow behind weightloom where the package registries are all that can be reached: `sh bench/peers/tensorflow.sh`, once in a clone.
#
# @tensorflow/tfjs-node-gpu 4.22.0 downloads libtensorflow 2.9.1 and a compiled binding from a host of its own when it is installed. Here the
# library comes from PyPI: the wheel tensorflow-cpu 2.12.0, the oldest that holds the C library as a file (libtensorflow_cc.so.2; up to
# 2.11 it is inside Python's extension module). It is laid out as the archive that the package's installer expects and served on
# loopback for the time of `npm ci`; the binding is compiled from its sources by node-gyp.
#
# Seen to work: Linux x86_64, Node 20.20.2, npm's own node-gyp, g++ 12.2, Python 3.11, tensorflow-cpu 2.12.0, @tensorflow/tfjs-node-gpu 4.22.0.
# Wants: python3 with pip, g++, make, Node's headers beside node (else node-gyp downloads them). Takes a minute and 1 GB.
# On a GPU: TENSORFLOW=tensorflow==2.12.0, with CUDA 11.8 and cuDNN 8.6 installed (not tried).
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
wheel=${TENSORFLOW:-tensorflow-cpu==2.12.0}
temp=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server"; fi; rm -rf "$temp"' EXIT INT TERM

echo "1. $wheel from PyPI"
python3 -m pip download --quiet --no-deps --only-binary :all: --python-version 311 \
  --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --dest "$temp" "$wheel"

echo "2. laid out as libtensorflow's archive"
python3 - "$temp" <<'PYTHON'
import glob, sys, zipfile
wanted = ('tensorflow/libtensorflow', 'tensorflow/include/tensorflow/c/', 'tensorflow/include/tensorflow/core/platform/', 'tensorflow/include/tensorflow/tsl/')
with zipfile.ZipFile(glob.glob(sys.argv[1] + '/*.whl')[0]) as wheel:
    for name in wheel.namelist():
        if name.startswith(wanted):
            wheel.extract(name, sys.argv[1])
PYTHON
mkdir -p "$temp/archive/lib" "$temp/served"
mv "$temp/tensorflow/include" "$temp/archive/include"
mv "$temp"/tensorflow/libtensorflow_cc.so.2 "$temp"/tensorflow/libtensorflow_framework.so.2 "$temp/archive/lib"
for suffix in so so.2.9.1; do
  ln -s libtensorflow_cc.so.2 "$temp/archive/lib/libtensorflow.$suffix"
  ln -s libtensorflow_framework.so.2 "$temp/archive/lib/libtensorflow_framework.$suffix"
done
tar -C "$temp/archive" -cf - include lib | gzip -1 > "$temp/served/libtensorflow-gpu-linux-x86_64-2.9.1.tar.gz"

echo "3. npm ci, with that archive on loopback"
python3 -u - "$temp/served" > "$temp/port" 2> "$temp/requests" <<'PYTHON' &
import functools, http.server, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
print(server.server_port)
server.serve_forever()
PYTHON
server=$!
while [ ! -s "$temp/port" ]; do sleep 0.2; done
TFJS_NODE_BASE_URI="http://127.0.0.1:$(cat "$temp/port")/libtensorflow-"
export TFJS_NODE_BASE_URI
prefix=$(dirname "$(dirname "$(node -p 'process.execPath')")")
if [ -e "$prefix/include/node/node_api.h" ]; then
  npm_config_nodedir=$prefix
  export npm_config_nodedir
fi
# The stamp of src/cli/setup.mjs: without it the next command would install again, without the archive.
rm -f "$root/node_modules/.weightloom-setup"
node "$root/src/cli/setup.mjs"
if ! grep -q ' 200 ' "$temp/requests"; then
  echo "tfjs-node-gpu's installer did not ask for the archive; npm's messages stand above" >&2
  exit 1
fi

echo "4. does it compute?"
WEIGHTLOOM_BACKEND=tensorflow node "$root/src/cli/weightloom.mjs" doctor
