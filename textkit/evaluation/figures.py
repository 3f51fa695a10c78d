"""Pictures of an evaluation as PNG: confusion matrix, labels, reliability diagram, predictions
beside truths.

In: the evaluation of any task. Out: PNG files. matplotlib draws them, without a display and without
its global state.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from textkit.errors import DataError, require
from textkit.evaluation.confusion import Evaluation, shorten
from textkit.evaluation.drawings import MAX_CLASSES, is_numbered, shade
from textkit.evaluation.multilabel import MultiLabelEvaluation
from textkit.evaluation.regression import RegressionEvaluation
from textkit.evaluation.scores import FEW_ROWS, Bins
from textkit.io import files

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Of Okabe and Ito's palette, which colour-blind people can tell apart.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#7F7F7F"
_DRAWN_LABELS = 100
_DRAWN_OUTPUTS = 8


def new_figure(width: float, height: float) -> Figure:
    """Give an empty matplotlib figure, in inches.

    >>> new_figure(4, 3).get_size_inches().tolist()
    [4.0, 3.0]
    """
    require("matplotlib", needed_by="a picture")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG, or as SVG where the name ends so; a script that the font lacks becomes
    boxes without a warning.
    """
    from matplotlib import rc_context

    is_svg = Path(path).suffix.lower() == ".svg"
    facts = {"Date": None, "Creator": None} if is_svg else {"Software": None}
    fonts = logging.getLogger("matplotlib.font_manager")
    before = fonts.level
    fonts.setLevel(logging.ERROR)
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            with rc_context({"svg.hashsalt": "textkit"}):  # the same bytes on every run
                kind = "svg" if is_svg else "png"
                figure.savefig(buffer, format=kind, dpi=120, metadata=facts)
    finally:
        fonts.setLevel(before)
    files.write_bytes(path, buffer.getvalue())


def plain(text: str, width: int) -> str:
    """Make a label safe for matplotlib: one line, printable, no formula, at most `width`
    characters.

    >>> plain("5 $ a\\nday", 24)
    '5 \\\\$ a?day'
    """
    return "".join(c if c.isprintable() else "?" for c in shorten(text, width)).replace("$", "\\$")


def draw_confusion(evaluation: Evaluation, path: str | Path) -> None:
    """Draw the confusion matrix: rows are true classes, blue where right and orange where wrong,
    the shade grows with the share of the row, numbers are counts.

    Of more than 40 classes those with the most errors; long names, and those of many classes, are
    numbered.
    """
    from matplotlib.colors import to_rgb

    rows, columns = evaluation.arrange(MAX_CLASSES)
    counts = evaluation.counts[np.ix_(rows, columns)]
    names = [plain(evaluation.classes[i], 60) for i in rows]
    numbered = is_numbered(names)
    wide = 0.09 * max(map(len, names), default=0)
    figure = new_figure(max(1.6 + wide + 0.42 * len(columns), 5.5), 1.7 + 0.42 * len(rows))
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)
    axes = figure.add_subplot()
    shares = counts / np.maximum(evaluation.support[rows], 1)[:, None]
    picture = np.ones((*counts.shape, 3))
    for i, j in zip(*np.nonzero(counts), strict=True):
        opacity = shade(float(shares[i, j]))
        colour = np.array(to_rgb(BLUE if rows[i] == columns[j] else ORANGE))
        picture[i, j] = 1 - opacity + opacity * colour
        over = "white" if opacity > 0.6 else "black"
        axes.text(j, i, f"{counts[i, j]:,}", ha="center", va="center", color=over, fontsize=8)
    axes.imshow(picture)
    numbers = [str(i + 1) for i in range(len(rows))]
    if numbered:
        axes.set_xticks(range(len(columns)), numbers[: len(columns)])
        names = [f"{name}  {number}" for name, number in zip(names, numbers, strict=True)]
    else:
        axes.set_xticks(range(len(columns)), names[: len(columns)])
        axes.tick_params(axis="x", labelrotation=45)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_yticks(range(len(rows)), names)
    axes.tick_params(length=0)
    axes.set(xlabel="predicted", ylabel="true")
    n_known = len(evaluation.classes) - evaluation.n_unseen
    some = f"\nthe {MAX_CLASSES} classes of {n_known:,} with the most errors"
    figure.suptitle(
        f"accuracy {evaluation.accuracy:.3f}, macro F1 {evaluation.macro_f1:.3f},"
        f" {evaluation.n_rows:,} rows{some if n_known > MAX_CLASSES else ''}",
        fontsize=11,
    )
    save_figure(figure, path)


