"""PyTorch's side of bench/denoisers.bench.ts: the six denoisers on the same weights, read from a safetensors file whose names are ours.

Written as PyTorch would have it: F.scaled_dot_product_attention, one product for queries, keys and values, linear weights [out, in].
A request names the file, the kind, its configuration and, for the graph denoisers, the parameter graph. "same" compares the output with ours
before anything is timed.
"""
import torch

from denoiser_layers import Model, read_safetensors
from graph_denoisers import Graph, edge_mpnn, graph_dit
from peer import serve
from sequence_denoisers import Hidden, Mixed, dit, transformer, transformer_hidden, transformer_typed

SEQUENCE = {
    "transformer": (transformer, Mixed),
    "transformer-typed": (transformer_typed, Mixed),
    "transformer-hidden": (transformer_hidden, Hidden),
    "dit": (dit, Mixed),
}
GRAPH = {"edge-mpnn": edge_mpnn, "graph-dit": graph_dit}


def built(file, kind, config, channels, hidden, graph):
    tensors = read_safetensors(file)
    inputs = [tensors.pop(f"input/{name}") for name in ("weights", "noise", "condition")]
    anchor, expected = tensors.pop("input/anchor"), tensors.pop("output")
    model = Model(tensors)
    if kind in SEQUENCE:
        make, layout = SEQUENCE[kind]
        apply = make(model, config, layout(channels, hidden), anchor)
    else:
        apply = GRAPH[kind](model, config, Graph(graph["nodes"], graph["blocks"]), torch.tensor(graph["nodeClass"]), anchor, anchor.numel())
    return apply, model.parameters, inputs, expected


def denoiser(gradient, **request):
    apply, parameters, inputs, _ = built(**request)

    def run():
        if not gradient:
            with torch.no_grad():
                return apply(*inputs)
        for parameter in parameters:
            parameter.grad = None
        apply(*inputs).square().mean().backward()

    return run


def same(**request):
    """Raises unless the output is ours: relative to its largest number, float32 sums in another order through all layers."""
    apply, _, inputs, expected = built(**request)
    with torch.no_grad():
        difference = ((apply(*inputs) - expected).abs().max() / expected.abs().max()).item()
    if not difference < 2e-5:
        raise ValueError(f"{request['kind']}: the output differs by {difference:.2g} of its largest number")
    return lambda: None


if __name__ == "__main__":
    serve({"denoiser": denoiser, "same": same})
