"""Padding share of batches on IMDb reviews cut at 512 tokens: random batches, transformers' length
groups, our plans.

Usage: python benchmarks/padding.py [--rows 49358]. The share of padded positions that hold no
token, mean of three epochs; lower is better. Lengths are those of the word tokenizer. Plans by size
have 32 rows a batch; the plan by budget has as many padded positions as 32 rows of the mean length,
and --budget positions.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textkit import tokenizers
from textkit.data.batching import padding_share, plan_batches, plan_token_budget

SHARED = Path(__file__).parents[2] / "shared" / "data"
BATCH_ROWS, MAX_LENGTH, EPOCHS = 32, 512, 3
Plan = Callable[[int], list[NDArray[np.int64]]]


def read_lengths(path: Path, n_rows: int) -> NDArray[np.int64]:
    """Count the tokens of each review, at most MAX_LENGTH."""
    word = tokenizers.create("word")
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        rows = itertools.islice(file, n_rows)
        parts = []
        while texts := list(itertools.islice(rows, 4096)):
            parts.append(word.encode(texts, max_length=MAX_LENGTH).lengths)
    return np.concatenate(parts)


def random_batches(lengths: NDArray[np.int64], epoch: int) -> list[NDArray[np.int64]]:
    order = np.random.default_rng(epoch).permutation(len(lengths))
    return [order[start : start + BATCH_ROWS] for start in range(0, len(order), BATCH_ROWS)]


def length_groups(lengths: NDArray[np.int64], epoch: int) -> list[NDArray[np.int64]]:
    """Plan as transformers' Trainer does with group_by_length."""
    import torch
    from transformers.trainer_pt_utils import get_length_grouped_indices

    generator = torch.Generator().manual_seed(epoch)
    order = np.array(get_length_grouped_indices(lengths.tolist(), BATCH_ROWS, generator=generator))
    return [order[start : start + BATCH_ROWS] for start in range(0, len(order), BATCH_ROWS)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=49_358)
    parser.add_argument("--budget", type=int, default=16_384)
    options = parser.parse_args()
    path = SHARED / "corpora/imdb_unsup.txt.gz"
    if not path.exists():
        print("no ../shared/data beside the project: nothing to measure on")
        return
    lengths = read_lengths(path, options.rows)
    print(
        f"{len(lengths):,} reviews, {lengths.mean():.0f} tokens a row,"
        f" {(lengths == MAX_LENGTH).mean():.1%} cut"
    )
    plans: dict[str, Plan] = {
        "random batches of 32": lambda epoch: random_batches(lengths, epoch),
        "transformers group_by_length": lambda epoch: length_groups(lengths, epoch),
        "textkit plan_batches, 32 rows": lambda epoch: plan_batches(
            lengths, batch_size=32, seed=0, epoch=epoch
        ),
    }
    budgets = (round(BATCH_ROWS * float(lengths.mean())), options.budget)
    for budget in budgets:
        plans[f"textkit plan_token_budget, {budget:,}"] = lambda epoch, budget=budget: (
            plan_token_budget(  # type: ignore[misc]
                lengths, batch_tokens=budget, seed=0, epoch=epoch
            )
        )
    for name, plan in plans.items():
        started = time.perf_counter()
        batches = [plan(epoch) for epoch in range(EPOCHS)]
        seconds = (time.perf_counter() - started) / EPOCHS
        shares = [padding_share(lengths, planned) for planned in batches]
        rows = sum(map(len, batches[0])) / len(batches[0])
        print(
            f"  {name:34} padding {np.mean(shares):6.2%}   {rows:5.1f} rows a batch  "
            f" {seconds:6.3f} s an epoch to plan"
        )


if __name__ == "__main__":
    main()