def draw_labels(evaluation: MultiLabelEvaluation, path: str | Path) -> None:
    """Draw F1, precision, recall and threshold of each label.

    Of more than 100 the most frequent.
    """
    chosen = np.argsort(-evaluation.support, kind="stable")[:_DRAWN_LABELS]
    places = np.arange(len(chosen))
    figure = new_figure(9, 1.9 + 0.26 * len(chosen))
    axes = figure.add_subplot()
    axes.barh(places, evaluation.f1[chosen], height=0.72, color=BLUE, alpha=0.35, label="F1")
    axes.plot(
        evaluation.precision[chosen],
        places,
        ">",
        color=BLUE,
        markersize=6,
        label="precision",
        clip_on=False,
    )
    axes.plot(
        evaluation.recall[chosen],
        places,
        "<",
        color=ORANGE,
        markersize=6,
        label="recall",
        clip_on=False,
    )
    if evaluation.thresholds is not None:
        known = chosen < evaluation.n_known
        limits = evaluation.thresholds[chosen[known]]
        axes.plot(
            limits,
            places[known],
            "|",
            color="black",
            markersize=11,
            markeredgewidth=1.6,
            label="threshold",
        )
    names = [f"{plain(evaluation.classes[i], 30)} ({evaluation.support[i]:,})" for i in chosen]
    axes.set_yticks(places, names)
    axes.set(xlim=(0, 1), ylim=(len(chosen) - 0.4, -0.6))
    axes.grid(axis="x", color="0.85", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="x", top=len(chosen) > 20, labeltop=len(chosen) > 20)
    axes.spines[["top", "right"]].set_visible(False)
    some = (
        f"; the {len(chosen)} most frequent of {len(evaluation.classes):,} labels"
        if len(chosen) < len(evaluation.classes)
        else ""
    )
    axes.set_title(
        f"micro F1 {evaluation.micro_f1:.3f}, macro F1 {evaluation.macro_f1:.3f},"
        f" {evaluation.n_rows:,} rows{some}",
        fontsize=11,
    )
    figure.legend(loc="outside upper center", ncols=4, frameon=False)
    save_figure(figure, path)


def draw_reliability(evaluation: Evaluation | MultiLabelEvaluation, path: str | Path) -> None:
    """Draw how often predictions of each probability are right, and how many there are of each.

    For multi-label these are all the pairs of a row and a label, right where the row has the label.
    Raises DataError for an evaluation without probabilities.
    """
    if evaluation.bins is None:
        raise DataError("the evaluation has no probabilities; a reliability diagram needs them")
    _draw_bins(evaluation.bins, path, pairs=isinstance(evaluation, MultiLabelEvaluation))


