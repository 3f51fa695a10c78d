"""The pictures of the report as inline SVG, in the page's own colours, so that they follow its
light and dark.

In: an Evaluation, or its bins and counts. Out: SVG text; every name in it is escaped.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from textkit.evaluation.confusion import Evaluation
    from textkit.evaluation.histograms import Field, Histogram
    from textkit.evaluation.scores import Bins

# A larger matrix is a grey field; the table of the most frequent confusions says more.
MAX_CLASSES = 100
_NUMBERED_CELL = 26


def confusion_svg(evaluation: Evaluation) -> str:
    """Draw the matrix: a row a true class, blue where right, orange where wrong.

    The shade is the share of the row.
    """
    from textkit.evaluation.confusion import shorten

    n_true = len(evaluation.classes)
    n_known = n_true - evaluation.n_unseen
    cell = max(9.0, min(46.0, 720 / n_true))
    size = min(12.0, cell - 1)
    names = [shorten(name, 22) for name in evaluation.classes]
    margin = 18 + 0.62 * size * max(map(len, names))
    width, height = margin + n_known * cell + margin * 0.75, margin * 0.8 + n_true * cell + 8
    top = margin * 0.8
    parts = []
    shares = evaluation.counts / np.maximum(evaluation.support, 1)[:, None]
    faint = 0.1 if cell >= _NUMBERED_CELL else 0.3  # a small cell must still be seen
    for i, name in enumerate(names):
        middle = top + (i + 0.5) * cell
        parts.append(
            f'<text x="{margin - 8:.1f}" y="{middle:.1f}" text-anchor="end"'
            f' dominant-baseline="central">'
            f"{escape(name)}</text>"
        )
        if i < n_known:
            x = margin + (i + 0.5) * cell
            parts.append(
                f'<text transform="translate({x:.1f} {top - 8:.1f}) rotate(-45)"'
                f' dominant-baseline="central">'
                f"{escape(name)}</text>"
            )
    parts.append(
        f'<rect x="{margin:.1f}" y="{top:.1f}" width="{n_known * cell:.1f}"'
        f' height="{n_true * cell:.1f}"'
        ' class="field"/>'
    )
    for i, j in zip(*np.nonzero(evaluation.counts[:, :n_known]), strict=True):
        x, y, share, count = (
            margin + j * cell,
            top + i * cell,
            float(shares[i, j]),
            int(evaluation.counts[i, j]),
        )
        kind = "right" if i == j else "wrong"
        words = (
            f"{evaluation.classes[i]} → {evaluation.classes[j]}: {count:,} rows, {share:.1%}"
            f" of the class"
        )
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{cell - 1:.1f}" height="{cell - 1:.1f}"'
            f' class="{kind}"'
            f' fill-opacity="{faint + (1 - faint) * share:.3f}">'
            f"<title>{escape(words)}</title></rect>"
        )
        if cell >= _NUMBERED_CELL:
            shade = ' class="on"' if share > 0.5 else ""
            parts.append(
                f'<text x="{x + cell / 2:.1f}" y="{y + cell / 2:.1f}" text-anchor="middle"'
                f' dominant-baseline="central"'
                f' pointer-events="none"{shade}>{count}</text>'
            )
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" font-size="{size:.1f}"'
        f' role="img"'
        f' aria-label="confusion matrix">{"".join(parts)}</svg>'
    )


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
            f" them {share}"
        )
        parts.append(
            f"<g><title>{words}</title>"
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{step - 1:.1f}" height="{tall:.1f}"'
            f' class="right"'
            ' fill-opacity=".35"/>'
            f'<line x1="{dot:.1f}" y1="{y:.1f}" x2="{dot:.1f}" y2="{wanted:.1f}" class="gap"/>'
            f'<circle cx="{dot:.1f}" cy="{y:.1f}" r="3.5" class="right"/>'
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
