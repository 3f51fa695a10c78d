"""Splits: every row once, seeded, classes in proportion, groups whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textkit.data.splits import (
    Split,
    fold_grouped,
    fold_stratified,
    split_grouped,
    split_stratified,
)
from textkit.errors import DataError, UsageError

CODES = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(np.array)


def assert_all_rows_once(n_rows: int, split: Split) -> None:
    train, held = split
    assert sorted([*train.tolist(), *held.tolist()]) == list(range(n_rows))
    assert (np.diff(train) > 0).all() and (np.diff(held) > 0).all()


@given(CODES, st.floats(0.01, 0.99), st.integers(0, 3))
def test_stratified_split_holds_out_its_share_of_each_class(
    codes: np.ndarray, share: float, seed: int
) -> None:
    train, held = split = split_stratified(codes, share=share, seed=seed)
    assert_all_rows_once(len(codes), split)
    for code in np.unique(codes):
        n = int((codes == code).sum())
        n_held = int((codes[held] == code).sum())
        assert n_held == min(max(1, round(share * n)), n - 1)
    again = split_stratified(codes, share=share, seed=seed)
    assert train.tolist() == again[0].tolist()


@given(CODES, st.integers(2, 6), st.integers(0, 3))
def test_stratified_folds_differ_by_a_row_at_most(
    codes: np.ndarray, n_folds: int, seed: int
) -> None:
    if len(codes) < n_folds:
        with pytest.raises(DataError, match="cannot be cut"):
            fold_stratified(codes, n_folds=n_folds, seed=seed)
        return
    folds = fold_stratified(codes, n_folds=n_folds, seed=seed)
    for split in folds:
        assert_all_rows_once(len(codes), split)
    held = [held for _, held in folds]
    assert sorted(np.concatenate(held).tolist()) == list(range(len(codes)))
    for rows in (np.ones(len(codes), bool), *(codes == code for code in np.unique(codes))):
        counts = [int(rows[fold].sum()) for fold in held]
        assert max(counts) - min(counts) <= 1


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=1, max_size=80),
    st.integers(2, 4),
)
def test_no_group_is_on_both_sides(rows: list[tuple[int, int]], n_folds: int) -> None:
    groups, codes = np.array(rows).T
    if len(np.unique(groups)) < n_folds:
        with pytest.raises(DataError, match="cannot be cut"):
            fold_grouped(groups, codes=codes, n_folds=n_folds, seed=0)
        return
    splits = fold_grouped(groups, codes=codes, n_folds=n_folds, seed=0)
    assert sorted(np.concatenate([held for _, held in splits]).tolist()) == list(range(len(rows)))
    for train, held in [*splits, split_grouped(groups, codes=codes, share=0.3, seed=0)]:
        assert_all_rows_once(len(rows), (train, held))
        assert not set(groups[train].tolist()) & set(groups[held].tolist())
        assert len(held) and len(train)


def grouped_data(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Groups of 1 to 20 rows whose classes lean one way, as documents of one author do."""
    generator = np.random.default_rng(seed)
    sizes = generator.integers(1, 21, size=150)
    groups = np.repeat(np.arange(150), sizes)
    leaning = generator.dirichlet([0.7, 0.3, 0.1], size=150)
    codes = np.array([generator.choice(3, p=leaning[group]) for group in groups])
    return groups, codes


def worst_share(codes: np.ndarray, held_rows: list[np.ndarray], share: float) -> float:
    """Give the largest distance of a class's share in a held-out part from the share wanted."""
    counts = np.bincount(codes)
    found = [np.bincount(codes[held], minlength=len(counts)) / counts for held in held_rows]
    return float(np.abs(np.array(found) - share).max())


@pytest.mark.parametrize("seed", range(5))
def test_grouped_folds_are_as_even_as_scikit_learns(seed: int) -> None:
    from sklearn.model_selection import StratifiedGroupKFold

    groups, codes = grouped_data(seed)
    ours = [held for _, held in fold_grouped(groups, codes=codes, n_folds=5, seed=seed)]
    peer = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(codes, codes, groups)
    theirs = [held for _, held in peer]
    assert worst_share(codes, ours, 0.2) <= max(worst_share(codes, theirs, 0.2), 0.01)


def test_grouped_split_holds_out_near_its_share_of_each_class() -> None:
    groups, codes = grouped_data(0)
    _, held = split_grouped(groups, codes=codes, share=0.15, seed=1)
    assert worst_share(codes, [held], 0.15) < 0.03
    _, alone = split_grouped(groups, share=0.15, seed=1)
    assert abs(len(alone) / len(groups) - 0.15) < 0.01


def test_another_seed_gives_another_split() -> None:
    groups, codes = grouped_data(0)
    for split in (
        lambda seed: split_stratified(codes, share=0.2, seed=seed),
        lambda seed: split_grouped(groups, codes=codes, share=0.2, seed=seed),
        lambda seed: fold_stratified(codes, n_folds=3, seed=seed)[0],
        lambda seed: fold_grouped(groups, codes=codes, n_folds=3, seed=seed)[0],
    ):
        assert split(1)[1].tolist() == split(1)[1].tolist()
        assert split(1)[1].tolist() != split(2)[1].tolist()


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_share_outside_0_and_1_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="expected more than 0"):
        split_stratified(np.array([0, 1]), share=share, seed=0)


def test_one_huge_group_leaves_no_part_empty() -> None:
    groups = np.array([0] * 1000 + [1] * 3 + [2])
    for train, held in fold_grouped(groups, n_folds=3, seed=0):
        assert len(held) and len(train)
