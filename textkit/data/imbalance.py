"""Classes of unequal size: weights for the loss, and an order of rows in which every class comes
equally often.

In: class codes (n_rows,), or weights as the caller gives them. Out: weights (n_classes,) or
(n_rows,), or row numbers drawn with replacement, a pure function of (seed, epoch). numpy only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from textkit.data.plain_labels import plain_numbers
from textkit.data.targets import Classes, Targets, Task
from textkit.errors import DataError, UsageError, unknown_name
from textkit.io.tables import take_values
from textkit.recipe.sections import TrainingSection

Codes = NDArray[np.integer]
WeightData = Iterable[float] | str  # weights of rows, or the name of their column

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


def named_weights(weights: Mapping[str, float], classes: Classes) -> NDArray[np.float64]:
    """Give the weight of each class from weights by name, 1 for those not named: (n_classes,).

    >>> named_weights({"spam": 2.0}, np.array(["ham", "spam"])).tolist()
    [1.0, 2.0]
    """
    place = {str(label): i for i, label in enumerate(classes.tolist())}
    found = np.ones(len(place))
    for name, weight in weights.items():
        if name not in place:
            raise UsageError(f"training.class_weights: {unknown_name('class', name, place)}")
        found[place[name]] = weight
    return found


def weigh_rows(targets: Targets, weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Give each row the weight of its class, or the mean of its classes' weights: (n_rows,).

    targets: (n_rows,) codes, or (n_rows, n_classes) of 0 and 1; a row without a class weighs 1.
    """
    if targets.ndim == 1:
        return np.asarray(weights[targets.astype(np.int64)], dtype=np.float32)
    n_labels = targets.sum(axis=1)
    mean = np.where(n_labels > 0, targets @ weights / np.maximum(n_labels, 1), 1.0)
    return np.asarray(mean, dtype=np.float32)


def read_weights(weights: object, *, n_rows: int, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Read weights of rows from a column of any library, and give those of `rows`: float32.

    Raises DataError for one that is missing, below 0 or not finite, and where no row has any.

    >>> read_weights([1, 0.5], n_rows=2, rows=np.array([1])).tolist()
    [0.5]
    """
    values = take_values(weights, what="weights")
    if len(values) != n_rows:
        raise DataError(f"{n_rows:,} texts but {len(values):,} weights")
    found = np.ones(n_rows, dtype=np.float32)
    for row, value in enumerate(values):
        try:
            (found[row],) = plain_numbers(value)
        except ValueError as err:
            raise DataError(f"the weight of row {row} {err}") from None
    if (found < 0).any():
        row = int(np.flatnonzero(found < 0)[0])
        raise DataError(f"the weight of row {row} is {found[row]:g}, expected 0 or more")
    chosen = found[rows]
    if len(chosen) and not chosen.any():
        raise DataError(f"all {len(chosen):,} weights are zero, so that no row counts")
    return chosen


def row_weights(
    task: Task,
    targets: Targets,
    section: TrainingSection,
    *,
    given: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Give the weight of every training row: (n_rows,) float32.

    It is `given`, else 1, times that of its class: under class_weights = "balanced" n_rows /
    (n_classes * rows of its class), as scikit-learn has it. A row with several labels weighs the
    mean of theirs. Weights by the classes' names are in `given` already.
    """
    weights = np.ones(len(targets), dtype=np.float32) if given is None else given
    if section.class_weights != "balanced" or task == "regression":
        return weights
    if task == "single-label":
        codes = targets.astype(np.int64)
        of_classes = class_weights(codes, n_classes=int(codes.max()) + 1)
    else:
        of_classes = len(targets) / (targets.shape[1] * np.maximum(targets.sum(axis=0), 1))
    return weights * weigh_rows(targets, of_classes)


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
