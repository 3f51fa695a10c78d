"""Evaluations as text for a terminal: the numbers with their intervals, the table a class.

In: an Evaluation, or that of another task, and comparisons. Out: lines without colours, whose
columns stand below each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from textkit.evaluation.baseline import BASELINE
from textkit.evaluation.compare import Comparison
from textkit.evaluation.confusion import Evaluation, shorten
from textkit.evaluation.intervals import Interval
from textkit.evaluation.multilabel import MultiLabelEvaluation
from textkit.evaluation.regression import RegressionEvaluation

# A wider matrix does not fit a terminal line; the PNG, the report and --json hold it whole.
_MATRIX_CLASSES = 12
_NAMES = {
    "micro_f1": "micro F1",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "roc_auc": "ROC-AUC",
    "brier": "Brier score",
    "hamming_loss": "Hamming loss",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R squared",
    "bias": "mean residual",
}


def render_labels(result: Evaluation) -> str:
    """Write the numbers, the table a class and, for up to 12 classes, the confusion matrix."""
    width = max(10, *(min(len(name), 30) for name in result.classes))
    lines = [*_numbers(result), "", f"{'class':<{width}}  precision  recall     f1  support"]
    columns = zip(
        result.classes, result.precision, result.recall, result.f1, result.support, strict=True
    )
    lines += [
        f"{shorten(name, width):<{width}}  {p:9.3f}  {r:6.3f}  {f:5.3f}  {n:7,}"
        for name, p, r, f, n in columns
    ]
    if len(result.classes) <= _MATRIX_CLASSES:
        heads = "".join(f"{shorten(name, 8):>9}" for name in result.classes)
        lines += ["", f"{'true, down':<{width}}{heads}   <- predicted"]
        lines += [
            f"{shorten(name, width):<{width}}" + "".join(f"{count:9,}" for count in row)
            for name, row in zip(result.classes, result.counts, strict=True)
        ]
    return "\n".join(lines)


def render_comparison(name: str, pair: Comparison) -> str:
    """Write what the difference to another model is, and whether chance explains it."""
    interval, p = pair.interval(), pair.p_value
    heading = f"{BASELINE} on the same files" if name == BASELINE else name
    return (
        f"{heading}: accuracy {pair.accuracies[1]:.3f}\n"
        f"this model's gain: {pair.difference:+.3f} ({interval.low:+.3f} to {interval.high:+.3f}),"
        f" McNemar's p"
        f" {f'{p:.3f}' if p >= 0.001 else '< 0.001'} ({pair.only_first:,} rows only this one has"
        f" right,"
        f" {pair.only_second:,} only the other)"
    )


def render_label_sets(result: MultiLabelEvaluation) -> str:
    """Write the numbers of a multi-label task and the table a label."""
    width = max(10, *(min(len(name), 30) for name in result.classes))
    numbers = {
        "micro_f1": result.micro_f1,
        "macro_f1": result.macro_f1,
        "subset_accuracy": result.subset_accuracy,
        "hamming_loss": result.hamming_loss,
        "mean_average_precision": result.mean_average_precision,
        "calibration_error": float("nan") if result.bins is None else result.bins.calibration_error,
    }
    intervals = result.intervals()
    lines = [
        f"{_NAMES.get(key, key.replace('_', ' ')):<24}{_shown(value):>7}"
        f"{_interval(intervals.get(key))}"
        for key, value in numbers.items()
    ]
    lines += [f"{'rows':<24}{result.n_rows:>7,}", ""]
    lines.append(f"{'label':<{width}}  precision  recall     f1  average precision  support")
    columns = zip(
        result.classes,
        result.precision,
        result.recall,
        result.f1,
        result.average_precision.tolist(),
        result.support,
        strict=True,
    )
    return "\n".join(
        lines
        + [
            f"{shorten(name, width):<{width}}  {p:9.3f}  {r:6.3f}  {f:5.3f}  {_shown(area):>17} "
            f" {n:7,}"
            for name, p, r, f, area, n in columns
        ]
    )


def render_numbers(results: Mapping[str, RegressionEvaluation]) -> str:
    """Write the numbers of a regression, a block an output."""
    blocks = []
    for output, result in results.items():
        intervals = result.intervals()
        lines = [output] if len(results) > 1 else []
        lines += [
            f"{_NAMES.get(key, key):<24}{_shown(value, '.4g'):>10}"
            f"{_interval(intervals.get(key), '.4g')}"
            for key, value in result.scores.items()
        ]
        blocks.append("\n".join([*lines, f"{'rows':<24}{result.n_rows:>10,}"]))
    return "\n\n".join(blocks)


def _shown(value: float, style: str = ".3f") -> str:
    return format(value, style) if value == value else "-"


def _interval(interval: Interval | None, style: str = ".3f") -> str:
    return "" if interval is None else f"   95 %: {interval:{style}}"


def _numbers(result: Evaluation) -> Iterator[str]:
    values = {
        "accuracy": result.accuracy,
        "macro_f1": result.macro_f1,
        "weighted_f1": result.weighted_f1,
    }
    if result.scores is not None:
        scores = result.scores
        values |= {"roc_auc": scores.roc_auc, "log_loss": scores.log_loss, "brier": scores.brier}
        values["calibration_error"] = scores.calibration_error
    intervals = result.intervals()
    for key, value in values.items():
        name = _NAMES.get(key, key.replace("_", " "))
        yield f"{name:<18}{_shown(value):>7}{_interval(intervals.get(key))}"
    yield f"{'rows':<18}{result.n_rows:>7,}"
