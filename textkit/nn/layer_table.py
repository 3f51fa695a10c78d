"""The layers of a network with the shape of what each gives, its weights and their bytes.

In: a TextNetwork. Out: a Layer for each part that has weights of its own and for each role
(embedding, encoder, pooling, head). Shapes are measured, on two small batches: what differs with
the batch is called `batch`, what differs with the longest row `time`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from textkit.nn.network import TextNetwork

# Two batches of ids that no width is mistaken for: (rows, tokens).
_SIZES = ((2, 5), (3, 7))


@dataclass(frozen=True)
class Layer:
    """name: its path in the network, the members' numbers left out where there is one. depth: how
    many roles stand above it. shape: of its output; empty where it was not measured. n_weights,
    n_bytes: all that it holds, its parts included. n_trained: of the weights, those that a training
    may change.
    """

    name: str
    kind: str
    depth: int
    shape: tuple[str, ...]
    n_weights: int
    n_trained: int
    n_bytes: int


def list_layers(network: TextNetwork) -> list[Layer]:
    """List the layers in the order of the network.

    >>> from textkit.recipe import Recipe
    >>> network = TextNetwork(Recipe(), n_tokens=9, n_outputs=2)
    >>> [layer.name for layer in list_layers(network) if layer.depth == 0]
    ['embedding', 'encoder', 'poolings.0', 'poolings.1', 'poolings.2', 'head']
    """
    shapes = _measure(network)
    alone = len(network.members) == 1
    layers = []
    for path, module in network.named_modules():
        if not _is_shown(path, module):
            continue
        role = path.split(".")[2:] if path.startswith("members.") else path.split(".")
        weights = [*module.parameters(), *module.buffers()]
        depth = len(role) - (2 if role[0] == "poolings" else 1)
        layers.append(
            Layer(
                ".".join(role) if alone or not path.startswith("members.") else path,
                type(module).__name__,
                min(depth, 3),
                shapes.get(path, ()),
                sum(weight.numel() for weight in module.parameters()),
                sum(weight.numel() for weight in module.parameters() if weight.requires_grad),
                sum(weight.numel() * weight.element_size() for weight in weights),
            )
        )
    return layers


def count_bytes(network: nn.Module) -> int:
    """Count the bytes of all weights and buffers."""
    return sum(
        value.numel() * value.element_size()
        for value in [*network.parameters(), *network.buffers()]
    )


def _is_shown(path: str, module: nn.Module) -> bool:
    parts = path.split(".")
    is_role = path == "embedding" or (
        parts[0] == "members"
        and ((len(parts) == 3 and parts[2] in ("encoder", "head")) or parts[2:3] == ["poolings"])
        and not isinstance(module, nn.ModuleList)
    )
    return is_role or any(True for _ in module.parameters(recurse=False))


def _measure(network: TextNetwork) -> dict[str, tuple[str, ...]]:
    """Run two batches and name the axes of what each module gives."""
    found: list[dict[str, tuple[int, ...]]] = []
    was_training = network.training
    network.eval()
    try:
        for rows, tokens in _SIZES:
            sizes: dict[str, tuple[int, ...]] = {}
            handles = [
                module.register_forward_hook(_keep(sizes, path))
                for path, module in network.named_modules()
            ]
            try:
                run_padded(network, torch.zeros((rows, tokens), dtype=torch.int64))
            finally:
                for handle in handles:
                    handle.remove()
            found.append(sizes)
    finally:
        network.train(was_training)
    first, second = found
    return {path: tuple(_axes(first[path], second[path])) for path in first if path in second}


def run_padded(network: TextNetwork, ids: Tensor) -> Tensor:
    """Compute the outputs of rows of equal length, ids (batch, time), by the padded way, which
    every module takes part in; a ragged network would pass its embedding by.
    """
    mask = torch.ones_like(ids, dtype=torch.bool)
    with torch.no_grad():
        return network.outputs_of(network.embedding(ids, mask), mask)


def _keep(sizes: dict[str, tuple[int, ...]], path: str):  # type: ignore[no-untyped-def]
    def keep(module: nn.Module, inputs: object, output: object) -> None:
        value = output[0] if isinstance(output, tuple) and output else output
        value = getattr(value, "last_hidden_state", value)
        if isinstance(value, Tensor):
            sizes[path] = tuple(value.shape)

    return keep


def _axes(first: tuple[int, ...], second: tuple[int, ...]) -> Iterator[str]:
    for a, b in zip(first, second, strict=True):
        if a == b:
            yield str(a)
        elif (a, b) == (_SIZES[0][0], _SIZES[1][0]):
            yield "batch"
        elif (a, b) == (_SIZES[0][1], _SIZES[1][1]):
            yield "time"
        else:
            yield "n"
