"""Edge message passing on batched parameter graphs as it is usually written: the inputs of every linear layer are gathered and
concatenated per edge. Also: building one parameter graph from the weights of one network.
"""
import json
import math
import resource
import sys

import torch
from torch import nn
from peer import serve


def mean_at(values, index, count):
    total = torch.zeros(count, values.shape[1], dtype=values.dtype).index_add_(0, index, values)
    degree = torch.zeros(count, dtype=values.dtype).index_add_(0, index, torch.ones_like(index, dtype=values.dtype))
    return total / degree.clamp(min=1)[:, None]


class Layer(nn.Module):
    def __init__(self, node, edge, glob, out, last):
        super().__init__()
        end = nn.Identity if last else nn.ReLU
        self.edge = nn.Sequential(nn.Linear(2 * node + edge + glob, out), end())
        self.message = nn.Sequential(nn.Linear(node + out + glob, out), end())
        self.node = nn.Sequential(nn.Linear(node + out + glob, out), end())
        self.glob = nn.Sequential(nn.Linear(2 * out + glob, out), end())

    def forward(self, x, ends, edge, u, node_batch, edge_batch):
        source, target = ends
        edge = self.edge(torch.cat([x[source], x[target], edge, u[edge_batch]], 1))
        message = self.message(torch.cat([x[source], edge, u[edge_batch]], 1))
        x = self.node(torch.cat([x, mean_at(message, target, x.shape[0]), u[node_batch]], 1))
        graphs = u.shape[0]
        u = self.glob(torch.cat([mean_at(x, node_batch, graphs), mean_at(edge, edge_batch, graphs), u], 1))
        return x, edge, u


class EdgeMPNN(nn.Module):
    def __init__(self, hidden, layers, out, noise, condition):
        super().__init__()
        sizes = [(3, 6 + noise, condition)] + [(hidden, hidden, hidden)] * (layers - 1)
        self.noise = noise
        self.layers = nn.ModuleList(
            Layer(*size, out if i == layers - 1 else hidden, i == layers - 1) for i, size in enumerate(sizes)
        )
        self.node_norms = nn.ModuleList(nn.BatchNorm1d(hidden) for _ in range(layers - 1))
        self.edge_norms = nn.ModuleList(nn.BatchNorm1d(hidden) for _ in range(layers - 1))
        self.head = nn.Sequential(nn.Linear(out, out // 2), nn.ReLU(), nn.Linear(out // 2, 1))

    def forward(self, x, ends, edge, t, u, node_batch, edge_batch):
        half = self.noise // 2
        angles = t[:, None] * torch.exp(-math.log(10000) * torch.arange(half) / half)
        edge = torch.cat([edge, torch.cat([angles.cos(), angles.sin()], 1)[edge_batch]], 1)
        for i, layer in enumerate(self.layers):
            x, edge, u = layer(x, ends, edge, u, node_batch, edge_batch)
            if i < len(self.node_norms):
                x, edge = self.node_norms[i](x), self.edge_norms[i](edge)
        return self.head(edge)


def nca_graph(channels, hidden):
    """Node and edge arrays of one network, built tensor by tensor."""
    inputs = 4 * channels
    first, bias, outputs = torch.arange(inputs, inputs + hidden), inputs + hidden, inputs + hidden + 1
    nodes = torch.cat([
        torch.stack([torch.zeros(inputs), torch.arange(inputs), torch.zeros(inputs)], 1),
        torch.tensor([[1.0, -1.0, 0.0]]).repeat(hidden, 1),
        torch.tensor([[1.0, -1.0, 1.0]]),
        torch.stack([torch.full((channels,), 2.0), torch.arange(channels), torch.zeros(channels)], 1),
    ])
    def dense(sources, targets):
        return torch.stack([sources.repeat(len(targets)), targets.repeat_interleave(len(sources))])
    ends = torch.cat([
        dense(torch.arange(inputs), first),
        dense(torch.tensor([bias]), first),
        dense(first, torch.arange(outputs, outputs + channels)),
    ], 1)
    return nodes, ends


def edge_features(flat, channels, hidden):
    sizes = [4 * channels * hidden, hidden, channels * hidden]
    labels = torch.cat([
        torch.tensor([row]).repeat(size, 1)
        for row, size in zip([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]], sizes)
    ])
    return torch.cat([flat[:, None], labels, torch.full((len(flat), 3), -1.0)], 1)


def batched(batch, channels, hidden):
    nodes, ends = nca_graph(channels, hidden)
    n, e = len(nodes), ends.shape[1]
    return {
        "x": nodes.repeat(batch, 1),
        "ends": (ends[:, None] + n * torch.arange(batch)[None, :, None]).reshape(2, -1),
        "node_batch": torch.arange(batch).repeat_interleave(n),
        "edge_batch": torch.arange(batch).repeat_interleave(e),
    }


def denoiser(gradient, batch, channels, units, hidden, layers, out, noise, condition):
    torch.manual_seed(0)
    model = EdgeMPNN(hidden, layers, out, noise, condition).train()
    graph = batched(batch, channels, units)
    flat = torch.randn(batch, 5 * channels * units + units)
    edge = torch.cat([edge_features(w, channels, units) for w in flat])
    t, u = torch.randn(batch), torch.randn(batch, condition)

    def run():
        if not gradient:
            with torch.no_grad():
                return model(graph["x"], graph["ends"], edge, t, u, graph["node_batch"], graph["edge_batch"])
        model.zero_grad()
        result = model(graph["x"], graph["ends"], edge, t, u, graph["node_batch"], graph["edge_batch"])
        result.square().mean().backward()

    return run


def convert(channels, units):
    """One network's weights to one graph's arrays."""
    flat = torch.randn(5 * channels * units + units)

    def run():
        nca_graph(channels, units)
        edge_features(flat, channels, units)

    return run


if __name__ == "__main__" and len(sys.argv) > 1:
    # Peak resident memory, in bytes, of one forward and backward.
    denoiser(True, **json.loads(sys.argv[1]))()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
elif __name__ == "__main__":
    serve({
        "forward": lambda **k: denoiser(False, **k),
        "gradient": lambda **k: denoiser(True, **k),
        "convert": convert,
    })
