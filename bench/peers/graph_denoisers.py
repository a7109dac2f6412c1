"""The denoisers on parameter graphs, for denoisers.py: dense blocks of edges between ranges of nodes."""
import math

import torch
import torch.nn.functional as F

from denoiser_layers import adapt


class Graph:
    """Blocks of edges [B, targets, sources, features] between ranges of nodes, in the order of the weights."""

    def __init__(self, nodes, blocks):
        self.count, self.blocks = nodes, blocks
        self.edges = sum(b["targets"][1] * b["sources"][1] for b in blocks)
        self.degree = {}
        for end in ("source", "target"):
            degree = torch.zeros(nodes)
            for block in blocks:
                start, count = block[end + "s"]
                degree[start : start + count] += self.edges_of(block) / count
            self.degree[end] = degree.clamp(min=1)[None, :, None]

    @staticmethod
    def edges_of(block):
        return block["targets"][1] * block["sources"][1]

    @staticmethod
    def at(x, nodes):
        return x[:, nodes[0] : nodes[0] + nodes[1]]

    def of_weights(self, weights):
        parts = weights.split([self.edges_of(b) for b in self.blocks], 1)
        return [p.reshape(-1, b["targets"][1], b["sources"][1], 1) for p, b in zip(parts, self.blocks)]

    def to_weights(self, edges):
        return torch.cat([e.flatten(1) for e in edges], 1)

    def add_nodes(self, edges, source, target):
        return [e + self.at(source, b["sources"])[:, None] + self.at(target, b["targets"])[:, :, None] for e, b in zip(edges, self.blocks)]

    def assemble(self, parts, end):
        batch, _, width = parts[0].shape
        total = parts[0].new_zeros(batch, self.count, width)
        for part, block in zip(parts, self.blocks):
            start, count = block[end + "s"]
            total[:, start : start + count] += part
        return total

    def mean_at(self, edges, end):
        return self.assemble([e.sum(2 if end == "target" else 1) for e in edges], end) / self.degree[end]

    def mean(self, edges):
        return sum(e.sum((1, 2)) for e in edges) / self.edges

    def weighted_sum(self, edges, values, end):
        parts = []
        for e, block in zip(edges, self.blocks):
            there = self.at(values, block["sources" if end == "target" else "targets"])
            heads = e.shape[3]
            v = there.reshape(there.shape[0], there.shape[1], heads, -1).transpose(1, 2)
            matrix = e.permute(0, 3, 1, 2) if end == "target" else e.permute(0, 3, 2, 1)
            parts.append((matrix @ v).transpose(1, 2).flatten(2))
        return self.assemble(parts, end)

    def products(self, source, target):
        return [(self.at(target, b["targets"]) @ self.at(source, b["sources"]).transpose(1, 2))[..., None] for b in self.blocks]


def frame(model, graph, node_class, anchor):
    table = model.tensor("node")
    rounds = []
    while model.has(f"round/{len(rounds)}/norm/weight"):
        scope = model.scope(f"round/{len(rounds)}")
        rounds.append((scope.norm("norm"), scope.linear("ahead"), scope.linear("back"), scope.mlp("update", F.silu)))
    norm, scope = model.norm("norm"), model.scope("basis")
    offset, direction = scope.tensor("class"), scope.tensor("anchor")
    from_source, from_target, mix = scope.linear("source"), scope.linear("target"), scope.linear("mix")
    base = graph.of_weights(anchor[None])

    def apply():
        nodes = table[node_class][None]
        for norm_in, ahead, back, update in rounds:
            x = norm_in(nodes)
            incoming = graph.weighted_sum(base, ahead(x), "target") / graph.degree["target"].sqrt()
            outgoing = graph.weighted_sum(base, back(x), "source") / graph.degree["source"].sqrt()
            nodes = nodes + update(torch.cat([x, incoming, outgoing], 2))
        nodes = norm(nodes)
        own = [offset[i] + b * direction[i] for i, b in enumerate(base)]
        joined = graph.add_nodes(own, from_source(nodes), from_target(nodes))
        rows = torch.cat([e.reshape(-1, e.shape[3]) for e in joined])
        return nodes, F.relu(mix(F.relu(rows)))

    return apply


def edge_embedding(model, graph, anchor):
    scope = model.scope("edge")
    direction, offset, anchor_direction = scope.tensor("weight"), scope.tensor("class"), scope.tensor("anchor")
    base = graph.of_weights(anchor[None])
    return lambda weights: [
        w * direction[i] + (offset[i] + base[i] * anchor_direction[i]) for i, w in enumerate(graph.of_weights(weights))
    ]


def global_context(model):
    noise, condition = model.mlp("noise", F.silu), model.linear("condition")
    frequencies = 2 * math.pi * 0.125 * 2 ** (torch.arange(16) / 3)

    def apply(label, given):
        angles = label[:, None] * frequencies
        return noise(torch.cat([angles.cos(), angles.sin(), label[:, None]], 1)) + condition(given.flatten(1))

    return apply


