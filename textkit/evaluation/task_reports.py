"""The reports of multi-label models and of regressions: one HTML page each, as `page` makes it.

In: the evaluation of the task and its worst errors. Out: the page. All that comes from the data is
escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from textkit.evaluation.confusion import shorten
from textkit.evaluation.drawings import field_svg, residuals_svg
from textkit.evaluation.multilabel import MultiLabelEvaluation
from textkit.evaluation.multilabel_stream import LabelMistake
from textkit.evaluation.page import (
    bar_cell,
    name_cell,
    number,
    number_boxes,
    reliability_section,
    table,
    text_cell,
    warn_unseen,
    worst_section,
    write_page,
)
from textkit.evaluation.regression import NumberMistake, RegressionEvaluation
from textkit.evaluation.slices import Slices
from textkit.version import __version__

_NAMED_LABELS = 30  # that a cell of the worst errors holds


def write_multilabel_html(
    evaluation: MultiLabelEvaluation,
    path: str | Path,
    *,
    title: str = "Evaluation",
    mistakes: Sequence[LabelMistake] = (),
    slices: Slices | None = None,
) -> None:
    """Write the page of a multi-label model.

    >>> from textkit.evaluation import evaluate_multilabel
    >>> result = evaluate_multilabel([("a",)], [()], classes=["a"])
    >>> write_multilabel_html(result, "report.html", title="<Demo>")
    >>> "<h1>&lt;Demo&gt;</h1>" in Path("report.html").read_text(encoding="utf-8")
    True
    """
    subtitle = f"{evaluation.n_rows:,} rows, {evaluation.n_known:,} labels, textkit {__version__}"
    values = {
        "micro_f1": ("micro F1", evaluation.micro_f1),
        "macro_f1": ("macro F1", evaluation.macro_f1),
        "subset_accuracy": ("subset accuracy", evaluation.subset_accuracy),
        "hamming_loss": ("Hamming loss", evaluation.hamming_loss),
        "map": ("mean average precision", evaluation.mean_average_precision),
    }
    sections = [
        number_boxes(
            values, evaluation.intervals(), "Subset accuracy is the share of rows all right."
        ),
        warn_unseen(evaluation.unseen, "labels of rows are unknown to the model"),
        "" if slices is None else slices.to_html(),
        _labels(evaluation),
        _reliability(evaluation),
        _label_mistakes(mistakes),
    ]
    write_page(path, title, subtitle, sections)


def write_regression_html(
    results: Mapping[str, RegressionEvaluation],
    path: str | Path,
    *,
    title: str = "Evaluation",
    mistakes: Mapping[str, Sequence[NumberMistake]] | None = None,
    slices: Mapping[str, Slices] | None = None,
) -> None:
    """Write the page of a regression: evaluations, and the largest errors, by the name of the
    output.

    >>> from textkit.evaluation import evaluate_regression
    >>> write_regression_html({"stars": evaluate_regression([1.0, 2.0], [1.0, 3.0])}, "report.html")
    >>> "R squared" in Path("report.html").read_text(encoding="utf-8")
    True
    """
    n_rows = max((result.n_rows for result in results.values()), default=0)
    some = f", {len(results)} outputs" if len(results) > 1 else ""
    sections = []
    for name, result in results.items():
        sections += [f"<h2>{escape(shorten(name, 80))}</h2>"] if len(results) > 1 else []
        sections += [
            _numbers(result),
            *(part.to_html() for output, part in (slices or {}).items() if output == name),
            _pictures(result),
            _number_mistakes((mistakes or {}).get(name, ())),
        ]
    write_page(path, title, f"{n_rows:,} rows{some}, textkit {__version__}", sections)


def _labels(evaluation: MultiLabelEvaluation) -> str:
    thresholds = [] if evaluation.thresholds is None else evaluation.thresholds.tolist()
    rows = []
    columns = zip(evaluation.precision, evaluation.recall, evaluation.f1, strict=True)
    for i, (precision, recall, f1) in enumerate(columns):
        threshold = [number(thresholds[i]) if i < len(thresholds) else "–"] if thresholds else []
        rows.append(
            [
                name_cell(evaluation.classes[i]),
                bar_cell(precision),
                bar_cell(recall),
                bar_cell(f1),
                number(float(evaluation.average_precision[i])),
                *threshold,
                f"{evaluation.support[i]:,}",
                f"{evaluation.guessed[i]:,}",
            ]
        )
    heads = [
        "label",
        "precision",
        "recall",
        "F1",
        "average precision",
        *(["threshold"] if thresholds else []),
    ]
    words = (
        "A label is predicted where its probability exceeds its threshold." if thresholds else ""
    )
    return f"<h2>Labels</h2><p>{words}</p>" + table(
        [*heads, "rows", "predicted"], rows, style="wide tall"
    )


def _reliability(evaluation: MultiLabelEvaluation) -> str:
    if evaluation.bins is None or not evaluation.n_rows:
        return ""
    words = (
        "All pairs of a row and a label: of the labels with probability 0.8, four in five should"
        " be true. The numbers"
        " of pairs, below, are on a logarithmic scale: most labels are absent from most rows."
    )
    return reliability_section(evaluation.bins, words, "share of true labels", pairs=True)


def _label_mistakes(mistakes: Sequence[LabelMistake]) -> str:
    rows = [
        [
            f"{mistake.row:,}",
            text_cell(mistake.text),
            _label_cell(mistake.missed),
            _label_cell(mistake.extra),
            _label_cell(dict.fromkeys(mistake.found)),
            f"{mistake.loss:.3f}",
        ]
        for mistake in mistakes
    ]
    words = (
        "The rows with the largest loss (mean log loss over the labels) whose labels were not all"
        " right, and the"
        " probabilities of the missed and the extra ones; among them are often wrong labels."
    )
    return worst_section(words, ["row", "text", "missed", "extra", "right", "loss"], rows)


def _label_cell(labels: Mapping[str, float | None]) -> str:
    shown = [
        escape(shorten(name, 60))
        + ("" if probability is None else f" <small>{probability:.3f}</small>")
        for name, probability in list(labels.items())[:_NAMED_LABELS]
    ]
    more = [f"and {len(labels) - _NAMED_LABELS} more"] if len(labels) > _NAMED_LABELS else []
    return f'<td class="name">{"<br>".join([*shown, *more])}</td>'


def _numbers(result: RegressionEvaluation) -> str:
    names = {
        "mae": "mean absolute error",
        "rmse": "root mean squared error",
        "r2": "R squared",
        "pearson": "Pearson's correlation",
        "spearman": "Spearman's correlation",
        "bias": "mean residual",
    }
    values = {key: (names[key], value) for key, value in result.scores.items()}
    return number_boxes(
        values, result.intervals(), "A residual is truth less prediction.", style=".4g"
    )


def _pictures(result: RegressionEvaluation) -> str:
    left = (
        f"Where both are equal runs the line; the darker, the more"
        f" rows.{_outside(result.field.n_outside)}"
    )
    right = f"Left of 0 the prediction is too large.{_outside(result.residuals.n_outside)}"
    return (
        f'<div class="pair"><div><h2>Predictions</h2><p>{left}</p>{field_svg(result.field)}</div>'
        f"<div><h2>Residuals</h2><p>{right}</p>"
        f"{residuals_svg(result.residuals, result.bias)}</div></div>"
    )


def _outside(n_rows: int) -> str:
    return f" {n_rows:,} rows lie too far out to be shown." if n_rows else ""


def _number_mistakes(mistakes: Sequence[NumberMistake]) -> str:
    rows = [
        [
            f"{mistake.row:,}",
            text_cell(mistake.text),
            f"{mistake.truth:.6g}",
            f"{mistake.predicted:.6g}",
            f"{mistake.residual:+.4g}",
        ]
        for mistake in mistakes
    ]
    words = "The rows with the largest residuals; among them are often wrong numbers."
    return worst_section(words, ["row", "text", "true", "predicted", "residual"], rows)