def _draw_bins(bins: Bins, path: str | Path, *, pairs: bool) -> None:
    n_bins, filled, n = len(bins.rows), bins.rows > 0, max(int(bins.rows.sum()), 1)
    confidence, right = (
        bins.confidence[filled] / bins.rows[filled],
        bins.right[filled] / bins.rows[filled],
    )
    share, total = ("share true", "labels true") if pairs else ("share right", "accuracy")
    edges = np.arange(n_bins) / n_bins
    figure = new_figure(5.5, 7.5)
    upper, lower = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    upper.plot(
        [0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="perfectly calibrated"
    )
    width = 1 / n_bins
    upper.bar(
        edges[filled], right, width=width, align="edge", color=BLUE, alpha=0.35, edgecolor=BLUE
    )
    lows, highs = (ends[filled] for ends in bins.intervals())
    upper.vlines(confidence, right, confidence, color=ORANGE, linewidth=2, label="gap")
    upper.vlines(confidence, lows, highs, color="black", linewidth=0.8, label="95 % interval")
    for few, fill, words in (
        (False, BLUE, ""),
        (True, "white", f", of fewer than {FEW_ROWS} rows"),
    ):
        chosen = bins.few[filled] == few
        if chosen.any():
            label = f"{share}, at the mean probability{words}"
            upper.plot(
                confidence[chosen], right[chosen], "o", color=BLUE, mfc=fill, ms=5, label=label
            )
    upper.set(xlim=(0, 1), ylim=(0, 1.02), ylabel=share)
    figure.legend(loc="outside lower center", frameon=False, fontsize=9)
    upper.set_title(
        f"expected calibration error {bins.calibration_error:.3f}\n"
        f"mean probability {bins.confidence.sum() / n:.3f}, {total} {bins.right.sum() / n:.3f}",
        fontsize=11,
    )
    lower.bar(
        edges, bins.rows, width=width, align="edge", color=GREY, edgecolor="white", linewidth=0.5
    )
    lower.set(xlabel=f"probability of {'a label' if pairs else 'the prediction'}", ylabel="rows")
    # Most labels are absent from most rows: the first bin holds nearly all pairs.
    if pairs and bins.rows.any():
        lower.set(yscale="log", ylim=(0.5, None), ylabel="rows × labels")
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def draw_regression(results: Mapping[str, RegressionEvaluation], path: str | Path) -> None:
    """Draw predictions beside truths, as counts, and a histogram of residuals.

    A row of both for each output.

    results: evaluations by the name of the output; of more than 8 the first are drawn.
    """
    drawn = list(results.items())[:_DRAWN_OUTPUTS]
    figure = new_figure(11, 5 * max(len(drawn), 1))
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)
    panels = figure.subplots(len(drawn), 2, squeeze=False)
    for (name, result), (left, right) in zip(drawn, panels, strict=True):
        _draw_field(figure, left, result)
        _draw_residuals(right, result)
        if len(results) > 1:
            left.set_title(f"{plain(name, 24)}: {left.get_title()}", fontsize=11)
    save_figure(figure, path)


def _draw_field(figure: Figure, axes: Axes, result: RegressionEvaluation) -> None:
    from matplotlib.colors import LinearSegmentedColormap, LogNorm

    field = result.field
    # The palest blues cannot be told from the page, and one row must be seen.
    shades = LinearSegmentedColormap.from_list("rows", ["#a6cde6", BLUE, "#002b45"])
    counts = np.ma.masked_equal(field.counts.T, 0)
    mesh = axes.pcolormesh(
        field.edges,
        field.edges,
        counts,
        cmap=shades,
        norm=LogNorm(1, max(int(field.counts.max()), 2)),
        rasterized=True,
    )
    ends = [field.edges[0], field.edges[-1]]
    axes.plot(ends, ends, color=ORANGE, linestyle="--", linewidth=1.2)
    axes.set(xlim=ends, ylim=ends, xlabel="true", ylabel="predicted", aspect="equal")
    axes.set_title(
        f"R² {_number(result.r2)}, {result.n_rows:,} rows{_outside(field.n_outside)}", fontsize=11
    )
    most = int(field.counts.max())
    ticks = [10**k for k in range(len(str(most))) if 10**k <= most / 2] + [max(most, 1)]
    bar = figure.colorbar(mesh, ax=axes, label="rows", shrink=0.8, ticks=ticks, format="{x:,.0f}")
    bar.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)


def _draw_residuals(axes: Axes, result: RegressionEvaluation) -> None:
    from matplotlib.ticker import MaxNLocator

    histogram = result.residuals
    widths = np.diff(histogram.edges)
    axes.bar(
        histogram.edges[:-1], histogram.counts, width=widths, align="edge", color=BLUE, alpha=0.6
    )
    axes.axvline(0, color=GREY, linestyle="--", linewidth=1)
    axes.axvline(result.bias, color=ORANGE, linewidth=2, label=f"mean {result.bias:.3g}")
    axes.set(
        xlim=(histogram.edges[0], histogram.edges[-1]),
        xlabel="residual: true − predicted",
        ylabel="rows",
    )
    axes.yaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True))
    axes.set_title(
        f"MAE {result.mae:.3g}, RMSE {result.rmse:.3g}{_outside(histogram.n_outside)}", fontsize=11
    )
    axes.legend(loc="upper right", frameon=False)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def _outside(n_rows: int) -> str:
    return f" ({n_rows:,} outside the picture)" if n_rows else ""
