"""A bag of words and n-grams, computed with numpy alone: the mean of vectors, then perceptrons.

In: a TokenBatch. Out: each row's mean vector, and the mean of what the heads make of it. A table
may be whole numbers of 8 bits with a scale a row.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch
from textkit.features.grams import split_blocks

Floats = NDArray[np.float32]
Arrays = Mapping[str, NDArray[Any]]

# Numbers that are gathered at a time: 4 MB.
_BLOCK_NUMBERS = 1 << 20


@dataclass(frozen=True, eq=False)
class Layer:
    """One linear layer of a perceptron, and the norm and activation before it.

    weight: (in_dim, out_dim); bias: (out_dim,). norm: none, affine (a batch norm's running
    statistics in its scale and shift), layer or rms. activation: by name, or none.
    """

    weight: Floats
    bias: Floats
    norm: str = "none"
    scale: Floats | None = None
    shift: Floats | None = None
    activation: str = "none"

    def apply(self, states: Floats) -> Floats:
        """states (n, in_dim) -> (n, out_dim)."""
        if self.norm == "layer":
            states = _scale(states - states.mean(axis=1, keepdims=True), epsilon=1e-5)
        elif self.norm == "rms":
            states = _scale(states, epsilon=1e-6)
        if self.scale is not None:
            states = states * self.scale
        if self.shift is not None:
            states = states + self.shift
        return activate(self.activation, states) @ self.weight + self.bias


def _scale(states: Floats, *, epsilon: float) -> Floats:
    squares = np.square(states).mean(axis=1, keepdims=True)
    return np.asarray(states / np.sqrt(squares + np.float32(epsilon)), np.float32)


def activate(name: str, states: Floats) -> Floats:
    """Apply an activation by its name.

    >>> activate("relu", np.array([-1.0, 2.0], np.float32)).tolist()
    [0.0, 2.0]
    """
    activated: NDArray[Any] = states
    if name == "relu":
        activated = np.maximum(states, 0)
    elif name == "tanh":
        activated = np.tanh(states)
    elif name in ("silu", "swish"):
        activated = states / (1 + np.exp(-np.maximum(states, -80)))
    elif name == "gelu":
        activated = states * (1 + _erf(states / np.float32(2**0.5))) / 2
    return np.asarray(activated, np.float32)


def _erf(x: Floats) -> Floats:
    """Abramowitz & Stegun 7.1.26: the error is at most 1.5e-7."""
    size = np.abs(x)
    t = 1 / (1 + np.float32(0.3275911) * size)
    total = np.zeros_like(size)
    for factor in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        total = (total + np.float32(factor)) * t
    return np.asarray(np.sign(x) * (1 - total * np.exp(-size * size)), np.float32)


@dataclass(frozen=True, eq=False)
class Bag:
    """Mean vectors and what heads make of them.

    table: (n_ids, dim) float32, float16 or int8; scales: (n_ids,) float32 or float16 for int8,
    else None.
    heads: the layers of each.
    """

    table: NDArray[Any]
    heads: Sequence[Sequence[Layer]]
    scales: NDArray[Any] | None = None

    def pool(self, tokens: TokenBatch) -> Floats:
        """Average the vectors of each row: (n_rows, dim) float32, zeros for an empty row."""
        pooled = np.zeros((len(tokens), self.table.shape[1]), np.float32)
        n_items = max(1, _BLOCK_NUMBERS // self.table.shape[1])
        for first, end in split_blocks(tokens.offsets, n_items=n_items):
            ids = tokens.ids[tokens.offsets[first] : tokens.offsets[end]]
            vectors = self.table.take(ids, axis=0).astype(np.float32, copy=False)
            if self.scales is not None:
                vectors *= self.scales.take(ids)[:, None]
            lengths = np.diff(tokens.offsets[first : end + 1])
            filled = np.flatnonzero(lengths)
            if len(filled):
                starts = tokens.offsets[first:end][filled] - tokens.offsets[first]
                sums = np.add.reduceat(vectors, starts, axis=0)
                pooled[first + filled] = sums / lengths[filled, None].astype(np.float32)
        return pooled

    def score(self, tokens: TokenBatch) -> Floats:
        """Compute the mean of the heads' outputs: (n_rows, n_outputs) float32."""
        pooled = self.pool(tokens)
        outputs = []
        for head in self.heads:
            states = pooled
            for layer in head:
                states = layer.apply(states)
            outputs.append(states)
        return outputs[0] if len(outputs) == 1 else np.mean(outputs, axis=0, dtype=np.float32)

    @property
    def n_weights(self) -> int:
        """Number of numbers in it."""
        arrays = [self.table, *(a for head in self.heads for la in head for a in _arrays(la))]
        return sum(array.size for array in arrays)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Give its arrays by names, for a safetensors file."""
        arrays: dict[str, NDArray[Any]] = {"table": self.table}
        if self.scales is not None:
            arrays["table.scales"] = self.scales
        for i, head in enumerate(self.heads):
            for j, layer in enumerate(head):
                for part in ("weight", "bias", "scale", "shift"):
                    array = getattr(layer, part)
                    if array is not None:
                        arrays[f"heads.{i}.{j}.{part}"] = np.ascontiguousarray(array)
        return arrays

    @staticmethod
    def of_arrays(
        arrays: Arrays, *, n_heads: int, widths: Sequence[int], norm: str, activation: str
    ) -> Bag:
        """Put a bag together from its arrays, as `to_arrays` gives them.

        widths: of the mean vector, of the hidden layers, and of the output. norm, activation: of
        the hidden layers. Raises ValueError or KeyError for arrays that do not fit.
        """
        table, scales = arrays["table"], arrays.get("table.scales")
        if table.ndim != 2 or table.shape[1] != widths[0]:
            raise ValueError(f"table is {table.shape}, expected {widths[0]} columns")
        if (table.dtype == np.int8) != (scales is not None) or (
            scales is not None
            and (scales.shape != (len(table),) or scales.dtype not in (np.float32, np.float16))
        ):
            raise ValueError("table and table.scales do not belong together")
        if table.dtype not in (np.float32, np.float16, np.int8):
            raise ValueError(f"table is {table.dtype}")
        heads = []
        for i in range(n_heads):
            layers = []
            for j, (n_in, n_out) in enumerate(itertools.pairwise(widths)):
                found = {
                    part: arrays.get(f"heads.{i}.{j}.{part}")
                    for part in ("weight", "bias", "scale", "shift")
                }
                shapes = {"weight": (n_in, n_out), "bias": (n_out,), "scale": (n_in,)}
                for part, array in found.items():
                    expected = shapes.get(part, (n_in,))
                    if array is not None and (array.shape != expected or array.dtype != np.float32):
                        raise ValueError(f"heads.{i}.{j}.{part} is not float32 {expected}")
                if found["weight"] is None or found["bias"] is None:
                    raise KeyError(f"heads.{i}.{j}.weight")
                layers.append(
                    Layer(
                        found["weight"],
                        found["bias"],
                        norm="affine" if not j or norm == "batch" else norm,
                        scale=found["scale"],
                        shift=found["shift"],
                        activation=activation if j else "none",
                    )
                )
            heads.append(layers)
        for name, array in arrays.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ValueError(f"{name} holds NaN or infinity")
        return Bag(table, heads, scales)


def _arrays(layer: Layer) -> list[Floats]:
    return [
        array for array in (layer.weight, layer.bias, layer.scale, layer.shift) if array is not None
    ]
