"""The page of models side by side, and its curves as pictures.

In: a SideBySide. Out: one HTML page in light and dark, and a chart of the trainings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from textkit.errors import require
from textkit.evaluation.compare import Comparison
from textkit.evaluation.confusion import shorten
from textkit.evaluation.figures import new_figure, plain, save_figure
from textkit.evaluation.page import name_cell, table, text_cell, warn_unseen, write_page
from textkit.evaluation.paired import MetricDifference
from textkit.evaluation.side_by_side import Curve, Pair, SideBySide
from textkit.version import __version__

# Okabe and Ito's palette without black and yellow, which are lost on a dark or a light page.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F7F7F")
_STYLES = ("", "6 4", "2 3")


def write_side_by_side(found: SideBySide, path: str | Path, *, title: str) -> None:
    """Write the page: the table, neighbours, curves, the texts that the models differ on."""
    subtitle = f"{found.n_rows:,} rows, {len(found.models)} models, textkit {__version__}"
    sections = [
        _models(found),
        warn_unseen(found.unseen, "rows have a label that no model knows"),
        _neighbours(found),
        _curves(found),
        _changed(found),
    ]
    write_page(path, title, subtitle, sections)


def draw_side_by_side(found: SideBySide, path: str | Path) -> None:
    """Draw validation loss and score over the epochs, and accuracy over the number of training
    rows, as .png or .svg; of what nothing is known there is no panel.
    """
    require("matplotlib", needed_by="a picture")
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    panels = [panel for panel in _panels(found) if panel[2]]
    figure = new_figure(5.2 * max(len(panels), 1), 4.2)
    for i, (x, y, series) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), i + 1)
        for name, curve in series.items():
            colour, style = _manner(found, name)
            xs, ys = zip(*curve, strict=True)
            dashes = "-" if not style else (0, tuple(map(int, style.split())))
            axes.plot(xs, ys, color=colour, linestyle=dashes, marker="o", markersize=3)
        axes.set(xlabel=x, ylabel=y)
        if x == "epoch":
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        else:
            axes.set_xscale("log")
            places = _few(sorted({a for curve in series.values() for a, _ in curve}))
            axes.set_xticks(places, [f"{place:,.0f}" for place in places])
            axes.minorticks_off()
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    handles = []
    for model in found.models:
        colour, style = _manner(found, model.name)
        dashes = "-" if not style else (0, tuple(map(int, style.split())))
        handles.append(Line2D([], [], color=colour, linestyle=dashes, label=plain(model.name, 30)))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    save_figure(figure, path)


def _panels(found: SideBySide) -> list[tuple[str, str, dict[str, Curve]]]:
    """Give the words of both axes and the curves of each panel."""

    def named(key: str) -> dict[str, Curve]:
        return {m.name: m.curves[key] for m in found.models if m.curves.get(key)}

    sizes = {model.name: model.sizes for model in found.models if len(model.sizes) > 1}
    return [
        ("epoch", "validation loss", named("valid_loss")),
        ("epoch", "validation accuracy", named("valid_accuracy")),
        ("training rows", "accuracy on the file", sizes),
    ]


def _manner(found: SideBySide, name: str) -> tuple[str, str]:
    """Give the colour and the dashes of a model."""
    place = [model.name for model in found.models].index(name)
    turn, colour = divmod(place, len(_COLOURS))
    return _COLOURS[colour], _STYLES[turn % len(_STYLES)]


def _models(found: SideBySide) -> str:
    rows = [[name_cell(model.name), *model.cells().values()] for model in found.models]
    return "<h2>Models</h2>" + table(["model", *found.models[0].cells()], rows)


def _neighbours(found: SideBySide) -> str:
    rows: list[list[str]] = []
    counted = all(isinstance(pair, Comparison) for pair in found.neighbours)
    for pair, one, other in zip(found.neighbours, found.models, found.models[1:], strict=False):
        interval = pair.interval()
        rows.append(
            [
                name_cell(one.name),
                name_cell(other.name),
                f"{pair.difference:+.3f}",
                f"{interval.low:+.3f} to {interval.high:+.3f}",
                _p_value(pair),
            ]
        )
        if isinstance(pair, Comparison):
            rows[-1] += [f"{pair.only_first:,}", f"{pair.only_second:,}"]
    metric = [pair.metric for pair in found.neighbours if isinstance(pair, MetricDifference)]
    gain, test = (f"{metric[0]}, difference", "p") if metric else ("gain", "McNemar's p")
    heads = ["model", "compared with", gain, "95 % interval", test]
    words = (
        "Each model beside the next one of the table, on the same rows. A small p says that a"
        " difference as large as this one would seldom come from chance alone; among many"
        " comparisons some are small by chance."
    )
    if metric:
        words += " Intervals and p are of a paired bootstrap: rows are drawn, the same for both."
    heads += ["only the first right", "only the second"] if counted else []
    return f"<h2>Neighbours</h2><p>{words}</p>{table(heads, rows)}"


def _curves(found: SideBySide) -> str:
    charts = [
        lines_svg(series, {name: _manner(found, name) for name in series}, x=x, y=y)
        for x, y, series in _panels(found)
        if series
    ]
    if not charts:
        return ""
    legend = " ".join(
        '<span style="white-space:nowrap;margin-right:14px">'
        '<svg width="26" height="8" style="display:inline">'
        f'<line x1="0" x2="26" y1="4" y2="4" stroke-width="3" stroke="{colour}"'
        f' stroke-dasharray="{style}"/></svg> {escape(shorten(model.name, 40))}</span>'
        for model in found.models
        for colour, style in [_manner(found, model.name)]
    )
    return f'<h2>Curves</h2><p>{legend}</p><div class="pair">{"".join(charts)}</div>'


def _changed(found: SideBySide) -> str:
    if found.n_differing is None:
        return ""
    words = (
        f"{found.n_differing:,} of {found.n_rows:,} texts get different labels; those on which the"
        " models differ most come first."
    )
    if not found.changed:
        return f"<h2>Texts that differ</h2><p>{words}</p>"
    rows = [
        [
            f"{each.row:,}",
            text_cell(each.text),
            name_cell(each.truth),
            *(_label(label, each.truth) for label in each.labels),
        ]
        for each in found.changed
    ]
    heads = ["row", "text", "truth", *(shorten(model.name, 24) for model in found.models)]
    return f"<h2>Texts that differ</h2><p>{words}</p>{table(heads, rows)}"


def _label(label: str, truth: str) -> str:
    shown = escape(shorten(label, 60))
    return shown if label == truth else f"<b>✗&nbsp;{shown}</b>"


def _p_value(pair: Pair) -> str:
    return f"{pair.p_value:.3f}" if pair.p_value >= 0.001 else "&lt; 0.001"


def lines_svg(
    series: Mapping[str, Curve], manners: Mapping[str, tuple[str, str]], *, x: str, y: str
) -> str:
    """Draw curves as inline SVG; numbers of rows stand on a logarithmic scale.

    >>> chart = lines_svg({"a": [(1, 0.5), (2, 0.7)]}, {"a": ("#000", "")}, x="epoch", y="loss")
    >>> chart.count("<polyline")
    1
    """
    left, top, width, height = 70.0, 12.0, 380.0, 230.0
    known = [pair for curve in series.values() for pair in curve]

    def across(value: float) -> float:
        return value if x == "epoch" else math.log10(max(value, 1))

    low_x, high_x = _ends([across(a) for a, _ in known])
    low_y, high_y = _ends([b for _, b in known])
    parts = []
    for i in range(5):
        value = low_y + (high_y - low_y) * i / 4
        at = top + height * (1 - i / 4)
        parts.append(
            f'<line x1="{left}" x2="{left + width}" y1="{at:.1f}" y2="{at:.1f}" class="grid"/>'
            f'<text x="{left - 8}" y="{at:.1f}" text-anchor="end" dominant-baseline="central">'
            f"{value:.3g}</text>"
        )
    for place in _few(sorted({a for a, _ in known})):
        at = left + width * (across(place) - low_x) / (high_x - low_x)
        parts.append(
            f'<text x="{at:.1f}" y="{top + height + 18}" text-anchor="middle">{place:,.0f}</text>'
        )
    for name, curve in series.items():
        colour, style = manners[name]
        points = " ".join(
            f"{left + width * (across(a) - low_x) / (high_x - low_x):.1f},"
            f"{top + height * (1 - (b - low_y) / (high_y - low_y)):.1f}"
            for a, b in curve
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"'
            f' stroke-dasharray="{style}"><title>{escape(shorten(name, 60))}</title></polyline>'
        )
        parts += [
            '<circle cx="{}" cy="{}" r="3" fill="{}"/>'.format(*point.split(","), colour)
            for point in points.split()
        ]
    parts.append(
        f'<text x="{left + width / 2}" y="{top + height + 38}" text-anchor="middle">{x}</text>'
        f'<text transform="translate(12 {top + height / 2}) rotate(-90)" text-anchor="middle">{y}'
        "</text>"
    )
    return (
        f'<svg viewBox="0 0 {left + width + 24:.0f} {top + height + 46:.0f}"'
        f' width="{left + width + 24:.0f}" font-size="12" role="img" aria-label="{y}">'
        f"{''.join(parts)}</svg>"
    )


def _ends(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _few(places: Sequence[float]) -> Sequence[float]:
    """Leave at most eight of the places that are named, the last among them."""
    step = -(-len(places) // 8)
    return places[::-1][::step][::-1]
