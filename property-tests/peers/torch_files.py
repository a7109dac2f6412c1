"""Writes one texture NCA with PyTorch in every way its users save one. Usage: torch_files.py FOLDER; prints PyTorch's version."""
import sys
from pathlib import Path

import numpy
import torch


class CA(torch.nn.Module):
    def __init__(self, channels, hidden, bias=False):
        super().__init__()
        self.w1 = torch.nn.Conv2d(4 * channels, hidden, 1)
        self.w2 = torch.nn.Conv2d(hidden, channels, 1, bias=bias)
        self.register_buffer("filters", torch.randn(4, 1, 3, 3))


folder = Path(sys.argv[1])
torch.manual_seed(0)
net = CA(12, 96)
state = {name: tensor.clone() for name, tensor in net.state_dict().items()}


def save(name, value, legacy=False):
    torch.save(value, folder / name, _use_new_zipfile_serialization=not legacy)


flat = torch.cat([tensor.reshape(-1) for tensor in state.values()])
views, at = {}, 0
for name, tensor in state.items():
    views[name] = flat[at : at + tensor.numel()].view(tensor.shape)
    at += tensor.numel()
columns = state["w1.weight"][:, :, 0, 0].t().contiguous().t()
optimizer = torch.optim.Adam(net.parameters())
checkpoint = {"epoch": 3, "optimizer": optimizer.state_dict()}
for legacy in (False, True):
    kind = "legacy" if legacy else "zip"
    save(f"state-{kind}.pth", state, legacy)
    save(f"module-{kind}.pt", net, legacy)
    save(f"half-{kind}.ckpt", {**checkpoint, "model": {k: v.half() for k, v in state.items()}}, legacy)
    save(f"bfloat16-{kind}.pth", {k: v.bfloat16() for k, v in reversed(list(state.items()))}, legacy)
    save(f"double-{kind}.pth", {"state_dict": {f"module.{k}": v.double() for k, v in state.items()}}, legacy)
    save(f"windows-{kind}.pth", views, legacy)
    save(f"transposed-{kind}.pth", {**state, "w1.weight": columns}, legacy)
for name, tensor in state.items():
    numpy.save(folder / f"{name}.npy", tensor.numpy())
print(torch.__version__)
