"""Which rows go into which batch: rows of like length together, in an order that depends on
(seed, epoch) alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Rows are shuffled, cut into windows of this many batches and sorted by length inside each, so that
# rows of like length meet and batches still differ from epoch to epoch.
WINDOW_BATCHES = 50


def plan_batches(
    lengths: NDArray[np.integer],
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    window_batches: int = WINDOW_BATCHES,
) -> list[NDArray[np.int64]]:
    """Deal rows into shuffled batches of like length; every row is in exactly one batch.

    lengths: (n_rows,) tokens a row. window_batches: 1 gives batches of any lengths. Returns each
    batch's row indices.

    >>> batches = plan_batches(np.array([3, 1, 2, 9]), batch_size=2, seed=0, epoch=0)
    >>> sorted(row for batch in batches for row in batch.tolist())
    [0, 1, 2, 3]
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths))
    window = batch_size * window_batches
    batches = []
    for start in range(0, len(order), window):
        rows = order[start : start + window]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches += [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    return [batches[i] for i in generator.permutation(len(batches))]


def plan_token_budget(
    lengths: NDArray[np.integer], *, batch_tokens: int, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Deal rows into shuffled batches of at most `batch_tokens` padded positions.

    A longer row is a batch alone.

    lengths: (n_rows,) tokens a row; an empty row takes one position. Batches of short rows hold
    many of them.

    >>> plan = plan_token_budget(np.array([2, 2, 9, 2]), batch_tokens=6, seed=0, epoch=0)
    >>> sorted(sorted(batch.tolist()) for batch in plan)
    [[0, 1, 3], [2]]
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths))
    widths = np.maximum(np.asarray(lengths), 1)
    mean = max(float(widths.mean()), 1.0) if len(widths) else 1.0
    window = max(int(batch_tokens / mean), 1) * WINDOW_BATCHES
    batches = []
    for start in range(0, len(order), window):
        rows = order[start : start + window]
        rows = rows[np.argsort(widths[rows], kind="stable")]
        batches += _cut_by_budget(rows, widths[rows], batch_tokens)
    return [batches[i] for i in generator.permutation(len(batches))]


def _cut_by_budget(
    rows: NDArray[np.int64],
    widths: NDArray[np.integer],
    budget: int,
    n_padding: int | None = None,
) -> list[NDArray[np.int64]]:
    """Cut rows in order of width from the widest down, so that a batch's widest row tells how many
    fit; with n_padding, no batch but of one row holds more positions without a token.
    """
    batches, end = [], len(rows)
    while end:
        width = int(widths[end - 1])
        start = max(0, end - max(budget // width, 1))
        if n_padding is not None:
            # The padding of the last 1, 2, ... rows as one batch.
            padding = np.cumsum(width - widths[start:end][::-1])
            start = end - max(1, int(np.searchsorted(padding, n_padding, side="right")))
        batches.append(rows[start:end])
        end = start
    return batches


def plan_sorted(
    lengths: NDArray[np.integer], *, batch_tokens: int, batch_padding: int | None = None
) -> list[NDArray[np.int64]]:
    """Deal rows into batches of at most `batch_tokens` padded positions in order of length, the
    longest first: the least padding there is.

    For prediction, where the order does not matter. batch_padding: padded positions without a token
    that a batch may hold. One row is always allowed.

    >>> [batch.tolist() for batch in plan_sorted(np.array([3, 1, 2]), batch_tokens=4)]
    [[0], [1, 2]]
    >>> lengths = np.array([3, 3, 1, 1])
    >>> [batch.tolist() for batch in plan_sorted(lengths, batch_tokens=99, batch_padding=1)]
    [[0, 1], [2, 3]]
    """
    widths = np.maximum(np.asarray(lengths), 1)
    order = np.argsort(widths, kind="stable")
    return _cut_by_budget(order, widths[order], batch_tokens, batch_padding)


def padding_share(lengths: NDArray[np.integer], batches: list[NDArray[np.int64]]) -> float:
    """Tell which share of the padded positions holds no token.

    >>> padding_share(np.array([1, 2]), [np.array([0, 1])])
    0.25
    """
    positions = sum(int(lengths[rows].max(initial=0)) * len(rows) for rows in batches)
    return 1 - int(lengths.sum()) / positions if positions else 0.0
