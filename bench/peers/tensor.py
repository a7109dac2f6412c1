"""PyTorch's side of bench/tensor.bench.ts. Tensors are channels-last where ours are; sizes come with the request."""
import torch
import torch.nn as nn
import torch.nn.functional as F

from peer import serve


def matmul(m, n, k, transpose_a=False, transpose_b=False, batch=0):
    lead = [batch] if batch else []
    a = torch.rand(lead + ([k, m] if transpose_a else [m, k]))
    b = torch.rand(lead + ([n, k] if transpose_b else [k, n]))
    if transpose_a:
        a = a.transpose(-1, -2)
    if transpose_b:
        b = b.transpose(-1, -2)
    return lambda: a @ b


def elementwise(op, size):
    a, b = torch.rand(size) + 0.5, torch.rand(size)
    row = torch.rand(256)
    wide = a[: size // 256 * 256].view(-1, 256)
    return {
        "add": lambda: a + b,
        "row": lambda: wide + row,
        "exp": lambda: torch.exp(a),
        "tanh": lambda: torch.tanh(a),
        "gelu": lambda: F.gelu(a),
        "sum": lambda: a.sum(),
        "columns": lambda: wide.sum(0),
    }[op]


def softmax(rows, length):
    x = torch.rand(rows, length)
    return lambda: torch.softmax(x, -1)


def transpose(shape, perm):
    x = torch.rand(shape)
    return lambda: x.permute(perm).contiguous()


def transformer(width, layers, heads, tokens, batch, backward):
    layer = nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
    model = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
    model.train()
    x = torch.rand(batch, tokens, width)

    def run():
        if not backward:
            with torch.no_grad():
                model(x)
            return
        model.zero_grad()
        model(x).square().mean().backward()

    return run


def conv(n, h, w, cin, cout, part):
    x = torch.rand(n, cin, h, w).contiguous(memory_format=torch.channels_last)
    weight = torch.rand(cout, cin, 3, 3).contiguous(memory_format=torch.channels_last)
    dy = torch.rand(n, cout, h, w).contiguous(memory_format=torch.channels_last)
    shape, wshape = x.shape, weight.shape
    return {
        "forward": lambda: F.conv2d(x, weight, padding=1),
        "input": lambda: torch.nn.grad.conv2d_input(shape, weight, dy, padding=1),
        "filter": lambda: torch.nn.grad.conv2d_weight(x, wshape, dy, padding=1),
    }[part]


def vgg(batch, size, backward):
    widths = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512]
    parts, cin = [], 3
    for w in widths:
        if w == "M":
            parts.append(nn.MaxPool2d(2))
        else:
            parts += [nn.Conv2d(cin, w, 3, padding=1), nn.ReLU()]
            cin = w
    model = nn.Sequential(*parts)
    for p in model.parameters():
        p.requires_grad_(False)
    x = torch.rand(batch, 3, size, size)

    def run():
        if not backward:
            with torch.no_grad():
                model(x)
            return
        y = x.clone().requires_grad_(True)
        model(y).square().mean().backward()

    return run


class Messages(nn.Module):
    """EdgeMPNN with concatenated inputs: edge = MLP[src | dst | edge | u], node = MLP2[x | mean MLP1[src | edge | u] | u]."""

    def __init__(self, node, edge, glob, hidden, out):
        super().__init__()

        def mlp(i, o):
            return nn.Sequential(nn.Linear(i, hidden), nn.ReLU(), nn.Linear(hidden, o))

        self.edge = mlp(2 * node + edge + glob, out)
        self.message = mlp(node + out + glob, out)
        self.node = mlp(node + out + glob, out)
        self.glob = mlp(2 * out + glob, out)

    def forward(self, x, e, u, src, dst, node_graph, edge_graph, nodes, graphs):
        e = F.relu(self.edge(torch.cat([x[src], x[dst], e, u[edge_graph]], 1)))
        m = self.message(torch.cat([x[src], e, u[edge_graph]], 1))
        total = torch.zeros(nodes, m.shape[1]).index_add(0, dst, m)
        count = torch.zeros(nodes).index_add(0, dst, torch.ones(len(dst))).clamp(min=1)
        x = F.relu(self.node(torch.cat([x, total / count[:, None], u[node_graph]], 1)))
        mean_x = torch.zeros(graphs, x.shape[1]).index_add(0, node_graph, x) / (nodes / graphs)
        mean_e = torch.zeros(graphs, e.shape[1]).index_add(0, edge_graph, e) / (len(dst) / graphs)
        u = F.relu(self.glob(torch.cat([mean_x, mean_e, u], 1)))
        return x, e, u


def edge_mpnn(batch, hidden, layers, backward, sizes=(48, 96, 12)):
    i, h, o = sizes
    nodes = i + h + 1 + o
    src, dst = [], []
    for a in range(h):
        for b in range(i):
            src.append(b), dst.append(i + a)
    for a in range(h):
        src.append(i + h), dst.append(i + a)
    for a in range(o):
        for b in range(h):
            src.append(i + b), dst.append(i + h + 1 + a)
    edges = len(src)
    offset = torch.arange(batch).repeat_interleave(edges) * nodes
    src = torch.tensor(src).repeat(batch) + offset
    dst = torch.tensor(dst).repeat(batch) + offset
    node_graph = torch.arange(batch).repeat_interleave(nodes)
    edge_graph = torch.arange(batch).repeat_interleave(edges)
    stack = nn.ModuleList()
    node, edge, glob = 3, 12, 64
    for _ in range(layers):
        stack.append(Messages(node, edge, glob, hidden, hidden))
        node = edge = glob = hidden
    head = nn.Sequential(nn.Linear(hidden, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1))
    x = torch.rand(batch * nodes, 3)
    e = torch.rand(batch * edges, 12)
    u = torch.rand(batch, 64)

    def forward():
        a, b, c = x, e, u
        for layer in stack:
            a, b, c = layer(a, b, c, src, dst, node_graph, edge_graph, batch * nodes, batch)
        return head(b)

    def run():
        if not backward:
            with torch.no_grad():
                forward()
            return
        stack.zero_grad()
        head.zero_grad()
        forward().square().mean().backward()

    return run


serve(
    {
        "matmul": matmul,
        "elementwise": elementwise,
        "softmax": softmax,
        "transpose": transpose,
        "transformer": transformer,
        "conv": conv,
        "vgg": vgg,
        "edge_mpnn": edge_mpnn,
    }
)
