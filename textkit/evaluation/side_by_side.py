"""Several models of one task side by side on the same rows: a table of all, and what chance may
explain.

In: labels, and what each model predicts of each row, chunk by chunk. Out: SideBySide: each model's
numbers, how far every two neighbours are apart, and the texts that they differ on most.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from textkit.evaluation.compare import Comparison
from textkit.evaluation.confusion import Evaluation, shorten
from textkit.evaluation.intervals import Interval
from textkit.evaluation.multilabel import MultiLabelEvaluation
from textkit.evaluation.paired import MetricDifference
from textkit.evaluation.regression import RegressionEvaluation
from textkit.evaluation.stream import MAX_TEXT, Worst

# What is kept of an epoch, or of a training on some rows: the place, then the value.
Curve = Sequence[tuple[float, float]]
Pair = Comparison | MetricDifference


@dataclass(frozen=True)
class NumbersEvaluation:
    """The evaluation of a regression: of each of its outputs, by name."""

    outputs: Mapping[str, RegressionEvaluation]
    unseen: Mapping[str, int] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Rows of the file."""
        return next(iter(self.outputs.values())).n_rows

    @property
    def mae(self) -> float:
        """Mean absolute error, over rows and outputs."""
        return float(np.mean([output.mae for output in self.outputs.values()]))

    def to_dict(self) -> dict[str, object]:
        """Give plain JSON values; of several outputs by their names."""
        found = {name: output.to_dict() for name, output in self.outputs.items()}
        if len(found) == 1:
            return next(iter(found.values()))
        return {"n_rows": self.n_rows, "mae": self.mae, "outputs": found}


Measured = Evaluation | MultiLabelEvaluation | NumbersEvaluation


def score_of(evaluation: Measured) -> float:
    """Give what models are ordered by, more is better: accuracy, micro F1, less the error."""
    if isinstance(evaluation, Evaluation):
        return evaluation.accuracy
    if isinstance(evaluation, MultiLabelEvaluation):
        return evaluation.micro_f1
    return -evaluation.mae


def figures_of(evaluation: Measured) -> dict[str, str]:
    """Spell the numbers of a model for its row of the table."""
    if isinstance(evaluation, NumbersEvaluation):
        outputs = list(evaluation.outputs.values())
        interval = outputs[0].intervals().get("mae") if len(outputs) == 1 else None
        return {
            "MAE": f"{evaluation.mae:.4g}",
            "95 %": "-" if interval is None else f"{interval.low:.4g}-{interval.high:.4g}",
            "R2": f"{np.mean([output.r2 for output in outputs]):.3f}",
        }
    intervals = evaluation.intervals()
    if isinstance(evaluation, Evaluation):
        name, value = "accuracy", evaluation.accuracy
    else:
        name, value = "micro_f1", evaluation.micro_f1
    return {
        name.replace("_f1", " F1"): f"{value:.3f}",
        "95 %": _dash(intervals[name]),
        "macro F1": f"{evaluation.macro_f1:.3f}",
    }


@dataclass(frozen=True)
class Changed:
    """A text that the models give different labels: the row from 1, its truth, a label a model."""

    row: int
    text: str
    truth: str
    labels: tuple[str, ...]


