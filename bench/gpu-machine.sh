#!/usr/bin/env bash
# bench/gpu.bench.ts and its peers on a machine that has a GPU and nothing of ours.
#
#   bash bench/gpu-machine.sh pack FILE.tar.gz     here: Node, the package webgpu, the Vulkan loader, the benchmark in one file (about 45 MiB)
#   OUT=FOLDER bash bench/gpu-machine.sh run FILE.tar.gz     there: under 8 minutes; results and table in FOLDER
#
# SMALL=1 for software Vulkan. Nothing is installed: libraries that the machine lacks go on LD_LIBRARY_PATH from a temporary folder.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
what=${1:?pack or run} file=$(realpath -m "${2:?FILE.tar.gz}")
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
if [ "$what" = pack ]; then
  mkdir -p "$dir/bin" "$dir/debs" "$dir/node_modules/webgpu/dist" "$(dirname "$file")"
  cp "$(command -v node)" "$dir/bin/node" && strip "$dir/bin/node"
  from="$here/../node_modules/webgpu"
  cp "$from/package.json" "$from/index.js" "$dir/node_modules/webgpu/" && cp -r "$from/dist/linux-x64" "$dir/node_modules/webgpu/dist/"
  (cd "$here/.." && node bench/gpu-bundle.mjs "$dir/src/compute/gpu-bench.mjs")
  # The benchmark's processor side finds kernels and threads where an installed package has them, and so the bundle lies there too.
  node "$here/../src/cli/setup.mjs"
  cp "$here/../package.json" "$dir/" && mkdir "$dir/bench"
  mkdir -p "$dir/src" && (cd "$here/../src" && find . -path '*/build/*.wasm' -o -name worker.mjs -o -name team.mjs | tar -cf - -T -) | tar -xf - -C "$dir/src"
  cp "$here/peers/gpu_nca.py" "$dir/bench/"
  (cd "$dir/debs" && apt-get download -qq -o APT::Sandbox::User=root libvulkan1 libegl1 libglvnd0 libopengl0 libgl1 libglx0 libgles2 libx11-6 libxext6 libxcb1 libxau6 libxdmcp6 \
    libbsd0 libmd0 libwayland-client0 libstdc++6 libgcc-s1)
  tar -C "$dir" -czf "$file" . && ls -l "$file"
  exit
fi
export OUT=${OUT:?the folder of the results} SMALL=${SMALL:-0} NO_COLOR=1
mkdir -p "$OUT"
tar -C "$dir" -xzf "$file"
mkdir -p "$dir/libraries" "$dir/extra"
for deb in "$dir"/debs/*.deb; do dpkg -x "$deb" "$dir/libraries"; done
find "$dir/libraries" -name '*.so.*' | while read -r library; do
  ldconfig -p | grep -q "$(basename "$library")" || ln -sf "$library" "$dir/extra/"
done
export LD_LIBRARY_PATH="$dir/extra${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" PATH="$dir/bin:$PATH"
# The driver's own list of itself is not always where the loader looks.
icd=$(ls /usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json /usr/share/vulkan/icd.d/nvidia_icd.json /etc/vulkan/icd.d/nvidia_icd.json 2>/dev/null | head -1 || true)
if [ "$SMALL" = 1 ]; then export WEIGHTLOOM_GPU=${WEIGHTLOOM_GPU:-llvmpipe}
elif [ -n "$icd" ]; then
  export VK_DRIVER_FILES="$icd" LD_LIBRARY_PATH="$LD_LIBRARY_PATH:/usr/local/nvidia/lib64:/usr/local/nvidia/lib"
fi
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null | tee "$OUT/card.txt" || true
python=${WEIGHTLOOM_PYTHON:-python3}
cd "$dir/bench"
GPU_BENCH_SECONDS=${GPU_BENCH_SECONDS:-170} timeout 200 node ../src/compute/gpu-bench.mjs 2>&1 | grep -v '^Warning: max' | tee "$OUT/gpu.log" || echo "the benchmark ended with ${PIPESTATUS[0]}"
PEER_SECONDS=${PEER_SECONDS:-120} timeout 140 "$python" gpu_nca.py torch 2>&1 | tee "$OUT/torch.log" || true
PEER_SECONDS=${PEER_SECONDS:-90} timeout 110 "$python" gpu_nca.py jax 2>&1 | tee "$OUT/jax.log" || true
python3 - <<'P' | tee "$OUT/table.txt"
import json, os
out = os.environ["OUT"]
def load(name):
    try: return json.load(open(os.path.join(out, name)))
    except Exception: return None
ours, peers = load("gpu.json"), (load("torch.json") or []) + (load("jax.json") or [])
names = list(dict.fromkeys(p["name"] for p in peers))
if ours:
    print(ours["device"]["name"])
    print("ns per cell and step, and how many times as long as ours takes".ljust(64), "ours", *names, sep=" | ")
    for row in ours["rollouts"]:
        if row["spec"] != ("compact" if os.environ.get("SMALL") == "1" else "hypernca"): continue
        what = "forward and backward" if row["gradient"] else "forward"
        cells = [f'{1e9 / row["cellStepsPerSecond"]:.3f}']
        for name in names:
            found = [p for p in peers if (p["name"], p["batch"], p["size"], p["what"]) == (name, row["batch"], row["size"], what)]
            cells.append(f'{1e9 / found[0]["cellStepsPerSecond"]:.3f} ({row["cellStepsPerSecond"] / found[0]["cellStepsPerSecond"]:.2f}x)' if found else "-")
        print(f'{row["batch"]} x {row["size"]} x {row["size"]}, {what}'.ljust(64), *cells, sep=" | ")
P
