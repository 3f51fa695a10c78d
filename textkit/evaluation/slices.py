"""Figures by slice: the rows of each language, each source, each value of a column.

In: the value of the column in each row, and whatever gathers an evaluation of the task. Out: a few
numbers a value, each with its 95 % interval, as JSON, text or a section of the report.

An accuracy has Wilson's interval here (Wilson 1927), not the bootstrap's: a slice of five rows that
are all right would otherwise be sure of itself from 1 to 1.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from textkit.errors import LimitError
from textkit.evaluation.confusion import Evaluation, shorten
from textkit.evaluation.intervals import NORMAL_95, Interval
from textkit.evaluation.multilabel import MultiLabelEvaluation
from textkit.evaluation.page import name_cell, number, table
from textkit.evaluation.regression import RegressionEvaluation

MAX_SLICES = 100
NO_VALUE = "(none)"  # of rows whose cell is empty
_NAMES = {
    "accuracy": "accuracy",
    "micro_f1": "micro F1",
    "macro_f1": "macro F1",
    "subset_accuracy": "subset accuracy",
    "mae": "MAE",
    "rmse": "RMSE",
    "r2": "R squared",
}

Held = TypeVar("Held")


@dataclass(frozen=True)
class Slice:
    """The figures of one value: its rows, the scores by name, the intervals that there are."""

    n_rows: int
    scores: Mapping[str, float]
    intervals: Mapping[str, Interval]

    @classmethod
    def of(cls, result: Evaluation | MultiLabelEvaluation | RegressionEvaluation) -> Slice:
        """Take from an evaluation what is told of a slice.

        >>> from textkit.evaluation import evaluate
        >>> part = Slice.of(evaluate(["a", "b"], ["a", "b"], classes=["a", "b"]))
        >>> part.scores["accuracy"], part.intervals["accuracy"]
        (1.0, Interval(low=0.342380227..., high=1.0))
        """
        intervals = result.intervals()
        if isinstance(result, RegressionEvaluation):
            names: tuple[str, ...] = ("mae", "rmse", "r2")
        elif isinstance(result, MultiLabelEvaluation):
            names = ("micro_f1", "macro_f1", "subset_accuracy")
            intervals["subset_accuracy"] = interval_of_share(result.n_exact, result.n_rows)
        else:
            names = ("accuracy", "macro_f1")
            right = int(np.trace(result.counts))
            intervals["accuracy"] = interval_of_share(right, result.n_rows)
        scores = {name: float(getattr(result, name)) for name in names}
        return cls(result.n_rows, scores, {n: intervals[n] for n in names if n in intervals})


@dataclass(frozen=True)
class Slices:
    """The figures of each value of a column, the value with the most rows first."""

    column: str
    slices: Mapping[str, Slice]

    @classmethod
    def of(cls, column: str, slices: Mapping[str, Slice]) -> Slices:
        """Put the figures of a column's values in order."""
        ordered = sorted(slices, key=lambda name: (-slices[name].n_rows, name))
        return cls(column, {name: slices[name] for name in ordered})

    def to_dict(self) -> dict[str, object]:
        """Give plain JSON values."""
        values: dict[str, object] = {}
        for name, part in self.slices.items():
            scores = {key: None if math.isnan(v) else v for key, v in part.scores.items()}
            pairs = {key: [pair.low, pair.high] for key, pair in part.intervals.items()}
            values[name] = {"n_rows": part.n_rows, **scores, "intervals": pairs}
        return {"column": self.column, "slices": values}

    def to_text(self) -> str:
        """Write a table whose columns stand below each other."""
        heads = next(iter(self.slices.values())).scores
        names = [shorten(name, 30) for name in (f"by {self.column}", *self.slices)]
        width = max(10, *map(len, names))
        shown = (f"{_NAMES[name]:>15}  {'95 %':<17}" for name in heads)
        lines = [f"{names[0]:<{width}}  {'rows':>9}" + "".join(shown).rstrip()]
        for name, part in zip(names[1:], self.slices.values(), strict=True):
            cells = (
                f"{_shown(value):>15}  {format(part.intervals.get(key, ''), ''):<17}"
                for key, value in part.scores.items()
            )
            lines.append(f"{name:<{width}}  {part.n_rows:9,}" + "".join(cells).rstrip())
        return "\n".join(lines)

    def to_html(self) -> str:
        """Write the section of a report."""
        heads = ["label", "rows"]
        for name in next(iter(self.slices.values())).scores:
            heads += [_NAMES[name], "95 % interval"]
        rows = []
        for name, part in self.slices.items():
            cells = [name_cell(name), f"{part.n_rows:,}"]
            for key, value in part.scores.items():
                cells += [number(value), str(part.intervals.get(key, "–"))]
            rows.append(cells)
        title = name_cell(self.column).removeprefix('<td class="name">').removesuffix("</td>")
        words = "The rows of each value for themselves; few rows leave a wide interval."
        return f"<h2>By {title}</h2><p>{words}</p>" + table(heads, rows)


