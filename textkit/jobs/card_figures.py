"""The figures of a model card: those of a run's validation rows, and those of an evaluation.

In: the report of a run, or what `textkit evaluate --json` wrote. Out: Figures, each with its 95 %
interval and the baseline beside it where they are known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textkit.errors import DataError
from textkit.evaluation.baseline import BASELINE
from textkit.evaluation.intervals import Interval
from textkit.evaluation.slices import interval_of_share
from textkit.io import files
from textkit.jobs.runs import TrainReport

# Name of a figure -> its title, and what the hub calls it.
TITLES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "micro_f1": "micro F1",
    "subset_accuracy": "all labels of a text right",
    "hamming_loss": "Hamming loss",
    "mean_average_precision": "mean average precision",
    "roc_auc": "area under ROC",
    "log_loss": "log loss",
    "brier": "Brier score",
    "calibration_error": "calibration error",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R squared",
    "pearson": "Pearson's r",
    "spearman": "Spearman's rho",
}
# Fewer rows than these leave a share of them uncertain by more than 4 points.
FEW_ROWS = 500
# A class is named as weak this far below the mean of the classes.
_WEAKER = 0.1
_FEW_OF_A_CLASS = 30


@dataclass(frozen=True)
class Figure:
    """One number: name, value, and where they are known its interval and the baseline's value."""

    name: str
    value: float
    interval: tuple[float, float] | None = None
    baseline: float | None = None

    @property
    def title(self) -> str:
        """What stands in the card."""
        return TITLES[self.name]

    @property
    def kind(self) -> tuple[str, str | None]:
        """What the hub calls it, and over what it is a mean.

        >>> Figure("macro_f1", 0.5).kind
        ('f1', 'macro')
        """
        average, _, rest = self.name.rpartition("_f1")
        return ("f1", average) if average and not rest else (self.name, None)

    def to_row(self) -> str:
        """Write it as a row of a table.

        >>> Figure("accuracy", 0.5, (0.4, 0.6), 0.45).to_row()
        '| accuracy | 0.500 | 0.400 to 0.600 | 0.450 |'
        """
        span = "" if self.interval is None else str(Interval(*self.interval))
        baseline = "" if self.baseline is None else f"{self.baseline:.3f}"
        return f"| {self.title} | {self.value:.3f} | {span} | {baseline} |"


@dataclass(frozen=True)
class ClassFigures:
    """How well one class is known: its F1 and its rows."""

    name: str
    f1: float
    n_rows: int


@dataclass(frozen=True)
class Figures:
    """Figures of some rows.

    of: what the rows are. difference: of the accuracy to the baseline's, with its interval.
    """

    of: str
    n_rows: int | None
    figures: Sequence[Figure]
    classes: Sequence[ClassFigures] = ()
    difference: tuple[float, float, float] | None = None

    def to_table(self) -> list[str]:
        """Write them as the lines of a table; without the columns that none of them fills."""
        rows = [figure.to_row() for figure in self.figures]
        if all(figure.baseline is None for figure in self.figures):
            rows = [row.rsplit("|", 2)[0] + "|" for row in rows]
            return ["| figure | value | 95 % interval |", "|---|---|---|", *rows]
        return ["| figure | value | 95 % interval | baseline |", "|---|---|---|---|", *rows]

    @property
    def weak(self) -> list[ClassFigures]:
        """The classes that are known worse than the others, the worst first."""
        if not self.classes:
            return []
        mean = sum(each.f1 for each in self.classes) / len(self.classes)
        weak = [each for each in self.classes if each.f1 < mean - _WEAKER]
        return sorted(weak, key=lambda each: each.f1)

    @property
    def scarce(self) -> list[ClassFigures]:
        """The classes whose figures stand on few rows."""
        return [each for each in self.classes if each.n_rows < _FEW_OF_A_CLASS]


def of_run(report: TrainReport) -> Figures | None:
    """Give the figures of a run's validation rows; None where no epoch ended.

    An accuracy has Wilson's interval; no other number of a run has the counts for one.
    """
    best, n_rows = report.history.best, report.n_valid_rows
    if best is None:
        return None
    figures = []
    for name in (name for name in TITLES if name in best.scores):
        value, interval = best.scores[name], None
        if name == "accuracy" and n_rows:
            found = interval_of_share(round(value * n_rows), n_rows)
            interval = (found.low, found.high)
        baseline = report.baseline if name == report.baseline_score else None
        figures.append(Figure(name, value, interval, baseline))
    return Figures("the rows held out for validation", n_rows, figures)


def read_evaluation(source: str | Path | Mapping[str, Any]) -> Mapping[str, Any]:
    """Read what `textkit evaluate --json` wrote, or take a report's own `to_dict()`; DataError for
    anything else.
    """
    if isinstance(source, Mapping):
        values, where = source, None
    else:
        values, where = files.read_json(Path(source)), str(source)
    reports = values.get("outputs", {"": values}) if isinstance(values, Mapping) else {}
    reports = reports.values() if isinstance(reports, Mapping) else ()
    if not reports or not all(
        isinstance(report, Mapping) and isinstance(report.get("intervals"), Mapping)
        for report in reports
    ):
        raise DataError(
            "no report of an evaluation; write one with textkit evaluate MODEL TEST --json",
            where=where,
        )
    return values


def of_evaluation(values: Mapping[str, Any]) -> list[Figures]:
    """Give the figures of an evaluation: one Figures, or one for each output of a regression."""
    of = str(values.get("measured", {}).get("data", "test rows"))
    if "outputs" not in values:
        return [_of_report(of, values)]
    return [_of_report(f"{of}, {name}", report) for name, report in values["outputs"].items()]


def _of_report(of: str, report: Mapping[str, Any]) -> Figures:
    figures = []
    for name in TITLES:
        if name == "micro_f1" and "accuracy" in report:
            continue  # of one label a text it is the accuracy
        value = report.get(name)
        if isinstance(value, int | float) and math.isfinite(value):
            pair = report["intervals"].get(name)
            interval = None if pair is None else (float(pair[0]), float(pair[1]))
            baseline = report.get(f"baseline_{name}")
            figures.append(Figure(name, float(value), interval, baseline))
    classes = [
        ClassFigures(name, float(each["f1"]), int(each["support"]))
        for name, each in report.get("classes", {}).items()
    ]
    pair, difference = report.get("comparisons", {}).get(BASELINE), None
    if pair is not None:
        difference = (pair["difference"], *pair["interval"])
    return Figures(of, report.get("n_rows"), figures, classes, difference)
