"""Batches: every row once, a pure function of (seed, epoch), little padding."""

from __future__ import annotations

import numpy as np
import pytest

from textkit.data.batching import padding_share, plan_batches, plan_sorted, plan_token_budget

LENGTHS = np.random.default_rng(0).integers(0, 200, size=5000)


def rows_of(batches: list[np.ndarray]) -> list[int]:
    return sorted(row for batch in batches for row in batch.tolist())


def test_every_row_is_in_exactly_one_batch() -> None:
    for batches in (
        plan_batches(LENGTHS, batch_size=32, seed=0, epoch=1),
        plan_sorted(LENGTHS, batch_tokens=4000),
        plan_token_budget(LENGTHS, batch_tokens=4000, seed=0, epoch=1),
    ):
        assert rows_of(batches) == list(range(len(LENGTHS)))
    assert max(map(len, plan_batches(LENGTHS, batch_size=32, seed=0, epoch=1))) == 32


@pytest.mark.parametrize("budget", [1, 150, 4000])
def test_a_budget_is_kept_but_by_a_row_alone(budget: int) -> None:
    for batches in (
        plan_sorted(LENGTHS, batch_tokens=budget),
        plan_token_budget(LENGTHS, batch_tokens=budget, seed=0, epoch=1),
    ):
        assert all(len(rows) == 1 or len(rows) * LENGTHS[rows].max() <= budget for rows in batches)
        assert rows_of(batches) == list(range(len(LENGTHS)))


def test_the_plan_is_a_function_of_seed_and_epoch() -> None:
    def plan(seed: int, epoch: int) -> list[list[int]]:
        return [
            batch.tolist() for batch in plan_batches(LENGTHS, batch_size=32, seed=seed, epoch=epoch)
        ]

    assert plan(1, 2) == plan(1, 2)
    assert plan(1, 2) != plan(1, 3)
    assert plan(1, 2) != plan(2, 2)


def test_like_lengths_meet() -> None:
    order = np.random.default_rng(1).permutation(len(LENGTHS))
    random = [order[i : i + 32] for i in range(0, len(order), 32)]
    bucketed = plan_batches(LENGTHS, batch_size=32, seed=0, epoch=1)
    assert padding_share(LENGTHS, bucketed) < padding_share(LENGTHS, random) / 5


@pytest.mark.parametrize("lengths", [[], [0], [0, 0, 0], [7]])
def test_few_and_empty_rows(lengths: list[int]) -> None:
    found = plan_batches(np.array(lengths, dtype=np.int64), batch_size=2, seed=0, epoch=1)
    assert rows_of(found) == list(range(len(lengths)))
    assert padding_share(np.array(lengths, dtype=np.int64), found) == 0.0
