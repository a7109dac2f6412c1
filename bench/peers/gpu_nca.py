"""PyTorch's and JAX's side of bench/gpu.bench.ts on one card: the same NCA, one per sample, forward and backward; eager, TF32 and torch.compile; jit with
lax.scan over the steps. Prints lines and writes torch.json or jax.json to $OUT.

    python3 gpu_nca.py torch|jax
"""
import json
import os
import statistics
import sys
import time

SMALL = os.environ.get("SMALL") == "1"
BUDGET = float(os.environ.get("PEER_SECONDS", "90"))
START = time.time()
STEPS = 4 if SMALL else 32
SHAPES = [(1, 32), (4, 32)] if SMALL else [(1, 128), (4, 128), (64, 128), (512, 64)]
C, N = (8, 32) if SMALL else (12, 96)
KERNELS = [
    [0, 0, 0, 0, 1, 0, 0, 0, 0],
    [-1, 0, 1, -2, 0, 2, -1, 0, 1],
    [-1, -2, -1, 0, 0, 0, 1, 2, 1],
    [1, 2, 1, 2, -12, 2, 1, 2, 1],
]
# What is kept for the backward pass: about 280 floats a cell and step in eager PyTorch.
KEPT = 280 * 4
results = []


def left():
    return BUDGET - (time.time() - START)


def note(name, batch, size, what, steps, ms, **more):
    rate = batch * size * size * steps / ms * 1e3
    results.append({"name": name, "batch": batch, "size": size, "what": what, "steps": steps, "ms": ms, "cellStepsPerSecond": rate, **more})
    print(f"{name}: {batch} x {size} x {size}, {steps} steps, {what}: {ms:.2f} ms, {rate / 1e6:.1f} M cell-steps/s", flush=True)


def timed(run, repeats=3, warm=1):
    for _ in range(warm):
        run()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        times.append((time.perf_counter() - begin) * 1e3)
        if left() < 3:
            break
    return statistics.median(times)


def torch_peer():
    import torch
    import torch.nn.functional as F

    cuda = torch.cuda.is_available()
    device = "cuda" if cuda else "cpu"
    kernel = torch.tensor(KERNELS, dtype=torch.float32, device=device).view(4, 1, 3, 3).repeat(C, 1, 1, 1)
    print(f"PyTorch {torch.__version__}, {torch.cuda.get_device_name() if cuda else 'cpu'}", flush=True)

    def step(s, w1, b1, w2):
        batch, _, height, width = s.shape
        p = F.conv2d(F.pad(s, (1, 1, 1, 1), mode="circular"), kernel, groups=C).view(batch, 4 * C, height * width)
        d = torch.bmm(w2, torch.relu(torch.baddbmm(b1, w1, p))).view(batch, C, height, width)
        return s + d * (torch.rand(batch, 1, height, width, device=device) < 0.5)

    def wait():
        if cuda:
            torch.cuda.synchronize()

    for name, compiled, tf32 in [("eager", False, False), ("eager, TF32", False, True), ("compiled", True, False), ("compiled, TF32", True, True)]:
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32
        for batch, size in SHAPES:
            if left() < (25 if compiled else 4) or (compiled and not hasattr(torch, "compile")):
                return
            one = step
            if compiled:
                torch._dynamo.reset()
                one = torch.compile(step)
            w1 = (torch.randn(batch, N, 4 * C, device=device) * 0.05).requires_grad_()
            b1 = torch.zeros(batch, N, 1, device=device, requires_grad=True)
            w2 = (torch.randn(batch, C, N, device=device) * 0.05).requires_grad_()
            first = torch.zeros(batch, C, size, size, device=device)
            steps = STEPS
            while cuda and steps > 1 and batch * size * size * steps * KEPT > 0.8 * torch.cuda.mem_get_info()[0]:
                steps //= 2

            def forward():
                with torch.no_grad():
                    s = first
                    for _ in range(STEPS):
                        s = one(s, w1, b1, w2)
                wait()

            def both():
                s = first
                for _ in range(steps):
                    s = one(s, w1, b1, w2)
                s.square().mean().backward()
                w1.grad = b1.grad = w2.grad = None
                wait()

            try:
                warm = 2 if compiled else 1
                note(name, batch, size, "forward", STEPS, timed(forward, warm=warm))
                note(name, batch, size, "forward and backward", steps, timed(both, warm=warm))
            except Exception as error:  # out of memory, or a compiler that is not there: the others still count
                print(f"{name}: {batch} x {size} x {size}: {type(error).__name__}: {str(error)[:160]}", flush=True)
            if cuda:
                torch.cuda.empty_cache()


def jax_peer():
    import jax
    import jax.numpy as jnp

    print(f"JAX {jax.__version__}, {jax.devices()[0]}", flush=True)
    kernel = jnp.tile(jnp.array(KERNELS, jnp.float32).reshape(4, 1, 3, 3), (C, 1, 1, 1))

    for precision in ["highest", "default"]:
        for batch, size in SHAPES:
            if left() < 15:
                return
            keys = jax.random.split(jax.random.PRNGKey(0), 3)
            w1 = jax.random.normal(keys[0], (batch, N, 4 * C)) * 0.05
            b1 = jnp.zeros((batch, N, 1))
            w2 = jax.random.normal(keys[1], (batch, C, N)) * 0.05
            first = jnp.zeros((batch, C, size, size))

            def step(weights, s, key):
                w1, b1, w2 = weights
                padded = jnp.pad(s, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="wrap")
                p = jax.lax.conv_general_dilated(padded, kernel, (1, 1), "VALID", feature_group_count=C, precision=precision)
                p = p.reshape(batch, 4 * C, size * size)
                h = jax.nn.relu(jnp.einsum("bnk,bkx->bnx", w1, p, precision=precision) + b1)
                d = jnp.einsum("bcn,bnx->bcx", w2, h, precision=precision).reshape(s.shape)
                mask = jax.random.bernoulli(key, 0.5, (batch, 1, size, size))
                return s + d * mask

            def roll(weights, remat):
                keys = jax.random.split(jax.random.PRNGKey(1), STEPS)
                body = lambda s, key: (step(weights, s, key), None)
                return jax.lax.scan(jax.checkpoint(body) if remat else body, first, keys)[0]

            forward = jax.jit(lambda weights: roll(weights, False))
            # States kept, the rest computed again, as the WGSL engine does.
            both = jax.jit(jax.grad(lambda weights: jnp.mean(roll(weights, True) ** 2)))
            weights = (w1, b1, w2)
            name = "JAX" if precision == "highest" else "JAX, default precision"
            try:
                note(name, batch, size, "forward", STEPS, timed(lambda: jax.block_until_ready(forward(weights)), warm=2))
                note(name, batch, size, "forward and backward", STEPS, timed(lambda: jax.block_until_ready(both(weights)), warm=2))
            except Exception as error:
                print(f"{name}: {batch} x {size} x {size}: {type(error).__name__}: {str(error)[:160]}", flush=True)


which = sys.argv[1] if len(sys.argv) > 1 else "torch"
try:
    {"torch": torch_peer, "jax": jax_peer}[which]()
except ImportError as error:
    print(f"no {which} here: {error}", flush=True)
with open(os.path.join(os.environ.get("OUT", "."), f"{which}.json"), "w") as file:
    json.dump(results, file, indent=1)
sys.stdout.flush()
os._exit(0)