class SliceStream(Generic[Held]):
    """Hold what gathers the figures of each value of a column; `make` makes one.

    >>> stream = SliceStream("lang", list)
    >>> for held, rows in stream.groups(["en", None, "en"]):
    ...     held.extend(rows.tolist())
    >>> stream.held
    {'en': [0, 2], '(none)': [1]}
    """

    def __init__(self, column: str, make: Callable[[], Held]) -> None:
        self.column, self.make = column, make
        self.held: dict[str, Held] = {}

    def groups(self, values: Sequence[object]) -> Iterator[tuple[Held, NDArray[np.int64]]]:
        """Give for each value what gathers it, and which of these rows have it.

        Raises LimitError for a column of so many values that it names rows, not slices.
        """
        rows: dict[str, list[int]] = {}
        for row, value in enumerate(values):
            name = "" if value is None else str(value).strip()
            rows.setdefault(name or NO_VALUE, []).append(row)
        for name, chosen in rows.items():
            if name not in self.held:
                if len(self.held) == MAX_SLICES:
                    raise LimitError(
                        f"column '{self.column}' has more than {MAX_SLICES} values; --by wants one"
                        " of few, as a language or a source"
                    )
                self.held[name] = self.make()
            yield self.held[name], np.array(chosen, dtype=np.int64)

    def finish(self, make: Callable[[Held], Slice]) -> Slices:
        """Make the figures of all values."""
        return Slices.of(self.column, {name: make(held) for name, held in self.held.items()})


class LabelCounts:
    """Count the pairs of truth and prediction of a slice, as codes."""

    def __init__(self) -> None:
        self.pairs: Counter[tuple[int, int]] = Counter()

    def add(self, truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> None:
        """Take the codes of some rows: (n,) and (n,)."""
        self.pairs.update(zip(truth.tolist(), predicted.tolist(), strict=True))

    def result(self) -> Evaluation:
        """Give the evaluation, whose classes are the codes that occur."""
        codes = sorted({code for pair in self.pairs for code in pair})
        place = {code: at for at, code in enumerate(codes)}
        counts = np.zeros((len(codes), len(codes)), dtype=np.int64)
        for (truth, predicted), n in self.pairs.items():
            counts[place[truth], place[predicted]] = n
        return Evaluation([str(code) for code in codes], counts)


def interval_of_share(n: int, n_rows: int) -> Interval:
    """Give Wilson's 95 % interval of a share, n of n_rows.

    >>> str(interval_of_share(5, 5)), str(interval_of_share(50, 100))
    ('0.566 to 1.000', '0.404 to 0.596')
    """
    if not n_rows:
        return Interval(0.0, 1.0)
    square, share = NORMAL_95**2, n / n_rows
    middle = share + square / (2 * n_rows)
    reach = NORMAL_95 * math.sqrt(share * (1 - share) / n_rows + square / (4 * n_rows**2))
    low, high = ((middle + sign * reach) / (1 + square / n_rows) for sign in (-1, 1))
    return Interval(round(max(low, 0.0), 12), round(min(high, 1.0), 12))


def _shown(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
