"""Layers of the denoisers by the names their tensors have in a safetensors file."""
import json
import math
import struct

import torch
import torch.nn.functional as F


def read_safetensors(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    return {
        name: torch.frombuffer(data, dtype=torch.float32, offset=entry["data_offsets"][0], count=math.prod(entry["shape"]))
        .reshape(entry["shape"])
        .clone()
        for name, entry in header.items()
    }


class Model:
    """Layers by name on the tensors of a file; `parameters` are those that were asked for."""

    def __init__(self, tensors, prefix="", parameters=None):
        self.tensors, self.prefix, self.parameters = tensors, prefix, [] if parameters is None else parameters

    def scope(self, name):
        return Model(self.tensors, f"{self.prefix}{name}/", self.parameters)

    def has(self, name):
        return self.prefix + name in self.tensors

    def keep(self, tensor):
        parameter = tensor.contiguous().requires_grad_(True)
        self.parameters.append(parameter)
        return parameter

    def tensor(self, name):
        return self.keep(self.tensors[self.prefix + name])

    def linear(self, name):
        weight = self.keep(self.tensors[f"{self.prefix}{name}/weight"].T)
        bias = self.tensor(f"{name}/bias") if self.has(f"{name}/bias") else None
        return lambda x: F.linear(x, weight, bias)

    def mlp(self, name, activation):
        first, second = self.linear(f"{name}/0"), self.linear(f"{name}/1")
        return lambda x: second(activation(first(x)))

    def norm(self, name, epsilon=1e-5):
        gain, bias = self.tensor(f"{name}/weight"), self.tensor(f"{name}/bias")
        return lambda x: F.layer_norm(x, gain.shape, gain, bias, epsilon)

    def attention(self, name, heads):
        parts = [f"{self.prefix}{name}/{part}" for part in "qkv"]
        weight = self.keep(torch.cat([self.tensors[f"{part}/weight"].T for part in parts]))
        zero = torch.zeros(weight.shape[1])
        bias = self.keep(torch.cat([self.tensors.get(f"{part}/bias", zero) for part in parts]))
        out = self.linear(f"{name}/out")

        def apply(x):
            batch, count, width = x.shape
            q, k, v = F.linear(x, weight, bias).reshape(batch, count, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
            return out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, count, width))

        return apply


def adapt(x, shift, scale, epsilon=1e-6):
    return F.layer_norm(x, x.shape[-1:], eps=epsilon) * (1 + scale) + shift
