"""Which rows go into which batch: rows of like length together, in an order that depends on (seed, epoch) alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Rows are shuffled, cut into windows of this many batches and sorted by length inside each, so that rows of like length
# meet and batches still differ from epoch to epoch.
WINDOW_BATCHES = 50


def plan_batches(
    lengths: NDArray[np.integer[Any]], *, batch_size: int, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Deal rows into shuffled batches of like length; every row is in exactly one batch.

    lengths: (n_rows,) tokens a row. Returns the row indices of each batch.

    >>> batches = plan_batches(np.array([3, 1, 2, 9]), batch_size=2, seed=0, epoch=0)
    >>> sorted(row for batch in batches for row in batch.tolist())
    [0, 1, 2, 3]
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths))
    window = batch_size * WINDOW_BATCHES
    batches = []
    for start in range(0, len(order), window):
        rows = order[start : start + window]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches += [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    return [batches[i] for i in generator.permutation(len(batches))]


def plan_sorted(lengths: NDArray[np.integer[Any]], *, batch_size: int) -> list[NDArray[np.int64]]:
    """Deal rows into batches in order of length, for prediction; the least padding there is.

    >>> [batch.tolist() for batch in plan_sorted(np.array([3, 1, 2]), batch_size=2)]
    [[1, 2], [0]]
    """
    order = np.argsort(lengths, kind="stable")
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def padding_share(lengths: NDArray[np.integer[Any]], batches: list[NDArray[np.int64]]) -> float:
    """Tell which share of the padded positions holds no token.

    >>> padding_share(np.array([1, 2]), [np.array([0, 1])])
    0.25
    """
    positions = sum(int(lengths[rows].max(initial=0)) * len(rows) for rows in batches)
    return 1 - int(lengths.sum()) / positions if positions else 0.0