class Agreement:
    """Count on which rows each two of some models are right, and keep where they differ most.

    >>> agreement = Agreement(2)
    >>> agreement.add(["a", "b"], [["a", "a"], ["a", "b"]], ["one", "two"])
    >>> agreement.pair(0, 1), [changed.text for changed in agreement.changed()]
    (Comparison(both=1, only_first=0, only_second=1, neither=0), ['two'])
    """

    def __init__(self, n_models: int, *, n_changed: int = 50) -> None:
        self.n_rows = self.n_differing = 0
        self._both = np.zeros((n_models, n_models), dtype=np.int64)
        self._worst = Worst[Changed](n_changed)

    def add(
        self, truth: Sequence[str], predicted: Sequence[Sequence[str]], texts: Sequence[str]
    ) -> None:
        """Take labels (n,), those that each model gives (n_models, n), and the texts (n,)."""
        right = np.array([[a == b for a, b in zip(p, truth, strict=True)] for p in predicted])
        self._both += right.astype(np.int64) @ right.T.astype(np.int64)
        scores = np.array([_spread(labels) for labels in zip(*predicted, strict=True)])
        differing = np.flatnonzero(scores)
        self.n_differing += len(differing)

        def make(place: int) -> Changed:
            i = int(differing[place])
            labels = tuple(part[i] for part in predicted)
            return Changed(self.n_rows + i + 1, texts[i][:MAX_TEXT], truth[i], labels)

        self._worst.offer(scores[differing], make)
        self.n_rows += len(truth)

    def pair(self, first: int, second: int) -> Comparison:
        """Compare two models by their numbers."""
        both = int(self._both[first, second])
        own, other = (int(self._both[i, i]) - both for i in (first, second))
        return Comparison(both, own, other, self.n_rows - both - own - other)

    def changed(self) -> list[Changed]:
        """Give the texts on which the models differ most; of equal ones the first."""
        return self._worst.items()


def _spread(labels: Sequence[str]) -> float:
    """Give the share of the models that do not say what most of them say."""
    return 1 - Counter(labels).most_common(1)[0][1] / len(labels)


@dataclass(frozen=True)
class Contender:
    """A model in the comparison.

    train_seconds: None where no run folder says it. n_bytes: of its folder. predict_seconds: of
    all rows, tokens counted; p50, p95: seconds of one text. curves: of the training by the name of
    the number, and `sizes`: accuracy by the number of training rows.
    """

    name: str
    evaluation: Measured
    n_weights: int
    n_bytes: int
    predict_seconds: float
    n_tokens: int
    p50: float
    p95: float
    train_seconds: float | None = None
    curves: Mapping[str, Curve] = field(default_factory=dict)
    sizes: Curve = ()

    def to_dict(self) -> dict[str, object]:
        """Give plain JSON values; latencies in milliseconds."""
        seconds = max(self.predict_seconds, 1e-9)
        return {
            "model": self.name,
            **self.evaluation.to_dict(),
            "train_seconds": self.train_seconds,
            "n_weights": self.n_weights,
            "n_bytes": self.n_bytes,
            "texts_per_second": self.evaluation.n_rows / seconds,
            "tokens_per_second": self.n_tokens / seconds,
            "latency_ms": {"p50": 1000 * self.p50, "p95": 1000 * self.p95},
            "curves": {name: [list(pair) for pair in curve] for name, curve in self.curves.items()},
            "sizes": [list(pair) for pair in self.sizes],
        }

    def cells(self) -> dict[str, str]:
        """Give the row of the table: a name of a column, and what stands in it."""
        seconds = max(self.predict_seconds, 1e-9)
        trained = "-" if self.train_seconds is None else f"{self.train_seconds:,.1f}"
        return {
            **figures_of(self.evaluation),
            "training, s": trained,
            "weights": f"{self.n_weights:,}",
            "MB": f"{self.n_bytes / 1e6:,.1f}",
            "texts/s": f"{self.evaluation.n_rows / seconds:,.0f}",
            "tokens/s": f"{self.n_tokens / seconds:,.0f}",
            "one text, ms: p50": f"{1000 * self.p50:.2f}",
            "p95": f"{1000 * self.p95:.2f}",
        }


