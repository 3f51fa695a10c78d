"""The report of a single-label model: one HTML page, as `page` makes it.

In: an Evaluation, the worst mistakes, comparisons with other models. Out: the page. All that comes
from the data, names and texts, is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from textkit.evaluation.compare import Comparison
from textkit.evaluation.confusion import Evaluation
from textkit.evaluation.drawings import MAX_CLASSES, confusion_svg
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
from textkit.evaluation.slices import Slices
from textkit.evaluation.stream import Mistake
from textkit.version import __version__

_N_CONFUSIONS = 12


def write_html(
    evaluation: Evaluation,
    path: str | Path,
    *,
    title: str = "Evaluation",
    mistakes: Sequence[Mistake] = (),
    comparisons: Mapping[str, Comparison] | None = None,
    slices: Slices | None = None,
) -> None:
    """Write the page; comparisons are by the other model's name, this model first in each.

    >>> from textkit.evaluation import evaluate
    >>> result = evaluate(["a", "b"], ["a", "a"], classes=["a", "b"])
    >>> write_html(result, "report.html", title="<Demo>")
    >>> "<h1>&lt;Demo&gt;</h1>" in Path("report.html").read_text(encoding="utf-8")
    True
    """
    n_known = len(evaluation.classes) - evaluation.n_unseen
    subtitle = f"{evaluation.n_rows:,} rows, {n_known:,} classes, textkit {__version__}"
    sections = [
        _numbers(evaluation),
        warn_unseen(
            evaluation.unseen,
            "rows have a label that the model does not know",
            " The log loss leaves them out.",
        ),
        _comparisons(comparisons or {}),
        "" if slices is None else slices.to_html(),
        _classes(evaluation),
        _confusion(evaluation),
        _reliability(evaluation),
        _mistakes(mistakes),
    ]
    write_page(path, title, subtitle, sections)


def _numbers(evaluation: Evaluation) -> str:
    values = {
        "accuracy": ("accuracy", evaluation.accuracy),
        "macro_f1": ("macro F1", evaluation.macro_f1),
        "weighted_f1": ("weighted F1", evaluation.weighted_f1),
    }
    if evaluation.scores is not None:
        scores = evaluation.scores
        values |= {
            "roc_auc": ("ROC-AUC", scores.roc_auc),
            "log_loss": ("log loss", scores.log_loss),
            "brier": ("Brier score", scores.brier),
            "calibration_error": ("calibration error", scores.calibration_error),
        }
    return number_boxes(values, evaluation.intervals(), "Micro F1 is accuracy.")


def _comparisons(comparisons: Mapping[str, Comparison]) -> str:
    if not comparisons:
        return ""
    rows = [
        [
            name_cell(name),
            number(pair.accuracies[1]),
            f"{pair.difference:+.3f}",
            _signed(pair),
            _p_value(pair.p_value),
            f"{pair.only_first:,}",
            f"{pair.only_second:,}",
        ]
        for name, pair in comparisons.items()
    ]
    heads = [
        "compared with",
        "its accuracy",
        "this model's gain",
        "95 % interval",
        "McNemar's p",
        "only this right",
    ]
    return (
        "<h2>Beside other models</h2><p>On the same rows. A small p says that a difference as"
        " large as this one would"
        " seldom come from chance alone.</p>" + table([*heads, "only the other"], rows)
    )


def _classes(evaluation: Evaluation) -> str:
    areas = evaluation.scores.class_roc_auc.tolist() if evaluation.scores is not None else []
    rows = []
    columns = zip(
        evaluation.precision, evaluation.recall, evaluation.f1, evaluation.support, strict=True
    )
    for i, (precision, recall, f1, support) in enumerate(columns):
        area = [number(areas[i]) if i < len(areas) else "–"] if areas else []
        name = evaluation.classes[i]
        rows.append(
            [
                name_cell(name),
                f"{precision:.3f}",
                f"{recall:.3f}",
                bar_cell(f1),
                *area,
                f"{support:,}",
            ]
        )
    heads = ["class", "precision", "recall", "F1", *(["ROC-AUC"] if areas else []), "rows"]
    return "<h2>Classes</h2>" + table(heads, rows, style="wide tall")


def _confusion(evaluation: Evaluation) -> str:
    words = (
        "A row is a true class, a column a prediction; the shade grows with the share of the true"
        " class."
    )
    n_known = len(evaluation.classes) - evaluation.n_unseen
    if n_known > MAX_CLASSES:
        words += (
            f" Of {n_known:,} classes the {MAX_CLASSES} with the most errors, those that are"
            " confused side by side."
        )
    picture = f'<p>{words}</p><div class="wide">{confusion_svg(evaluation)}</div>'
    found = evaluation.confusions(_N_CONFUSIONS)
    support = dict(zip(evaluation.classes, evaluation.support.tolist(), strict=True))
    rows = [[name_cell(a), name_cell(b), f"{n:,}", f"{n / support[a]:.1%}"] for a, b, n in found]
    errors = (
        table(["truth", "predicted as", "rows", "of the class"], rows)
        if rows
        else "<p>No errors.</p>"
    )
    return (
        f'<div class="pair"><div><h2>Confusion matrix</h2>{picture}</div>'
        f"<div><h2>Most frequent confusions</h2>{errors}</div></div>"
    )


def _reliability(evaluation: Evaluation) -> str:
    if evaluation.scores is None or not evaluation.n_rows:
        return ""
    return reliability_section(
        evaluation.scores.bins,
        "Of the predictions made with probability 0.8, four in five should be right.",
        "accuracy",
    )


def _mistakes(mistakes: Sequence[Mistake]) -> str:
    rows = [
        [
            f"{mistake.row:,}",
            text_cell(mistake.text),
            name_cell(mistake.truth),
            name_cell(mistake.predicted),
            f"{mistake.probability:.3f}",
            "–" if mistake.truth_probability is None else f"{mistake.truth_probability:.3f}",
        ]
        for mistake in mistakes
    ]
    heads = ["row", "text", "truth", "prediction", "its probability", "the truth's"]
    words = "The wrong predictions that the model was surest of; among them are often wrong labels."
    return worst_section(words, heads, rows)


def _p_value(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "&lt; 0.001"


def _signed(pair: Comparison) -> str:
    interval = pair.interval()
    return f"{interval.low:+.3f} to {interval.high:+.3f}"