def reading(model, size):
    project, norm = model.linear("project"), model.norm("norm")
    blocks = [(model.norm(f"{i}/norm"), model.mlp(f"{i}/mlp", F.silu)) for i in range(2)]

    def apply(weights, functions, context):
        u = context + norm(project((weights @ functions) / math.sqrt(size)))
        for inner, mlp in blocks:
            u = u + mlp(inner(u))
        return u

    return apply


def head(model, graph):
    norm, from_edge, source, target = model.norm("global-norm"), model.linear("edge"), model.linear("source"), model.linear("target")
    coefficients, gain = model.linear("basis"), model.linear("gain")
    class_of = torch.cat([torch.full((Graph.edges_of(b),), i) for i, b in enumerate(graph.blocks)])

    def apply(weights, functions, nodes, edges, state):
        u = norm(state)
        products = graph.products(source(nodes), target(nodes))
        local = [from_edge(e) + p / math.sqrt(nodes.shape[2]) for e, p in zip(edges, products)]
        wide = (coefficients(u) @ functions.T) * (4 / math.sqrt(functions.shape[1]))
        return graph.to_weights(local) + wide + weights * gain(u)[:, class_of]

    return apply


def messages(model, graph, heads):
    ends = [(end, model.linear(f"{end}/heads"), model.linear(f"{end}/values")) for end in ("target", "source")]

    def gather(edges, nodes):
        return [
            part
            for end, weigh, values in ends
            for part in (
                graph.weighted_sum([weigh(e) for e in edges], values(nodes), end) / graph.degree[end].sqrt(),
                graph.mean_at(edges, end),
            )
        ]

    return gather


def edge_mpnn(model, config, graph, node_class, anchor, size):
    make_frame, embed_nodes = frame(model.scope("frame"), graph, node_class, anchor), model.linear("nodes")
    embed_edges, context, read = edge_embedding(model, graph, anchor), global_context(model), reading(model.scope("read"), size)
    layers = []
    for i in range(config["layers"]):
        m = model.scope(f"layer/{i}")
        names = ("edge/edge", "edge/source", "edge/target", "edge/global", "node/in", "node/global", "node/out")
        layers.append((m.norm("norm"), m.norm("global-norm"), *map(m.linear, names), messages(m.scope("message"), graph, config["heads"]), m.mlp("global", F.silu)))
    norm, write = model.norm("head/norm"), head(model.scope("head"), graph)

    def apply(weights, label, given):
        still, functions = make_frame()
        state = read(weights, functions, context(label, given))
        nodes, edges = embed_nodes(still).expand(weights.shape[0], -1, -1), embed_edges(weights)
        for norm_in, norm_global, edge, source, target, edge_global, node_in, node_global, node_out, gather, update in layers:
            u, x = norm_global(state), norm_in(nodes)
            change = graph.add_nodes([edge(e) for e in edges], source(x), target(x) + edge_global(u)[:, None])
            edges = [e + F.relu(c) for e, c in zip(edges, change)]
            heard = node_in(torch.cat([x, *gather(edges, x)], 2))
            nodes = nodes + node_out(F.silu(heard + node_global(u)[:, None]))
            state = state + update(torch.cat([nodes.mean(1), graph.mean(edges), u], 1))
        return write(weights, functions, norm(nodes), edges, state)

    return apply


def graph_dit(model, config, graph, node_class, anchor, size):
    make_frame, embed_nodes = frame(model.scope("frame"), graph, node_class, anchor), model.linear("nodes")
    embed_edges, context, read = edge_embedding(model, graph, anchor), global_context(model), reading(model.scope("read"), size)
    norm = model.norm("global-norm")
    blocks = []
    for i in range(config["blocks"]):
        m = model.scope(f"block/{i}")
        names = ("modulation", "edge/modulation", "edge/edge", "edge/source", "edge/target", "message/out")
        blocks.append((*map(m.linear, names), messages(m.scope("message"), graph, config["heads"]), m.mlp("mlp", F.silu)))
    last, write = model.linear("head/modulation"), head(model.scope("head"), graph)

    def apply(weights, label, given):
        still, functions = make_frame()
        state = read(weights, functions, context(label, given))
        u = F.silu(norm(state))
        nodes, edges = embed_nodes(still).expand(weights.shape[0], -1, -1), embed_edges(weights)
        for modulation, edge_modulation, edge, source, target, combine, gather, mlp in blocks:
            scale, shift, gate, scale2, shift2, gate2 = modulation(u)[:, None].chunk(6, 2)
            x = adapt(nodes, shift, scale)
            change = graph.add_nodes([edge(e) for e in edges], source(x), target(x) + edge_modulation(u)[:, None])
            edges = [e + F.relu(c) for e, c in zip(edges, change)]
            nodes = nodes + gate * combine(torch.cat(gather(edges, x), 2))
            nodes = nodes + gate2 * mlp(adapt(nodes, shift2, scale2))
        scale, shift = last(u)[:, None].chunk(2, 2)
        return write(weights, functions, adapt(nodes, shift, scale), edges, state)

    return apply
