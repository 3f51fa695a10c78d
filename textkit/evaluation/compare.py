"""Two models on the same rows: is the difference more than chance?

In: the truths and two predictions of each row, all at once or chunk by chunk. Out: a Comparison:
both accuracies, their difference with its 95 % interval, and the p-value of McNemar's test.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from textkit.errors import DataError
from textkit.evaluation.intervals import Interval

# Rows on which the two differ: up to here the binomial is summed exactly, beyond it the normal one
# is as good.
_EXACT_PAIRS = 1000


@dataclass(frozen=True)
class Comparison:
    """How many rows both models have right, only the first, only the second, and neither.

    >>> pair = Comparison(both=80, only_first=15, only_second=5, neither=0)
    >>> pair.accuracies, round(pair.difference, 3), round(pair.p_value, 4)
    ((0.95, 0.85), 0.1, 0.0414)
    """

    both: int = 0
    only_first: int = 0
    only_second: int = 0
    neither: int = 0

    def __add__(self, other: Comparison) -> Comparison:
        return Comparison(
            self.both + other.both,
            self.only_first + other.only_first,
            self.only_second + other.only_second,
            self.neither + other.neither,
        )

    @property
    def n_rows(self) -> int:
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def accuracies(self) -> tuple[float, float]:
        n = max(self.n_rows, 1)
        return (self.both + self.only_first) / n, (self.both + self.only_second) / n

    @property
    def difference(self) -> float:
        """The first model's accuracy less the second's."""
        return (self.only_first - self.only_second) / max(self.n_rows, 1)

    @property
    def p_value(self) -> float:
        return mcnemar(self.only_first, self.only_second)

    def interval(self, *, n_resamples: int = 1000, seed: int = 0) -> Interval:
        """Give the 95 % interval of the difference: rows resampled in pairs, which is a multinomial
        of the four counts.

        >>> interval = Comparison(80, 15, 5, 0).interval()
        >>> 0 < interval.low < 0.1 < interval.high < 0.2
        True
        """
        shares = np.array([self.both, self.only_first, self.only_second, self.neither]) / max(
            self.n_rows, 1
        )
        generator = np.random.default_rng([seed, 0xC033])
        drawn = generator.multinomial(self.n_rows, shares, size=n_resamples)
        return Interval.of(
            self.difference, (drawn[:, 1] - drawn[:, 2]) / max(self.n_rows, 1), least=-1.0
        )

    def to_dict(self) -> dict[str, object]:
        """Give everything as plain JSON values."""
        interval = self.interval()
        return {
            "accuracy": self.accuracies[1],
            "difference": self.difference,
            "interval": [interval.low, interval.high],
            "p_value": self.p_value,
            "only_first_right": self.only_first,
            "only_second_right": self.only_second,
        }


def compare(
    truth: Sequence[Hashable], first: Sequence[Hashable], second: Sequence[Hashable]
) -> Comparison:
    """Count on which rows each of two predictions is right; comparisons of chunks add up with +.

    Raises DataError for sequences of different lengths.

    >>> compare(["a", "b", "a"], ["a", "b", "b"], ["a", "a", "b"])
    Comparison(both=1, only_first=1, only_second=0, neither=1)
    """
    if not len(truth) == len(first) == len(second):
        raise DataError(
            f"{len(truth):,} truths, {len(first):,} and {len(second):,} predictions; expected as"
            f" many of each"
        )
    counts = [0, 0, 0, 0]
    for label, a, b in zip(truth, first, second, strict=True):
        counts[(a != label) * 2 + (b != label)] += 1
    return Comparison(
        both=counts[0], only_first=counts[1], only_second=counts[2], neither=counts[3]
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Test whether two models are right equally often, from the rows that only one has right: the
    two-sided p-value.

    Exact (binomial) up to 1,000 such rows, then chi-squared with Edwards' correction for
    continuity.

    >>> round(mcnemar(1, 8), 4)
    0.0391
    """
    n, fewer = only_first + only_second, min(only_first, only_second)
    if only_first == only_second:
        return 1.0
    if n <= _EXACT_PAIRS:
        return float(min(1, sum(math.comb(n, i) for i in range(fewer + 1)) * 2 / 2**n))
    return math.erfc((abs(only_first - only_second) - 1) / math.sqrt(2 * n))
