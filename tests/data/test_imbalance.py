"""Class weights against scikit-learn's.

Balanced draws: shares, repeats, and a pure function of (seed, epoch).
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textkit.data.batching import plan_batches
from textkit.data.imbalance import balanced_rows, class_weights
from textkit.errors import DataError, UsageError

CODES = st.lists(st.integers(0, 5), min_size=1, max_size=80).map(np.array)


@given(CODES)
def test_weights_are_scikit_learns(codes: np.ndarray) -> None:
    from sklearn.utils.class_weight import compute_class_weight

    present, compact = np.unique(codes, return_inverse=True)
    expected = compute_class_weight("balanced", classes=np.arange(len(present)), y=compact)
    np.testing.assert_allclose(class_weights(compact, n_classes=len(present)), expected)


@given(CODES, st.floats(0, 1))
def test_the_mean_weight_of_a_row_is_one_and_rarer_classes_weigh_more(
    codes: np.ndarray, power: float
) -> None:
    weights = class_weights(codes, n_classes=6, power=power)
    assert weights[codes].mean() == pytest.approx(1)
    counts = np.bincount(codes, minlength=6)
    assert (weights[counts == 0] == 0).all()
    order = np.argsort(-counts[counts > 0], kind="stable")
    assert (np.diff(weights[counts > 0][order]) >= -1e-9).all()


@given(CODES, st.integers(0, 5), st.integers(0, 5), st.integers(0, 120))
def test_balanced_rows_take_every_class_equally_often(
    codes: np.ndarray, seed: int, epoch: int, n_rows: int
) -> None:
    rows = balanced_rows(codes, n_classes=6, seed=seed, epoch=epoch, n_rows=n_rows)
    assert len(rows) == n_rows
    drawn = np.bincount(codes[rows], minlength=6)[np.unique(codes)]
    assert drawn.max() - drawn.min() <= 2
    assert np.abs(drawn - n_rows / len(drawn)).max() <= 1 + 1e-9
    for code in np.unique(codes):
        times = np.bincount(rows, minlength=len(codes))[codes == code]
        assert times.max() - times.min() <= 1
    again = balanced_rows(codes, n_classes=6, seed=seed, epoch=epoch, n_rows=n_rows)
    assert rows.tolist() == again.tolist()


def test_power_0_is_the_data_itself_and_between_is_between() -> None:
    codes = np.repeat([0, 1, 2], [900, 90, 10])
    rows = balanced_rows(codes, n_classes=3, seed=0, epoch=0, power=0)
    assert sorted(rows.tolist()) == list(range(1000))
    milder = np.bincount(codes[balanced_rows(codes, n_classes=3, seed=0, epoch=0, power=0.5)])
    assert 10 < milder[2] < 333 and 333 < milder[0] < 900


def test_another_epoch_and_seed_draw_other_rows_and_all_come_in_time() -> None:
    codes = np.repeat([0, 1], [400, 20])
    epochs = [
        balanced_rows(codes, n_classes=2, seed=0, epoch=epoch).tolist() for epoch in range(12)
    ]
    assert len({tuple(rows) for rows in epochs}) == 12
    assert len({row for rows in epochs for row in rows}) == 420
    assert balanced_rows(codes, n_classes=2, seed=1, epoch=0).tolist() != epochs[0]


def test_batches_of_drawn_rows_have_the_balance() -> None:
    codes = np.repeat([0, 1], [90, 10])
    lengths = np.arange(100) % 17
    rows = balanced_rows(codes, n_classes=2, seed=3, epoch=1)
    batches = [rows[batch] for batch in plan_batches(lengths[rows], batch_size=8, seed=3, epoch=1)]
    assert sorted(np.concatenate(batches).tolist()) == sorted(rows.tolist())
    assert np.bincount(codes[np.concatenate(batches)]).tolist() == [50, 50]


def test_wrong_codes_and_options_are_refused() -> None:
    with pytest.raises(DataError, match="no rows"):
        class_weights(np.zeros(0, int), n_classes=2)
    with pytest.raises(UsageError, match="expected 0 to 1"):
        class_weights(np.array([0, 2]), n_classes=2)
    with pytest.raises(UsageError, match="power is 2"):
        balanced_rows(np.array([0, 1]), n_classes=2, seed=0, epoch=0, power=2)
