"""The pictures of the report as inline SVG, in the page's own colours, so that they follow its
light and dark.

In: an Evaluation, or its bins and counts. Out: SVG text; every name in it is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from textkit.evaluation.confusion import Evaluation
    from textkit.evaluation.histograms import Field, Histogram
    from textkit.evaluation.scores import Bins

# Of more classes those with the most errors are drawn.
MAX_CLASSES = 40
_SHORT_NAME, _NAME = 12, 60
_CELL, _LARGE_CELL, _SIZE = 26.0, 46.0, 12.0


def confusion_svg(evaluation: Evaluation) -> str:
    """Draw the matrix: a row a true class, blue where right, orange where wrong.

    The shade grows with the root of the share of the row, so that few errors are seen too. Long
    names, and those of many classes, are numbered: a name stands at its row, its number at its
    column.
    """
    from textkit.evaluation.confusion import shorten

    rows, columns = evaluation.arrange(MAX_CLASSES)
    cell = max(_CELL, min(_LARGE_CELL, 560 / max(len(rows), 1)))
    names = [shorten(evaluation.classes[i], _NAME) for i in rows]
    numbered = is_numbered(names)
    margin = 18 + 0.62 * _SIZE * (max(map(len, names)) + 4 * numbered)
    top = 30.0 if numbered else margin * 0.8
    over = 0.0 if numbered else margin * 0.75  # what the last slanting name needs
    width, height = margin + len(columns) * cell + over + 8, top + len(rows) * cell + 8
    parts = []
    shares = evaluation.counts / np.maximum(evaluation.support, 1)[:, None]
    for i, name in enumerate(names):
        middle = top + (i + 0.5) * cell
        shown = f"{name}\u2002{i + 1}" if numbered else name
        parts.append(
            f'<text x="{margin - 8:.1f}" y="{middle:.1f}" text-anchor="end"'
            f' dominant-baseline="central">{escape(shown)}</text>'
        )
        if i < len(columns):
            x = margin + (i + 0.5) * cell
            place = (
                f'x="{x:.1f}" y="{top - 10:.1f}" text-anchor="middle"'
                if numbered
                else f'transform="translate({x:.1f} {top - 8:.1f}) rotate(-45)"'
                ' dominant-baseline="central"'
            )
            column = f"<title>{escape(name)}</title>{i + 1}" if numbered else escape(name)
            parts.append(f"<text {place}>{column}</text>")
    parts.append(
        f'<rect x="{margin:.1f}" y="{top:.1f}" width="{len(columns) * cell:.1f}"'
        f' height="{len(rows) * cell:.1f}" class="field"/>'
    )
    for i, j in zip(*np.nonzero(evaluation.counts[np.ix_(rows, columns)]), strict=True):
        true, guessed = rows[i], columns[j]
        x, y = margin + j * cell, top + i * cell
        share, count = float(shares[true, guessed]), int(evaluation.counts[true, guessed])
        words = (
            f"{evaluation.classes[true]} → {evaluation.classes[guessed]}: {count:,} rows,"
            f" {share:.1%} of the class"
        )
        opacity = shade(share)
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{cell - 1:.1f}" height="{cell - 1:.1f}"'
            f' class="{"right" if true == guessed else "wrong"}" fill-opacity="{opacity:.3f}">'
            f"<title>{escape(words)}</title></rect>"
        )
        over_it = ' class="on"' if opacity > 0.6 else ""
        size = min(_SIZE, 1.5 * (cell - 4) / len(_brief(count)))
        parts.append(
            f'<text x="{x + cell / 2:.1f}" y="{y + cell / 2:.1f}" text-anchor="middle"'
            f' font-size="{size:.1f}" dominant-baseline="central" pointer-events="none"{over_it}>'
            f"{_brief(count)}</text>"
        )
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" font-size="{_SIZE}"'
        f' role="img" aria-label="confusion matrix">{"".join(parts)}</svg>'
    )


def is_numbered(names: Sequence[str]) -> bool:
    """Tell whether columns have numbers in the place of names: they are long, or many."""
    return len(names) > _SHORT_NAME or max(map(len, names), default=0) > _SHORT_NAME


def shade(share: float) -> float:
    """Give the opacity of a cell that has a share of its row, from .12 to 1.

    >>> shade(0.25), shade(1.0)
    (0.56, 1.0)
    """
    return round(0.12 + 0.88 * float(np.sqrt(share)), 6)


def reliability_svg(bins: Bins, *, pairs: bool = False) -> str:
    """Draw the share of right predictions over their probability, the diagonal, and the number of
    rows below.

    pairs: the bins are of pairs of a row and a label; their numbers are shown on a logarithmic
    scale.
    """
    share, unit, what = (
        ("true", "pairs, log", "a label") if pairs else ("right", "rows", "the prediction")
    )
    left, top, side, low = 46.0, 10.0, 340.0, 90.0
    n_bins = len(bins.rows)
    step = side / n_bins
    below = top + side + 16
    most = max(int(bins.rows.max()), 1)
    (lows, highs), few = bins.intervals(), bins.few
    heights = low * (np.log1p(bins.rows) / np.log1p(most) if pairs else bins.rows / most)
    parts = [
        f'<line x1="{left}" y1="{top + side}" x2="{left + side}" y2="{top}" class="diagonal"/>'
    ]
    for tick in range(0, 11, 2):
        at, y = left + side * tick / 10, top + side * (1 - tick / 10)
        parts.append(
            f'<text x="{at:.1f}" y="{below + low + 16:.1f}"'
            f' text-anchor="middle">{tick / 10:.1f}</text>'
        )
        parts.append(
            f'<text x="{left - 8}" y="{y:.1f}" text-anchor="end"'
            f' dominant-baseline="central">{tick / 10:.1f}</text>'
        )
        parts.append(
            f'<line x1="{left}" y1="{y:.1f}" x2="{left + side}" y2="{y:.1f}" class="grid"/>'
        )
    for i in np.flatnonzero(bins.rows).tolist():
        rows = int(bins.rows[i])
        right, sure = float(bins.right[i]) / rows, float(bins.confidence[i]) / rows
        x, dot = left + i * step, left + side * sure
        tall, y, wanted = side * right, top + side * (1 - right), top + side * (1 - sure)
        words = (
            f"{rows:,} {unit.partition(',')[0]}: mean probability {sure:.3f}, {right:.3f} of"
            f" them {share} (95 %: {lows[i]:.3f} to {highs[i]:.3f})"
        )
        parts.append(
            f"<g><title>{words}</title>"
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{step - 1:.1f}" height="{tall:.1f}"'
            f' class="right"'
            ' fill-opacity=".35"/>'
            f'<line x1="{dot:.1f}" y1="{y:.1f}" x2="{dot:.1f}" y2="{wanted:.1f}" class="gap"/>'
            f'<line x1="{dot:.1f}" y1="{top + side * (1 - highs[i]):.1f}" x2="{dot:.1f}"'
            f' y2="{top + side * (1 - lows[i]):.1f}" class="axis"/>'
            f'<circle cx="{dot:.1f}" cy="{y:.1f}" r="3.5" class="{"few" if few[i] else "right"}"/>'
            f'<rect x="{x:.1f}" y="{below + low - heights[i]:.1f}" width="{step - 1:.1f}"'
            f' height="{heights[i]:.1f}" class="rows"/></g>'
        )
    parts.append(
        f'<line x1="{left}" y1="{top + side}" x2="{left + side}" y2="{top + side}" class="axis"/>'
    )
    parts.append(
        f'<line x1="{left}" y1="{below + low}" x2="{left + side}" y2="{below + low}" class="axis"/>'
    )
    parts.append(
        f'<text x="{left + side / 2}" y="{below + low + 34}" text-anchor="middle">probability of'
        f" {what}</text>"
        f'<text transform="translate(12 {top + side / 2}) rotate(-90)" text-anchor="middle">share'
        f" {share}</text>"
        f'<text transform="translate(12 {below + low / 2}) rotate(-90)"'
        f' text-anchor="middle">{unit}</text>'
        f'<text x="{left - 8}" y="{below}" text-anchor="end"'
        f' dominant-baseline="central">{_brief(most)}</text>'
    )
    width, height = left + side + 16, below + low + 42
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" font-size="12" role="img"'
        f' aria-label="reliability diagram">{"".join(parts)}</svg>'
    )


def field_svg(field: Field) -> str:
    """Draw rows by truth and prediction, the more the darker, with the diagonal on which both
    are equal.
    """
    left, top, side = 74.0, 10.0, 410.0
    n_bins, low, high = len(field.counts), float(field.edges[0]), float(field.edges[-1])
    step = side / n_bins
    parts = [f'<rect x="{left}" y="{top}" width="{side}" height="{side}" class="field"/>']
    shades = 0.25 + 0.75 * np.log1p(field.counts) / np.log1p(max(int(field.counts.max()), 1))
    for i, j in np.argwhere(field.counts).tolist():
        words = (
            f"{int(field.counts[i, j]):,} rows: true {_span(field.edges, i)}, predicted"
            f" {_span(field.edges, j)}"
        )
        parts.append(
            f'<rect x="{left + i * step:.1f}" y="{top + side - (j + 1) * step:.1f}"'
            f' width="{step:.1f}"'
            f' height="{step:.1f}" class="right"'
            f' fill-opacity="{shades[i, j]:.3f}"><title>{words}</title></rect>'
        )
    parts.append(
        f'<line x1="{left}" y1="{top + side}" x2="{left + side}" y2="{top}" class="diagonal'
        f' strong"/>'
    )
    for tick in _ticks(low, high):
        at = (tick - low) / (high - low) * side
        x, y = left + at, top + side - at
        parts.append(
            f'<text x="{x:.1f}" y="{top + side + 17}" text-anchor="middle">{tick:.4g}</text>'
        )
        parts.append(
            f'<text x="{left - 8}" y="{y:.1f}" text-anchor="end"'
            f' dominant-baseline="central">{tick:.4g}</text>'
        )
    parts.append(
        f'<text x="{left + side / 2}" y="{top + side + 36}" text-anchor="middle">true</text>'
        f'<text transform="translate(12 {top + side / 2}) rotate(-90)"'
        f' text-anchor="middle">predicted</text>'
    )
    return _picture(left + side + 24, top + side + 44, "predictions beside truths", parts)


def residuals_svg(histogram: Histogram, bias: float) -> str:
    """Draw a histogram of truth less prediction, with 0 and the mean."""
    left, top, width, height = 56.0, 24.0, 440.0, 386.0
    low, high = float(histogram.edges[0]), float(histogram.edges[-1])
    most, step = max(int(histogram.counts.max()), 1), width / len(histogram.counts)
    parts = []
    for i in np.flatnonzero(histogram.counts).tolist():
        rows = int(histogram.counts[i])
        tall = height * rows / most
        parts.append(
            f'<rect x="{left + i * step:.1f}" y="{top + height - tall:.1f}" width="{step - 1:.1f}"'
            f' height="{tall:.1f}" class="right" fill-opacity=".6"><title>{rows:,} rows:'
            f" {_span(histogram.edges, i)}"
            "</title></rect>"
        )
    for kind, value in (("diagonal", 0.0), ("gap", min(max(bias, low), high))):
        x = left + (value - low) / (high - low) * width
        parts.append(
            f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{top + height}" class="{kind}"/>'
        )
        if kind == "gap":
            parts.append(
                f'<text x="{x:.1f}" y="{top - 9}" text-anchor="middle">mean {bias:.3g}</text>'
            )
    for tick in _ticks(low, high):
        x = left + (tick - low) / (high - low) * width
        parts.append(
            f'<text x="{x:.1f}" y="{top + height + 17}" text-anchor="middle">{tick:.4g}</text>'
        )
    middle, below = left + width / 2, top + height
    parts.append(
        f'<line x1="{left}" y1="{below}" x2="{left + width}" y2="{below}" class="axis"/>'
        f'<text x="{middle}" y="{below + 36}" text-anchor="middle">residual: true −'
        f" predicted</text>"
        f'<text transform="translate(12 {top + height / 2}) rotate(-90)"'
        f' text-anchor="middle">rows</text>'
        f'<text x="{left - 8}" y="{top}" text-anchor="end"'
        f' dominant-baseline="central">{_brief(most)}</text>'
    )
    return _picture(left + width + 24, below + 44, "histogram of residuals", parts)


def _picture(width: float, height: float, label: str, parts: list[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" font-size="12" role="img"'
        f' aria-label="{label}">{"".join(parts)}</svg>'
    )


def _span(edges: NDArray[np.float64], i: int) -> str:
    return f"{edges[i]:.4g} to {edges[i + 1]:.4g}"


def _ticks(low: float, high: float) -> list[float]:
    """Give round numbers between two, three to seven of them.

    >>> _ticks(-0.3, 10.2), _ticks(1.0, 1.5)
    ([0.0, 2.0, 4.0, 6.0, 8.0, 10.0], [1.0, 1.1, 1.2, 1.3, 1.4, 1.5])
    """
    rough = (high - low) / 6
    power = 10.0 ** np.floor(np.log10(rough))
    step = float(
        power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    )
    return [
        float(f"{i * step:.12g}")
        for i in range(int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9)) + 1)
    ]


def _brief(count: int) -> str:
    """Write a count in at most five characters.

    >>> _brief(980), _brief(12_400), _brief(3_100_000)
    ('980', '12k', '3.1M')
    """
    if count < 10_000:
        return str(count)
    return f"{count / 1e3:.0f}k" if count < 1_000_000 else f"{count / 1e6:.1f}M"
