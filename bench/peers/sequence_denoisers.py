"""The denoisers on weight tokens, for denoisers.py."""
import math

import torch
import torch.nn.functional as F

from denoiser_layers import adapt


def embedding(model, config):
    half = config["noiseWidth"] // 2
    frequencies = torch.exp(-math.log(10000) * torch.arange(half) / half)
    project = model.mlp("noise", F.gelu)

    def apply(label):
        angles = (label * config["noiseScale"])[:, None] * frequencies
        return project(torch.cat([angles.cos(), angles.sin()], 1))

    return apply


def stack(model, config):
    noise, place, condition = embedding(model, config), model.tensor("noise/position"), model.mlp("condition", F.gelu)
    condition_place, norm_in, norm_out = model.tensor("condition/position"), model.norm("norm-in"), model.norm("norm-out")
    blocks = []
    for i in range(config["layers"]):
        scope = model.scope(f"block/{i}")
        blocks.append((scope.norm("norm1"), scope.attention("attention", config["heads"]), scope.norm("norm2"), scope.mlp("mlp", F.gelu)))

    def apply(tokens, label, given):
        x = norm_in(torch.cat([tokens, noise(label)[:, None] + place, condition(given) + condition_place], 1))
        for norm1, attention, norm2, mlp in blocks:
            x = x + attention(norm1(x))
            x = x + mlp(norm2(x))
        return norm_out(x[:, : tokens.shape[1]])

    return apply


class Mixed:
    """w1 columns, w2 rows, b1."""

    def __init__(self, channels, hidden):
        self.inputs, self.hidden, self.channels = 4 * channels, hidden, channels
        self.sizes = [self.inputs * hidden, hidden, channels * hidden]

    def tokens(self, weights):
        w1, b1, w2 = weights.split(self.sizes, 1)
        w1 = w1.reshape(-1, self.hidden, self.inputs).transpose(1, 2)
        return torch.cat([w1, w2.reshape(-1, self.channels, self.hidden), b1[:, None]], 1)

    def weights(self, tokens):
        w1, w2, b1 = tokens.split([self.inputs, self.channels, 1], 1)
        return torch.cat([w1.transpose(1, 2).flatten(1), b1.flatten(1), w2.flatten(1)], 1)


class Hidden(Mixed):
    """A token per hidden unit: its row of w1, its column of w2, its b1."""

    def tokens(self, weights):
        w1, b1, w2 = weights.split(self.sizes, 1)
        w2 = w2.reshape(-1, self.channels, self.hidden).transpose(1, 2)
        return torch.cat([w1.reshape(-1, self.hidden, self.inputs), w2, b1[..., None]], 2)

    def weights(self, tokens):
        w1, w2, b1 = tokens.split([self.inputs, self.channels, 1], 2)
        return torch.cat([w1.flatten(1), b1.flatten(1), w2.transpose(1, 2).flatten(1)], 1)


def transformer(model, config, layout, anchor):
    embed, position, run, output = model.mlp("weights", F.gelu), model.tensor("weights/position"), stack(model, config), model.linear("output")
    return lambda weights, label, given: layout.weights(output(run(embed(layout.tokens(weights)) + position, label, given)))


def transformer_typed(model, config, layout, anchor):
    def per_token(name):
        weight, bias = model.tensor(f"{name}/weight"), model.tensor(f"{name}/bias")
        return lambda x: torch.baddbmm(bias, x.transpose(0, 1), weight).transpose(0, 1)

    first, second, output = per_token("weights/0"), model.linear("weights/1"), per_token("output")
    kinds, run = model.tensor("weights/kind"), stack(model, config)
    kind = torch.tensor([0] * layout.inputs + [1] * layout.channels + [2])
    return lambda weights, label, given: layout.weights(
        output(run(second(F.gelu(first(layout.tokens(weights)))) + kinds[kind], label, given))
    )


def transformer_hidden(model, config, layout, anchor):
    embed, run, output = model.mlp("units", F.gelu), stack(model, config), model.linear("output")
    base = layout.tokens(anchor[None])

    def apply(weights, label, given):
        tokens = torch.cat([layout.tokens(weights), base.expand(weights.shape[0], -1, -1)], 2)
        return layout.weights(output(run(embed(tokens), label, given)))

    return apply


def dit(model, config, layout, anchor):
    embed, position = model.mlp("weights", F.gelu), model.tensor("weights/position")
    noise, condition = embedding(model, config), model.mlp("condition", F.gelu)
    blocks = []
    for i in range(config["layers"]):
        scope = model.scope(f"block/{i}")
        blocks.append((scope.linear("modulation"), scope.attention("attention", config["heads"]), scope.mlp("mlp", F.gelu)))
    last, output = model.linear("modulation-out"), model.linear("output")

    def apply(weights, label, given):
        x = embed(layout.tokens(weights)) + position
        steering = F.silu(noise(label) + condition(given).mean(1))[:, None]
        for modulation, attention, mlp in blocks:
            shift1, scale1, gate1, shift2, scale2, gate2 = modulation(steering).chunk(6, 2)
            x = x + gate1 * attention(adapt(x, shift1, scale1))
            x = x + gate2 * mlp(adapt(x, shift2, scale2))
        shift, scale = last(steering).chunk(2, 2)
        return layout.weights(output(adapt(x, shift, scale)))

    return apply
