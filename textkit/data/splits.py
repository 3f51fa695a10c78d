"""Which rows are held out: stratified by class, by group, or in folds.

Pure functions of labels, groups and a seed.

In: class codes (n_rows,) and group codes (n_rows,), integers. Out: pairs of row arrays (train rows,
held-out rows), both sorted, which together are all rows once. The pairs of the folds are what
scikit-learn takes as `cv`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from textkit.errors import DataError, UsageError

Codes = NDArray[np.integer]
RowNumbers = NDArray[np.int64]
Split = tuple[RowNumbers, RowNumbers]

# Keeps the splits' random numbers apart from those of the batches and the weights, which use the
# same seed.
_STREAM = 0xDA7A


def split_stratified(codes: Codes, *, share: float, seed: int) -> Split:
    """Hold out a share of each class, at least one row where it has two: (train rows, held-out
    rows), both sorted.

    >>> train, held = split_stratified(np.array([0] * 8 + [1] * 2), share=0.25, seed=0)
    >>> len(train), len(held)
    (7, 3)
    """
    _check_share(share)
    generator = np.random.default_rng([seed, _STREAM])
    held: list[RowNumbers] = [np.zeros(0, np.int64)]
    for code in np.unique(codes):
        rows = generator.permutation(np.flatnonzero(codes == code))
        held.append(rows[: min(max(1, round(share * len(rows))), len(rows) - 1)])
    return _pair(len(codes), np.concatenate(held))


def split_grouped(groups: Codes, *, codes: Codes | None = None, share: float, seed: int) -> Split:
    """Hold out about a share of the rows, and of each class in `codes`, with no group on both
    sides.

    Raises DataError when there are fewer than two groups.

    >>> train, held = split_grouped(np.array([5, 5, 7, 7, 7, 9, 9, 9]), share=0.25, seed=0)
    >>> sorted({5, 7, 9}.intersection(np.array([5, 5, 7, 7, 7, 9, 9, 9])[held].tolist()))
    [5]
    """
    _check_share(share)
    parts = _deal_groups(groups, codes, np.array([1 - share, share]), seed=seed)
    return _pair(len(groups), np.flatnonzero(parts == 1))


def fold_stratified(codes: Codes, *, n_folds: int, seed: int) -> list[Split]:
    """Cut the rows into folds.

    The folds' sizes differ by at most one row, and so does each class over the folds.

    Raises DataError when there are fewer rows than folds.

    >>> [held.tolist() for _, held in fold_stratified(np.array([0, 0, 1, 1]), n_folds=2, seed=1)]
    [[0, 3], [1, 2]]
    """
    _check_folds(n_folds, len(codes), "rows")
    generator = np.random.default_rng([seed, _STREAM])
    shuffled = generator.permutation(len(codes))
    # Rows in order of class, dealt one by one: a class goes on where the one before ended.
    dealt = shuffled[np.argsort(codes[shuffled], kind="stable")]
    return [_pair(len(codes), dealt[fold::n_folds]) for fold in range(n_folds)]


def fold_grouped(
    groups: Codes, *, codes: Codes | None = None, n_folds: int, seed: int
) -> list[Split]:
    """Cut the rows into folds of about the same size and share of each class in `codes`, no group
    in two of them.

    Raises DataError when there are fewer groups than folds.

    >>> [held.tolist() for _, held in fold_grouped(np.array([7, 7, 8, 8, 9]), n_folds=3, seed=0)]
    [[0, 1], [2, 3], [4]]
    """
    _check_folds(n_folds, len(np.unique(groups)), "groups")
    parts = _deal_groups(groups, codes, np.full(n_folds, 1 / n_folds), seed=seed)
    return [_pair(len(groups), np.flatnonzero(parts == fold)) for fold in range(n_folds)]


def _deal_groups(
    groups: Codes, codes: Codes | None, shares: NDArray[np.float64], *, seed: int
) -> RowNumbers:
    """Give each row the part of its group: largest groups first, each to the part that lacks most
    of its classes.

    Greedy, like scikit-learn's StratifiedGroupKFold, but it lowers the summed squared distance of
    every class's share in every part from the share wanted, over that share, which also allows
    parts of different sizes.
    """
    _, group_of = np.unique(groups, return_inverse=True)
    n_groups = int(group_of.max(initial=-1)) + 1
    if n_groups < len(shares):
        raise DataError(
            f"{n_groups} groups cannot be cut into {len(shares)} parts; name another group column"
        )
    _, class_of = np.unique(np.zeros(len(groups)) if codes is None else codes, return_inverse=True)
    n_classes = int(class_of.max(initial=0)) + 1
    members, member_counts = np.unique(group_of * n_classes + class_of, return_counts=True)
    starts = np.searchsorted(members, np.arange(n_groups + 1) * n_classes)
    classes = members % n_classes
    weights = member_counts / np.bincount(class_of, minlength=n_classes)[classes]

    order = np.random.default_rng([seed, _STREAM]).permutation(n_groups)
    # By summed squares of class shares: the worst share is off by .005, scikit-learn's by .014
    # (tests/data/test_splits.py).
    sizes = np.bincount(members // n_classes, weights=weights**2, minlength=n_groups)
    order = order[np.argsort(-sizes[order], kind="stable")]
    missing = np.repeat(
        shares[:, None], n_classes, axis=1
    )  # (n_parts, n_classes) of each class, still to come
    part_of = np.zeros(n_groups, np.int64)
    for group in order.tolist():
        here = slice(starts[group], starts[group + 1])
        part = int(
            np.argmax((2 * missing[:, classes[here]] - weights[here]) @ weights[here] / shares)
        )
        missing[part, classes[here]] -= weights[here]
        part_of[group] = part
    for part in range(
        len(shares)
    ):  # huge groups can leave a part without any: it gets the smallest of another
        counts = np.bincount(part_of, minlength=len(shares))
        if counts[part] == 0:
            spare = order[counts[part_of[order]] > 1]
            part_of[spare[-1]] = part
    return np.asarray(part_of[group_of], dtype=np.int64)


def _pair(n_rows: int, held: RowNumbers) -> Split:
    chosen = np.zeros(n_rows, dtype=bool)
    chosen[held] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def _check_share(share: float) -> None:
    if not 0 < share < 1:
        raise UsageError(f"share is {share}, expected more than 0 and less than 1")


def _check_folds(n_folds: int, n_found: int, what: str) -> None:
    if n_folds < 2:
        raise UsageError(f"{n_folds} folds; expected at least 2")
    if n_found < n_folds:
        raise DataError(f"{n_found:,} {what} cannot be cut into {n_folds} folds")
