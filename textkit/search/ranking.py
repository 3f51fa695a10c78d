"""Rank rows: the best by score, ties by row, and two rankings as one.

In: scores of all rows, or rankings. Out: rows, the best first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Int64 = NDArray[np.int64]

# Of reciprocal rank fusion (Cormack, Clarke and Buettcher 2009): a row scores 1 / (60 + rank) in
# each ranking that has it. Nothing is tuned.
FUSION_CONSTANT = 60
# Rows of each ranking that are looked at to make one of them.
FUSION_DEPTH = 100


@dataclass(frozen=True)
class Ranking:
    """Rows, the best first, and their scores: both (n,)."""

    rows: Int64
    scores: Floats

    def cut(self, k: int) -> Ranking:
        """Keep the first k."""
        return Ranking(self.rows[:k], self.scores[:k])

    def places(self) -> dict[int, tuple[int, float]]:
        """Give (rank from 1, score) by row."""
        pairs = zip(self.rows.tolist(), self.scores.tolist(), strict=True)
        return {row: (rank, score) for rank, (row, score) in enumerate(pairs, start=1)}


def rank_scores(scores: Floats, *, k: int, allowed: NDArray[np.bool_] | None) -> Ranking:
    """Give the k rows of the largest scores above 0.

    >>> rank_scores(np.array([0.5, 0, 2, 0.5], np.float32), k=2, allowed=None).rows.tolist()
    [2, 0]
    """
    if allowed is not None:
        scores = np.where(allowed, scores, 0)
    least = np.partition(scores, len(scores) - k)[len(scores) - k] if len(scores) > k else 0
    # The k-th best, and all that tie with it; sorting then puts the first of those first.
    rows = np.flatnonzero(scores >= least if least > 0 else scores > 0)
    held = scores[rows]
    order = np.argsort(-held, kind="stable")[:k]
    return Ranking(rows[order], held[order])


def fuse(rankings: Sequence[Mapping[int, tuple[int, float]]], *, k: int) -> Ranking:
    """Join rankings by the reciprocals of their ranks; ties by row.

    >>> fuse([{7: (1, 0.9), 3: (2, 0.8)}, {3: (1, 5.0)}], k=2).rows.tolist()
    [3, 7]
    """
    scores: dict[int, float] = {}
    for ranking in rankings:
        for row, (rank, _) in ranking.items():
            scores[row] = scores.get(row, 0.0) + 1 / (FUSION_CONSTANT + rank)
    best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:k]
    rows = np.array([row for row, _ in best], np.int64)
    return Ranking(rows, np.array([score for _, score in best], np.float32))
