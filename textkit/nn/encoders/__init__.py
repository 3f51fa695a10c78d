"""Encoders: sequence to sequence, masked; poolings: sequence to vector.

Made by name: `create`, `create_pooling`.

Every encoder takes `states (batch, time, in_dim)`, `mask (batch, time) bool` and `lengths (batch,)`
on the CPU, gives `(batch, time, out_dim)` with zeros at padding, and lets no padded position change
a real one. What an encoder may offer beyond that stands here as a protocol each: a built-in name
and a plug-in are asked alike, and what is not offered is not missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from textkit import registry
from textkit.nn.collate import RaggedBatch


class Encoder(Protocol):
    """What every encoder states and does; it is an nn.Module too."""

    in_dim: int
    out_dim: int

    def __call__(self, states: Tensor, mask: Tensor, lengths: Tensor) -> Tensor: ...


class InputEmbedding(Protocol):
    """An nn.Module from input_ids (batch, time) int64 and mask (batch, time) to states (batch,
    time, out_dim), zeros at padding.
    """

    out_dim: int

    def __call__(self, input_ids: Tensor, mask: Tensor) -> Tensor: ...


@runtime_checkable
class OwnEmbedding(Protocol):
    """An encoder that brings the embedding whose states it reads, as pretrained ones do.

    Its in_dim can be left out. The embedding is the network's from then on, and so no submodule of
    the encoder.
    """

    def input_embedding(self) -> InputEmbedding:
        """Give the module that takes the place of the recipe's embedding."""


@runtime_checkable
class RaggedPooling(Protocol):
    """An encoder that looks at each position for itself, as a bag of words does.

    It reads no order, so hashed n-grams are for it.
    """

    def pool_mean(self, table: Tensor, batch: RaggedBatch) -> Tensor:
        """Compute what mean pooling over its states gives, from table (n_ids, in_dim) without a
        padded rectangle: (batch, out_dim).
        """


@runtime_checkable
class LayeredEncoder(Protocol):
    """An encoder whose layers may learn at rates of their own."""

    def depths(self) -> Mapping[nn.Parameter, int]:
        """Give how many layers stand above each weight, its embedding's too."""


@runtime_checkable
class LimitedEncoder(Protocol):
    """An encoder whose positions may end.

    max_length: tokens of the longest row that it takes, None for any.
    """

    max_length: int | None


@runtime_checkable
class Rebuilt(Protocol):
    """An encoder that a saved model rebuilds from other options than those it was made with."""

    saved_options: dict[str, object]


def kind_of(name: str) -> type:
    """Give the class behind a registered encoder, to ask what it offers before one is made.

    >>> issubclass(kind_of("bag"), RaggedPooling), issubclass(kind_of("lstm"), RaggedPooling)
    (True, False)
    """
    maker = registry.resolve("encoder", name)
    kind = maker.func if isinstance(maker, partial) else maker
    return kind if isinstance(kind, type) else nn.Module


def create(name: str, *, in_dim: int | None = None, **options: Any) -> Encoder:
    """Make a registered encoder, an nn.Module.

    A misspelt name or option is refused with the nearest known one.

    >>> create("lstm", in_dim=8, dim=4).out_dim
    8
    """
    encoder = registry.resolve("encoder", name)
    given = options if in_dim is None else {"in_dim": in_dim, **options}
    registry.check_options(encoder, given, what=f"encoder '{name}'")
    registry.check_values(encoder, given, what=f"encoder '{name}'")
    made: Encoder = encoder(**given)
    return made


def create_pooling(name: str, *, dim: int) -> Any:
    """Make a registered pooling, an nn.Module: states (batch, time, dim), mask (batch, time) ->
    (batch, out_dim).

    >>> create_pooling("mean", dim=8).out_dim
    8
    """
    pooling = registry.resolve("pooling", name)
    registry.check_options(pooling, {"dim": dim}, what=f"pooling '{name}'")
    return pooling(dim=dim)
