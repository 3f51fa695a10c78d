"""Linear machines: rows of features -> outputs, each a weighted sum.

In: features, sparse ones of n-grams or dense ones of text vectors. Out: logits, or the numbers of a
regression; numpy alone. textkit/classify/learner.py learns them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from textkit.data.targets import Task
from textkit.errors import ArtifactError, UsageError
from textkit.features.grams import split_blocks
from textkit.features.tfidf import SparseRows

LOSSES = ("squared_hinge", "logistic")
# Products of weights that are made at a time.
_BLOCK_PRODUCTS = 1 << 20


class FeatureRows(Protocol):
    """Rows of numbers, a row a text."""

    def __len__(self) -> int: ...

    @property
    def n_values(self) -> int:
        """How many numbers the rows hold: what a pass over them costs."""

    @property
    def n_features(self) -> int:
        """Width of a row."""

    @property
    def is_dense(self) -> bool:
        """Tell whether every feature of a row has a value."""

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Give some rows, in this order."""

    def to_matrix(self) -> Any:
        """Give the rows as scikit-learn takes them."""

    def multiply(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Multiply with weights (n_features, n): (n_rows, n) float32."""


@dataclass(frozen=True)
class SparseFeatures:
    """Rows of n_features that are mostly 0."""

    rows: SparseRows
    n_features: int
    is_dense = False

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def n_values(self) -> int:
        """How many values are not 0."""
        return len(self.rows.columns)

    def take(self, rows: NDArray[np.int64]) -> SparseFeatures:
        """Give some rows, in this order."""
        return SparseFeatures(self.rows.take(rows), self.n_features)

    def to_matrix(self) -> Any:
        """Give a csr_matrix of scipy's."""
        from scipy.sparse import csr_matrix

        rows, shape = self.rows, (len(self), self.n_features)
        return csr_matrix((rows.values, rows.columns, rows.offsets), shape=shape)

    def multiply(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Multiply with weights (n_features, n), each row to the same bits in any company."""
        return multiply(self.rows, weights)


@dataclass(frozen=True)
class DenseFeatures:
    """Rows of vectors: (n_rows, n_features) float32."""

    vectors: NDArray[np.float32]
    is_dense = True

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def n_values(self) -> int:
        """How many numbers there are."""
        return self.vectors.size

    @property
    def n_features(self) -> int:
        """Width of a vector."""
        return int(self.vectors.shape[1])

    def take(self, rows: NDArray[np.int64]) -> DenseFeatures:
        """Give some rows, in this order."""
        return DenseFeatures(self.vectors[rows])

    def to_matrix(self) -> Any:
        """Give the array itself."""
        return self.vectors

    def multiply(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Multiply with weights (n_features, n)."""
        return np.asarray(self.vectors @ weights, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Machines:
    """What was learnt.

    weights: (n_features, n_machines) float32; bias: (n_machines,) float32. A machine gives the
    logit of each output; of two classes with one label a text, one machine tells the second from
    the first.
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    n_outputs: int

    @property
    def n_weights(self) -> int:
        """Number of weights that were learnt."""
        return self.weights.size + self.bias.size

    def score(self, rows: FeatureRows) -> NDArray[np.float32]:
        """Compute (n_rows, n_outputs) float32 logits; of a regression the predicted numbers."""
        scores = rows.multiply(self.weights) + self.bias
        if self.n_outputs == 2 and scores.shape[1] == 1:
            return np.concatenate([-scores / 2, scores / 2], axis=1)
        return scores

    def check(self, n_features: int, task: Task, *, where: str) -> None:
        """Refuse numbers, read from a file, that do not belong to these features and this task."""
        is_one = self.n_outputs == 2 and task == "single-label"
        n_machines = 1 if is_one else self.n_outputs
        expected = (n_features, n_machines)
        if self.weights.shape != expected or self.bias.shape != (n_machines,):
            raise ArtifactError(
                f"weights are {self.weights.shape} and bias {self.bias.shape}, expected {expected}"
                f" and {(n_machines,)}",
                where=where,
            )
        for name, value in (("weights", self.weights), ("bias", self.bias)):
            if value.dtype != np.float32 or not np.isfinite(value).all():
                raise ArtifactError(
                    f"weight {name} holds other values than finite float32; train the model anew",
                    where=where,
                )


def multiply(rows: SparseRows, weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Multiply sparse rows with weights (n_features, n): (n_rows, n) float32.

    Each row is added up for itself, in one thread and a fixed order, so that it gives the same bits
    whatever stands beside it. `take` needs an eighth of the time of an index in brackets.
    """
    made = np.zeros((len(rows), weights.shape[1]), dtype=np.float32)
    values = rows.values.astype(np.float32)
    n_items = max(1, _BLOCK_PRODUCTS // max(1, weights.shape[1]))
    for first, end in split_blocks(rows.offsets, n_items=n_items):
        here = slice(rows.offsets[first], rows.offsets[end])
        products = weights.take(rows.columns[here], axis=0)
        products *= values[here, None]
        filled = np.flatnonzero(np.diff(rows.offsets[first : end + 1]))
        starts = rows.offsets[first:end][filled] - rows.offsets[first]
        if len(filled):
            made[first + filled] = np.add.reduceat(products, starts, axis=0)
    return made


def check_machines(loss: str, cost: float | str) -> None:
    """Refuse a loss that is not known, and a cost that is neither "auto" nor a number above 0."""
    if loss not in LOSSES:
        raise UsageError(f"loss = {loss!r}; expected {' or '.join(LOSSES)}")
    is_number = isinstance(cost, int | float) and not isinstance(cost, bool)
    if cost != "auto" and not (is_number and 0 < float(cost) < np.inf):
        raise UsageError(f"cost = {cost!r}; expected 'auto' or a number above 0")
