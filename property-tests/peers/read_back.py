"""Opens what property-tests/peers/read-back.ts exported, each file with the tool it is meant for, and compares."""
import importlib.metadata
import json
import os
import sys

import networkx
import numpy as np
import onnx
import onnxruntime
import safetensors
import safetensors.torch
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GENConv

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "bench", "peers"))
import denoisers  # noqa: E402

root = sys.argv[1]
names = json.load(open(os.path.join(root, "names.json")))
packages = ["torch", "numpy", "onnx", "onnxruntime", "torch_geometric", "networkx", "safetensors", "tensorboard"]
print(f"Python {sys.version.split()[0]}, " + ", ".join(f"{p} {importlib.metadata.version(p)}" for p in packages))


def path(*parts):
    return os.path.join(root, *parts)


def blocks(flat, spec):
    """w1, b1, w2(, b2) of a flat vector."""
    inputs, hidden, channels = 4 * spec["channels"], spec["hidden"], spec["channels"]
    shapes = {"w1": (hidden, inputs), "b1": (hidden,), "w2": (channels, hidden)}
    if spec["outputBias"]:
        shapes["b2"] = (channels,)
    found, at = {}, 0
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        found[name] = flat[at : at + size].reshape(shape)
        at += size
    assert at == len(flat)
    return found


def said(name, what, detail):
    print(f"ok  {name:26} {what:12} {detail}")


for name in names:
    expected = safetensors.torch.load_file(path(name, "expected"))
    flat = expected["flat"]
    with safetensors.safe_open(path(name, "safetensors"), "pt") as file:
        spec = json.loads(file.metadata()["spec"])
        assert torch.equal(file.get_tensor("weights"), flat)
    said(name, "safetensors", f"{len(flat)} weights, spec {spec['name']}")

    if os.path.exists(path(name, "torch")):
        state = torch.load(path(name, "torch"), weights_only=True)
        assert list(state) == list(blocks(flat, spec))
        for key, tensor in blocks(flat, spec).items():
            assert torch.equal(state[key], tensor), key
        layer = torch.nn.Linear(4 * spec["channels"], spec["hidden"])
        layer.load_state_dict({"weight": state["w1"], "bias": state["b1"]})
        said(name, "torch", "weights_only=True: " + ", ".join(f"{k} {tuple(v.shape)}" for k, v in state.items()))

    if os.path.exists(path(name, "npy")):
        for key, tensor in blocks(flat, spec).items():
            assert np.array_equal(np.load(path(name, "npy", f"{key}.npy"), allow_pickle=False)[0], tensor.numpy()), key
        assert np.load(path(name, "npy", "texture_names.npy"), allow_pickle=False).tolist() == [name]
        said(name, "npy", "allow_pickle=False, exact")

    model = onnx.load(path(name, "onnx"))
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(path(name, "onnx"), providers=["CPUExecutionProvider"])
    states, masks = expected["states"].numpy(), expected["masks"].numpy()
    state, worst = states[0], 0.0
    for step, mask in enumerate(masks):
        state, picture = session.run(["next", "picture"], {"state": state, "mask": mask})
        worst = max(worst, float(np.abs(state - states[step + 1]).max()))
    worst_picture = float(np.abs(picture - expected["picture"].numpy()).max())
    assert np.abs(states).max() > 0.1 and 0 < masks.mean() < 1
    # float32 sums in another order, twelve steps of a state of order one.
    assert worst < 1e-5 and worst_picture < 1e-5, (worst, worst_picture)
    said(name, "onnx", f"{len(masks)} steps, states up to {np.abs(states).max():.1f} within {worst:.1e}, picture {worst_picture:.1e}")

    tensors = safetensors.torch.load_file(path(name, "geometric"))
    graph = Data(**tensors)
    assert graph.validate(raise_on_error=True)
    weight, parameter = graph.edge_attr[:, 0], graph.edge_attr[:, 6].long()
    rebuilt = torch.empty(len(flat))
    rebuilt[parameter] = weight
    assert torch.equal(rebuilt, flat)
    batch = next(iter(DataLoader([graph, graph], batch_size=2)))
    assert batch.u.shape == (2, graph.u.shape[1])
    out = GENConv(graph.num_node_features, 5, edge_dim=graph.edge_attr.shape[1])(batch.x, batch.edge_index, batch.edge_attr)
    assert out.shape == (2 * graph.num_nodes, 5) and torch.isfinite(out).all()
    said(name, "geometric", f"{graph}; batched, through GENConv")

    for ending, read in (("gexf", networkx.read_gexf), ("graphml", networkx.read_graphml)):
        network = read(path(name, ending))
        assert network.number_of_nodes() == graph.num_nodes and network.number_of_edges() == graph.num_edges
        found = torch.empty(len(flat), dtype=torch.float64)
        for _, _, data in network.edges(data=True):
            found[int(data["parameter"])] = data["weight"]
        assert torch.equal(found, flat.double()), ending
        said(name, ending, f"{network.number_of_nodes()} nodes, {network.number_of_edges()} edges, weights exact")

manifest = json.load(open(path("denoiser", "manifest.json")))
tensors = denoisers.read_safetensors(path("denoiser", "denoiser.safetensors"))
same = safetensors.torch.load_file(path("denoiser", "denoiser.safetensors"))
assert {t["name"]: t["shape"] for t in manifest["tensors"]} == {k: list(v.shape) for k, v in same.items()}
assert all(torch.equal(tensors[k], same[k]) for k in same)
expected = safetensors.torch.load_file(path("denoiser-expected"))
spec, config = manifest["spec"], manifest["denoiser"]
model = denoisers.Model(tensors).scope("denoiser")
apply = denoisers.transformer(model, config, denoisers.Mixed(spec["channels"], spec["hidden"]), None)
with torch.no_grad():
    output = apply(expected["weights"], expected["noise"], expected["condition"])
difference = ((output - expected["output"]).abs().max() / expected["output"].abs().max()).item()
assert difference < 2e-5, difference
said("trained transformer", "denoiser", f"{len(tensors)} tensors, all in the manifest; PyTorch's output within {difference:.1e}")

events = EventAccumulator(path("run")).Reload()
scalars = events.Tags()["scalars"]
assert "loss" in " ".join(scalars), scalars
assert all(np.isfinite(e.value) for tag in scalars for e in events.Scalars(tag))
said("trained transformer", "tensorboard", ", ".join(scalars))
