"""What all reports share: one HTML page that needs no network, no script and no other file, in
light and dark.

In: titles and sections. Out: the page. All that comes from the data is escaped by what makes cells
here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path

from textkit.evaluation.confusion import shorten
from textkit.evaluation.drawings import reliability_svg
from textkit.evaluation.intervals import Interval
from textkit.evaluation.scores import Bins
from textkit.io import files

_MAX_TEXT = 600
_INTERVALS = (
    "Under each number its 95 % interval: where it might lie on other rows of the same kind."
)
_NAMED_UNSEEN = 30
_LEFT = (
    "class",
    "label",
    "model",
    "values",
    "compared with",
    "truth",
    "prediction",
    "predicted as",
    "text",
    "word",
    "missed",
    "extra",
    "right",
)


def write_page(path: str | Path, title: str, subtitle: str, sections: Sequence[str]) -> None:
    """Write the page; sections are HTML, the empty ones are left out."""
    page = resources.files("textkit.evaluation").joinpath("report.html").read_text(encoding="utf-8")
    page = page.replace("{{title}}", escape(title)).replace("{{subtitle}}", escape(subtitle))
    files.write_text(
        path, page.replace("{{body}}", "\n".join(section for section in sections if section))
    )


def number_boxes(
    values: Mapping[str, tuple[str, float]],
    intervals: Mapping[str, Interval],
    words: str,
    *,
    style: str = ".3f",
) -> str:
    """Show numbers, key -> (name, value), each above its interval, and further words about them."""
    boxes = [
        f"<div><small>{name}</small><b>{number(value, style)}</b>"
        f"<small>{format(intervals[key], style) if key in intervals else ''}</small></div>"
        for key, (name, value) in values.items()
    ]
    return f'<div class="numbers">{"".join(boxes)}</div><p class="soft">{_INTERVALS} {words}</p>'


def warn_unseen(unseen: Mapping[str, int], what: str, more_words: str = "") -> str:
    """Name the labels that the model does not know, with their rows.

    what: what there are so many of.
    """
    if not unseen:
        return ""
    named = [f"{shorten(name, 60)} ({rows:,})" for name, rows in unseen.items()]
    more = f", and {len(named) - _NAMED_UNSEEN} more" if len(named) > _NAMED_UNSEEN else ""
    rows = sum(unseen.values())
    return (
        f'<div class="warning"><b>{rows:,} {what}</b>, and count as wrong: '
        f"{escape(', '.join(named[:_NAMED_UNSEEN]))}{more}.{more_words}</div>"
    )


def reliability_section(bins: Bins, words: str, total: str, *, pairs: bool = False) -> str:
    """Show the reliability diagram and say what it means.

    total: what the share of right ones is called.
    """
    n = max(int(bins.rows.sum()), 1)
    sure, right = bins.confidence.sum() / n, bins.right.sum() / n
    words += (
        f" The mean probability is {sure:.3f}, the {total} {right:.3f}: the model is"
        f" {_leaning(sure - right)}."
        f" The gaps, weighted by their rows, make the expected calibration error of"
        f" {bins.calibration_error:.3f}."
    )
    return f"<h2>Reliability</h2><p>{words}</p>{reliability_svg(bins, pairs=pairs)}"


def worst_section(words: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """List the worst errors under words about them; nothing where there are none."""
    return f"<h2>Worst errors</h2><p>{words}</p>{table(heads, rows)}" if rows else ""


def _leaning(excess: float) -> str:
    if abs(excess) < 0.01:
        return "about as sure as it should be"
    return "too sure of itself" if excess > 0 else "less sure than it could be"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, style: str = "wide") -> str:
    """Write a table; a cell that is no <td> yet becomes one."""
    head = "".join(
        f"<th{' class=name' if name in _LEFT else ''}>{escape(name)}</th>" for name in heads
    )
    body = "".join(
        "<tr>"
        + "".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in row)
        + "</tr>"
        for row in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="{style}">{table}</div>'


def name_cell(name: str) -> str:
    return f'<td class="name">{escape(shorten(name, 80))}</td>'


def number(value: float, style: str = ".3f") -> str:
    return format(value, style) if math.isfinite(value) else "–"


def text_cell(text: str) -> str:
    return f'<td class="name text">{escape(shorten(text, _MAX_TEXT))}</td>'


def bar_cell(share: float) -> str:
    """Show a share as a number over a bar."""
    return f'<td class="bar" style="--share:{100 * share:.1f}%">{share:.3f}</td>'
