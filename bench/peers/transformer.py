"""PyTorch's side of bench/transformer.bench.ts: the same denoiser out of torch.nn's parts."""
import math

import torch
import torch.nn as nn

from peer import serve


def two_layers(inputs, hidden, outputs):
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, outputs))


class Denoiser(nn.Module):
    def __init__(self, width, layers, heads, noiseWidth, tokens, token_width, condition):
        super().__init__()
        self.noise_width = noiseWidth
        self.weights = two_layers(token_width, 2 * width, width)
        self.noise = two_layers(noiseWidth, 2 * width, width)
        self.condition = two_layers(condition, 2 * width, width)
        self.position = nn.Parameter(0.02 * torch.randn(1, tokens + 2, width))
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.norm_in = nn.LayerNorm(width)
        self.stack = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.out = nn.Linear(width, token_width)

    def forward(self, x, t, c):
        half = self.noise_width // 2
        frequencies = torch.exp(-math.log(10000) * torch.arange(half) / half)
        angles = t[:, None] * frequencies
        noise = self.noise(torch.cat([angles.cos(), angles.sin()], 1))[:, None]
        tokens = torch.cat([self.weights(x), noise, self.condition(c)], 1) + self.position
        return self.out(self.stack(self.norm_in(tokens))[:, : x.shape[1]])


def denoiser(width, layers, heads, noiseWidth, tokens, token_width, condition, batch, backward):
    model = Denoiser(width, layers, heads, noiseWidth, tokens, token_width, condition)
    model.train()
    x, t, c = torch.randn(batch, tokens, token_width), torch.randn(batch), torch.randn(batch, 1, condition)

    def run():
        if not backward:
            with torch.no_grad():
                model(x, t, c)
            return
        model.zero_grad()
        model(x, t, c).square().mean().backward()

    return run


serve({"denoiser": denoiser})
