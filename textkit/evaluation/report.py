"""The report: one HTML page that needs no network, no script and no other file, in light and dark.

In: an Evaluation, the worst mistakes, comparisons with other models. Out: the page. All that comes from the data, names
and texts, is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path

import textkit
from textkit import files
from textkit.evaluation.compare import Comparison
from textkit.evaluation.confusion import Evaluation, shorten
from textkit.evaluation.drawings import MAX_CLASSES, confusion_svg, reliability_svg
from textkit.evaluation.stream import Mistake

_N_CONFUSIONS = 12
_MAX_TEXT = 600
_NAMED_UNSEEN = 30


def write_html(
    evaluation: Evaluation,
    path: str | Path,
    *,
    title: str = "Evaluation",
    mistakes: Sequence[Mistake] = (),
    comparisons: Mapping[str, Comparison] | None = None,
) -> None:
    """Write the page; comparisons are by the other model's name, this model first in each.

    >>> from textkit.evaluation import evaluate
    >>> write_html(evaluate(["a", "b"], ["a", "a"], classes=["a", "b"]), "report.html", title="<Demo>")
    >>> "<h1>&lt;Demo&gt;</h1>" in Path("report.html").read_text(encoding="utf-8")
    True
    """
    n_known = len(evaluation.classes) - evaluation.n_unseen
    subtitle = f"{evaluation.n_rows:,} rows, {n_known:,} classes, textkit {textkit.__version__}"
    sections = [
        _numbers(evaluation),
        _unseen(evaluation),
        _comparisons(comparisons or {}),
        _classes(evaluation),
        _confusion(evaluation),
        _reliability(evaluation),
        _mistakes(mistakes),
    ]
    page = resources.files("textkit.evaluation").joinpath("report.html").read_text(encoding="utf-8")
    page = page.replace("{{title}}", escape(title)).replace("{{subtitle}}", escape(subtitle))
    files.write_text(path, page.replace("{{body}}", "\n".join(section for section in sections if section)))


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
    intervals = evaluation.intervals()
    boxes = [
        f"<div><small>{name}</small><b>{_number(value)}</b><small>{intervals.get(key, '')}</small></div>"
        for key, (name, value) in values.items()
    ]
    words = (
        "Under each number its 95 % interval: where it might lie on other rows of the same kind. Micro F1 is accuracy."
    )
    return f'<div class="numbers">{"".join(boxes)}</div><p class="soft">{words}</p>'


def _unseen(evaluation: Evaluation) -> str:
    if not evaluation.n_unseen:
        return ""
    named = [f"{shorten(name, 60)} ({rows:,})" for name, rows in evaluation.unseen.items()]
    more = f", and {len(named) - _NAMED_UNSEEN} more" if len(named) > _NAMED_UNSEEN else ""
    rows = sum(evaluation.unseen.values())
    return (
        f'<div class="warning"><b>{rows:,} rows have a label that the model does not know</b>, and count as wrong: '
        f"{escape(', '.join(named[:_NAMED_UNSEEN]))}{more}. The log loss leaves them out.</div>"
    )


def _comparisons(comparisons: Mapping[str, Comparison]) -> str:
    if not comparisons:
        return ""
    rows = [
        [
            _name(name),
            _number(pair.accuracies[1]),
            f"{pair.difference:+.3f}",
            _signed(pair),
            _p_value(pair.p_value),
            f"{pair.only_first:,}",
            f"{pair.only_second:,}",
        ]
        for name, pair in comparisons.items()
    ]
    heads = ["compared with", "its accuracy", "this model's gain", "95 % interval", "McNemar's p", "only this right"]
    return (
        "<h2>Beside other models</h2><p>On the same rows. A small p says that a difference as large as this one would"
        " seldom come from chance alone.</p>" + _table([*heads, "only the other"], rows)
    )


def _classes(evaluation: Evaluation) -> str:
    areas = evaluation.scores.class_roc_auc.tolist() if evaluation.scores is not None else []
    rows = []
    columns = zip(evaluation.precision, evaluation.recall, evaluation.f1, evaluation.support, strict=True)
    for i, (precision, recall, f1, support) in enumerate(columns):
        bar = f'<td class="bar" style="--share:{100 * f1:.1f}%">{f1:.3f}</td>'
        area = [_number(areas[i]) if i < len(areas) else "–"] if areas else []
        name = evaluation.classes[i]
        rows.append([_name(name), f"{precision:.3f}", f"{recall:.3f}", bar, *area, f"{support:,}"])
    heads = ["class", "precision", "recall", "F1", *(["ROC-AUC"] if areas else []), "rows"]
    return "<h2>Classes</h2>" + _table(heads, rows, style="wide tall")


def _confusion(evaluation: Evaluation) -> str:
    if len(evaluation.classes) > MAX_CLASSES:
        picture = f"<p>{len(evaluation.classes):,} classes are too many for a picture; here are the errors alone.</p>"
    else:
        words = "A row is a true class, a column a prediction; the shade is the share of the true class."
        picture = f'<p>{words}</p><div class="wide">{confusion_svg(evaluation)}</div>'
    found = evaluation.confusions(_N_CONFUSIONS)
    support = dict(zip(evaluation.classes, evaluation.support.tolist(), strict=True))
    rows = [[_name(a), _name(b), f"{n:,}", f"{n / support[a]:.1%}"] for a, b, n in found]
    table = _table(["truth", "predicted as", "rows", "of the class"], rows) if rows else "<p>No errors.</p>"
    return (
        f'<div class="pair"><div><h2>Confusion matrix</h2>{picture}</div>'
        f"<div><h2>Most frequent confusions</h2>{table}</div></div>"
    )


def _reliability(evaluation: Evaluation) -> str:
    if evaluation.scores is None or not evaluation.n_rows:
        return ""
    bins = evaluation.scores.bins
    sure = bins.confidence.sum() / evaluation.n_rows
    words = (
        "Of the predictions made with probability 0.8, four in five should be right. The mean probability is"
        f" {sure:.3f}, the accuracy {evaluation.accuracy:.3f}: the model is {_leaning(sure - evaluation.accuracy)}."
        f" The gaps, weighted by their rows, make the expected calibration error of {bins.calibration_error:.3f}."
    )
    return f"<h2>Reliability</h2><p>{words}</p>{reliability_svg(bins)}"


def _leaning(excess: float) -> str:
    if abs(excess) < 0.01:
        return "about as sure as it should be"
    return "too sure of itself" if excess > 0 else "less sure than it could be"


def _mistakes(mistakes: Sequence[Mistake]) -> str:
    if not mistakes:
        return ""
    rows = [
        [
            f"{mistake.row:,}",
            f'<td class="name text">{escape(shorten(mistake.text, _MAX_TEXT))}</td>',
            _name(mistake.truth),
            _name(mistake.predicted),
            f"{mistake.probability:.3f}",
            "–" if mistake.truth_probability is None else f"{mistake.truth_probability:.3f}",
        ]
        for mistake in mistakes
    ]
    heads = ["row", "text", "truth", "prediction", "its probability", "the truth's"]
    return (
        "<h2>Worst errors</h2><p>The wrong predictions that the model was surest of; among them are often wrong"
        " labels.</p>" + _table(heads, rows)
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, style: str = "wide") -> str:
    """Write a table; a cell that is no <td> yet becomes one."""
    left = ("class", "compared with", "truth", "prediction", "predicted as", "text")
    head = "".join(f"<th{' class=name' if name in left else ''}>{escape(name)}</th>" for name in heads)
    body = "".join(
        "<tr>" + "".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f'<div class="{style}"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _name(name: str) -> str:
    return f'<td class="name">{escape(shorten(name, 80))}</td>'


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "–"


def _p_value(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "&lt; 0.001"


def _signed(pair: Comparison) -> str:
    interval = pair.interval()
    return f"{interval.low:+.3f} to {interval.high:+.3f}"
