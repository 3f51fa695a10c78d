"""Classes of unequal size: weights for the loss, and an order of rows in which every class comes
equally often.

In: class codes (n_rows,). Out: weights (n_classes,), or row numbers drawn with replacement, a pure
function of (seed, epoch). numpy only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from textkit.errors import DataError, UsageError

Codes = NDArray[np.integer]

# Keeps the draw apart from the plan of the batches, which has the same seed and epoch.
_STREAM = 0xBA1A


def class_weights(codes: Codes, *, n_classes: int, power: float = 1.0) -> NDArray[np.float64]:
    """Weigh each class by n_rows / (n_classes * its rows), scikit-learn's "balanced": (n_classes,)
    float64.

    power: 1 gives every class the same total weight, 0 every row; between is milder (0.5: the
    square root), scaled so that the mean weight of a row stays 1. A class without rows weighs 0: it
    cannot be learnt, and no loss meets it.

    >>> class_weights(np.array([0, 0, 0, 1]), n_classes=2).round(3).tolist()
    [0.667, 2.0]
    """
    counts = _count(codes, n_classes)
    if not 0 <= power <= 1:
        raise UsageError(f"power is {power}, expected 0 to 1")
    present = counts > 0
    weights = np.zeros(n_classes)
    weights[present] = counts[present] ** -power
    return np.asarray(weights * (len(codes) / (weights @ counts)))


def balanced_rows(
    codes: Codes,
    *,
    n_classes: int,
    seed: int,
    epoch: int,
    n_rows: int | None = None,
    power: float = 1.0,
) -> NDArray[np.int64]:
    """Draw rows so that classes come equally often: (n_rows,) int64, by default as many as there
    are, shuffled.

    Of each class the share that `power` asks for (1: the same for all; 0: as in the data), to
    within one row. A class gives all its rows equally often, and once more a random part of them:
    small classes repeat, of large ones some rows wait for another epoch. For batches of like
    length: `rows = balanced_rows(...)`, then for each of `plan_batches(lengths[rows], ...)` take
    `rows[batch]`.

    >>> rows = balanced_rows(np.array([0, 0, 0, 0, 0, 1]), n_classes=2, seed=0, epoch=1)
    >>> np.array([0, 0, 0, 0, 0, 1])[rows].sum().item()
    3
    """
    counts = _count(codes, n_classes)
    if not 0 <= power <= 1:
        raise UsageError(f"power is {power}, expected 0 to 1")
    n_rows = len(codes) if n_rows is None else n_rows
    generator = np.random.default_rng([seed, epoch, _STREAM])
    wanted = np.zeros(n_classes)
    wanted[counts > 0] = counts[counts > 0] ** (1 - power)
    # Round the shares' running sum, shifted at random: each class gets its share rounded up or
    # down, together n_rows.
    edges = np.concatenate([[0.0], np.cumsum(wanted / wanted.sum())]) * n_rows
    quotas = np.diff(np.floor(edges + generator.random()).astype(np.int64))
    quotas[-1 if counts[-1] else int(np.flatnonzero(counts)[-1])] += n_rows - int(quotas.sum())
    by_class = np.argsort(codes, kind="stable")
    ends = np.cumsum(counts)
    drawn = [np.zeros(0, np.int64)]
    for code in np.flatnonzero(quotas).tolist():
        rows = by_class[ends[code] - counts[code] : ends[code]]
        whole, rest = divmod(int(quotas[code]), len(rows))
        drawn += [np.tile(rows, whole), generator.choice(rows, size=rest, replace=False)]
    return generator.permutation(np.concatenate(drawn))


def _count(codes: Codes, n_classes: int) -> NDArray[np.int64]:
    if not len(codes):
        raise DataError("no rows, so no classes to balance")
    if codes.min() < 0 or codes.max() >= n_classes:
        raise UsageError(
            f"codes run from {codes.min()} to {codes.max()}, expected 0 to {n_classes - 1}"
        )
    return np.bincount(codes, minlength=n_classes)