@dataclass(frozen=True)
class SideBySide:
    """Models from the best on, each beside the next, and the texts that they differ on.

    neighbours: a comparison of each model with the one that stands below it. n_differing: of how
    many texts models say different things, None for numbers, which nearly always differ.
    """

    models: tuple[Contender, ...]
    neighbours: tuple[Pair, ...]
    changed: tuple[Changed, ...]
    n_differing: int | None
    unseen: Mapping[str, int]

    @classmethod
    def of(
        cls,
        models: Sequence[Contender],
        agreement: Agreement,
        pair: Callable[[int, int], Pair] | None = None,
    ) -> SideBySide:
        """Put models in the order of their score; of equal ones the first stays first.

        pair: compares two models by their numbers; by default the agreement does.
        """
        pair = pair or agreement.pair
        order = sorted(range(len(models)), key=lambda i: -score_of(models[i].evaluation))
        texts = tuple(
            Changed(each.row, each.text, each.truth, tuple(each.labels[i] for i in order))
            for each in agreement.changed()
        )
        numbers = isinstance(models[0].evaluation, NumbersEvaluation)
        pairs = itertools.pairwise(order)
        unseen = set.intersection(*(set(model.evaluation.unseen) for model in models))
        return cls(
            tuple(models[i] for i in order),
            tuple(pair(i, j) for i, j in pairs),
            texts,
            None if numbers else agreement.n_differing,
            {name: n for name, n in models[0].evaluation.unseen.items() if name in unseen},
        )

    @property
    def n_rows(self) -> int:
        """Rows of the file."""
        return self.models[0].evaluation.n_rows

    def to_dict(self) -> dict[str, object]:
        """Give plain JSON values."""
        return {
            "n_rows": self.n_rows,
            "models": [model.to_dict() for model in self.models],
            "neighbours": [
                {**pair.to_dict(), "first": first.name, "second": second.name}
                for pair, first, second in self._pairs()
            ],
            "n_differing": self.n_differing,
            "changed": [
                {
                    "row": each.row,
                    "text": each.text,
                    "truth": each.truth,
                    "labels": {
                        model.name: label
                        for model, label in zip(self.models, each.labels, strict=True)
                    },
                }
                for each in self.changed
            ],
        }

    def to_text(self) -> str:
        """Write the table for a terminal, a line a model, and what chance may explain."""
        rows = [model.cells() for model in self.models]
        names = [shorten(model.name, 40) for model in self.models]
        left = max(5, *map(len, names))
        widths = {head: max(len(head), *(len(row[head]) for row in rows)) for head in rows[0]}
        lines = ["  ".join([f"{'model':{left}}", *(f"{h:>{w}}" for h, w in widths.items())])]
        lines += [
            "  ".join([f"{name:{left}}", *(f"{row[h]:>{w}}" for h, w in widths.items())])
            for name, row in zip(names, rows, strict=True)
        ]
        lines.append("")
        lines += [say_pair(pair, one.name, other.name) for pair, one, other in self._pairs()]
        if self.n_differing is not None:
            lines.append(f"{self.n_differing:,} of {self.n_rows:,} texts get different labels")
        return "\n".join(lines)

    def _pairs(self) -> list[tuple[Pair, Contender, Contender]]:
        return list(zip(self.neighbours, self.models, self.models[1:], strict=False))


def say_pair(pair: Pair, first: str, second: str) -> str:
    """Say in a line how far two models are apart, and whether chance may explain it.

    >>> say_pair(Comparison(both=80, only_first=15, only_second=5, neither=0), "gru", "cnn")
    "gru over cnn: +0.100 (+0.022 to +0.192), McNemar's p 0.041"
    """
    interval, p = pair.interval(), pair.p_value
    sure = f"{p:.3f}" if p >= 0.001 else "< 0.001"
    what, test = "", "McNemar's p"
    if isinstance(pair, MetricDifference):
        what, test = f" {pair.metric}", "paired bootstrap's p"
    style = "+.3f" if not what or abs(pair.difference) < 1 else "+.4g"
    line = (
        f"{first} over {second}: {pair.difference:{style}}{what}"
        f" ({interval.low:{style}} to {interval.high:{style}}), {test} {sure}"
    )
    return line if p < 0.05 else f"{line}: chance may explain it"


def _dash(interval: Interval) -> str:
    return f"{interval.low:.3f}-{interval.high:.3f}"
