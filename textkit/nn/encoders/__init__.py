"""Encoders: sequence to sequence, masked; poolings: sequence to vector.

Made by name: `create`, `create_pooling`.

Every encoder takes `states (batch, time, in_dim)`, `mask (batch, time) bool` and `lengths (batch,)`
on the CPU, gives `(batch, time, out_dim)` with zeros at padding, and lets no padded position change
a real one.
"""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from textkit import registry


class Encoder(Protocol):
    """What every encoder states and does."""

    in_dim: int
    out_dim: int

    def __call__(self, states: Tensor, mask: Tensor, lengths: Tensor) -> Tensor: ...


def create(name: str, *, in_dim: int | None = None, **options: Any) -> Any:
    """Make a registered encoder, an nn.Module.

    A misspelt name or option is refused with the nearest known one.

    >>> create("lstm", in_dim=8, dim=4).out_dim
    8
    """
    encoder = registry.resolve("encoder", name)
    given = options if in_dim is None else {"in_dim": in_dim, **options}
    registry.check_options(encoder, given, what=f"encoder '{name}'")
    return encoder(**given)


def create_pooling(name: str, *, dim: int) -> Any:
    """Make a registered pooling, an nn.Module: states (batch, time, dim), mask (batch, time) ->
    (batch, out_dim).

    >>> create_pooling("mean", dim=8).out_dim
    8
    """
    pooling = registry.resolve("pooling", name)
    registry.check_options(pooling, {"dim": dim}, what=f"pooling '{name}'")
    return pooling(dim=dim)
