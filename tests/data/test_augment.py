"""Augmentation: a pure function of (seed, epoch, row), at the rate asked for, that never empties
a row.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textkit.batch import TokenBatch
from textkit.data.augment import augment_texts, augment_tokens
from textkit.errors import UsageError

ROWS = st.lists(st.lists(st.integers(1, 99), max_size=9), max_size=8)
RATES = st.sampled_from([0.0, 0.1, 0.5, 0.9, 0.999])
TEXTS = st.lists(st.text(st.sampled_from("ab \té漢🙂\ud800"), max_size=12), max_size=8)


@given(ROWS, RATES, RATES, st.integers(0, 9), st.booleans())
def test_a_row_gives_the_same_however_rows_are_batched(
    rows: list[list[int]], dropout: float, swap: float, seed: int, unknown: bool
) -> None:
    batch = TokenBatch.from_rows(rows, [[(i, i + 1) for i in range(len(row))] for row in rows])
    numbers = np.arange(len(rows)) + 100
    options = {
        "seed": seed,
        "epoch": 2,
        "dropout": dropout,
        "swap": swap,
        "unknown_id": 0 if unknown else None,
    }
    whole = augment_tokens(batch, numbers, **options)  # type: ignore[arg-type]
    order = np.arange(len(rows))[::-1]
    shuffled = augment_tokens(batch.take(order), numbers[order], **options)
    for row, source in enumerate(order):
        assert shuffled[row].tolist() == whole[source].tolist()
        assert shuffled.row_spans(row).tolist() == whole.row_spans(source).tolist()
    for row, ids in enumerate(rows):
        changed = whole[row].tolist()
        assert bool(changed) == bool(ids)
        assert Counter(i for i in changed if i) <= Counter(ids)
        assert not ids or any(changed)  # at least one real token
        assert [ids[start] for start, _ in whole.row_spans(row)] == changed or unknown
        if unknown or not dropout:
            assert len(changed) == len(ids)


def test_rates_are_those_asked_for_and_epochs_differ() -> None:
    batch = TokenBatch.from_rows([list(range(1, 101))] * 200)
    numbers = np.arange(200)
    dropped = augment_tokens(batch, numbers, seed=1, epoch=1, dropout=0.2)
    assert abs(1 - len(dropped.ids) / 20_000 - 0.2) < 0.01
    replaced = augment_tokens(batch, numbers, seed=1, epoch=1, dropout=0.2, unknown_id=0)
    assert (replaced.ids == 0).sum() == 20_000 - len(dropped.ids)
    swapped = augment_tokens(batch, numbers, seed=1, epoch=1, swap=0.1)
    moved = np.abs(swapped.ids - batch.ids)
    assert moved.max() == 1
    assert abs(moved.mean() / 2 - 0.1 / 1.1) < 0.01  # a run of wanted swaps gives every other one
    others = [(1, 2), (2, 1)]
    for seed, epoch in others:
        assert (
            augment_tokens(batch, numbers, seed=seed, epoch=epoch, dropout=0.2).ids.tolist()
            != dropped.ids.tolist()
        )
    assert len({tuple(row.tolist()) for row in dropped}) == 200


def test_nothing_asked_for_changes_nothing_and_the_batch_stays_as_it_was() -> None:
    batch = TokenBatch.from_rows([[1, 2, 3], [], [4]])
    before = batch.ids.tolist()
    assert augment_tokens(batch, [0, 1, 2], seed=0, epoch=0).ids.tolist() == before
    augment_tokens(batch, [0, 1, 2], seed=0, epoch=0, dropout=0.9, swap=0.9, unknown_id=0)
    assert batch.ids.tolist() == before
    assert (
        len(augment_tokens(TokenBatch.from_rows([]), [], seed=0, epoch=0, dropout=0.5, swap=0.5))
        == 0
    )


@given(TEXTS, RATES, st.integers(0, 9))
def test_noise_is_a_function_of_the_row_and_empties_no_text(
    texts: list[str], noise: float, seed: int
) -> None:
    numbers = np.arange(len(texts)) + 7
    whole = augment_texts(texts, numbers, seed=seed, epoch=3, noise=noise)
    alone = [
        augment_texts([t], [n], seed=seed, epoch=3, noise=noise)[0]
        for t, n in zip(texts, numbers, strict=True)
    ]
    assert whole == alone
    for text, changed in zip(texts, whole, strict=True):
        assert bool(text.strip()) == bool(changed.strip())
        assert set(changed) <= set(text)
        assert [c for c in changed if c.isspace()] == [c for c in text if c.isspace()]
        if noise == 0:
            assert text == changed


def test_noise_does_all_four_things_at_its_rate() -> None:
    text = "abcdefghijklmnopqrstuvwxyz"
    n = 4000
    changed = augment_texts([text] * n, range(n), seed=0, epoch=0, noise=0.02)
    kinds: Counter[str] = Counter()
    for other in changed:
        if other == text:
            kinds["same"] += 1
        elif sorted(other) == sorted(text):
            kinds["swapped"] += 1
        else:
            kinds[{-1: "deleted", 1: "inserted"}.get(len(other) - len(text), "replaced")] += 1
    assert abs(kinds["same"] / n - 0.98**26) < 0.04
    assert all(kinds[kind] > 0.07 * n for kind in ("swapped", "deleted", "inserted", "replaced"))


@pytest.mark.parametrize(
    ("options", "message"), [({"dropout": 1.0}, "dropout is 1.0"), ({"swap": -0.1}, "swap is -0.1")]
)
def test_rates_that_make_no_sense_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        augment_tokens(TokenBatch.from_rows([[1]]), [0], seed=0, epoch=0, **options)
    with pytest.raises(UsageError, match="one number a row"):
        augment_tokens(TokenBatch.from_rows([[1]]), [0, 1], seed=0, epoch=0)
    with pytest.raises(UsageError, match="wrap it in a list"):
        augment_texts("text", [0], seed=0, epoch=0, noise=0.1)
