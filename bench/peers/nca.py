"""PyTorch's side of bench/nca.bench.ts: the same NCA step, forward and backward, with the masks drawn beforehand."""
import torch
import torch.nn.functional as F

from peer import serve

FILTERS = torch.tensor(
    [
        [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
        [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
        [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
        [[1, 2, 1], [2, -12, 2], [1, 2, 1]],
    ],
    dtype=torch.float32,
)


def setting(channels, hidden, batch, size, steps):
    torch.manual_seed(0)
    kernels = FILTERS[:, None].repeat(channels, 1, 1, 1)
    w1 = torch.randn(hidden, 4 * channels, 1, 1) * 0.05
    b1 = torch.randn(hidden) * 0.05
    w2 = torch.randn(channels, hidden, 1, 1) * 0.05
    state = torch.randn(batch, channels, size, size) * 0.1
    masks = torch.floor(torch.rand(steps, batch, 1, size, size) + 0.5)

    def roll(x):
        for mask in masks:
            y = F.conv2d(F.pad(x, (1, 1, 1, 1), "circular"), kernels, groups=channels)
            x = x + F.conv2d(F.relu(F.conv2d(y, w1, b1)), w2) * mask
        return x

    return (w1, b1, w2, state), roll


def forward(**parameters):
    (_, _, _, state), roll = setting(**parameters)

    def run():
        with torch.no_grad():
            roll(state)

    return run


def gradient(**parameters):
    leaves, roll = setting(**parameters)
    for leaf in leaves:
        leaf.requires_grad_()

    def run():
        torch.autograd.grad(roll(leaves[3]).square().sum(), leaves)

    return run


serve({"forward": forward, "gradient": gradient})
