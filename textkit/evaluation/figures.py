"""Pictures of an evaluation as PNG: the confusion matrix and the reliability diagram.

In: an Evaluation. Out: PNG files. matplotlib draws them, without a display and without its global state.
"""

from __future__ import annotations

import io
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from textkit import files
from textkit.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    from textkit.evaluation.confusion import Evaluation

BLUE, ORANGE, GREY = (
    "#0072B2",
    "#D55E00",
    "#7F7F7F",
)  # of Okabe and Ito's palette, which colour-blind people can tell apart
_NUMBERED_CLASSES = 40


def new_figure(width: float, height: float) -> Any:
    """Give an empty matplotlib figure, in inches.

    >>> new_figure(4, 3).get_size_inches().tolist()
    [4.0, 3.0]
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as err:
        raise MissingExtraError("matplotlib", needed_by="a picture", extra="train") from err
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Any, path: str | Path) -> None:
    """Write a figure as PNG; a script that the font lacks becomes boxes without a warning."""
    fonts = logging.getLogger("matplotlib.font_manager")
    before = fonts.level
    fonts.setLevel(logging.ERROR)
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    finally:
        fonts.setLevel(before)
    files.write_bytes(path, buffer.getvalue())


def plain(text: str, width: int) -> str:
    """Make a label safe for matplotlib: one line, printable, no formula, at most `width` characters.

    >>> plain("5 $ a\\nday", 24)
    '5 \\\\$ a?day'
    """
    from textkit.evaluation.confusion import shorten

    return "".join(c if c.isprintable() else "?" for c in shorten(text, width)).replace("$", "\\$")


def draw_confusion(evaluation: Evaluation, path: str | Path) -> None:
    """Draw the confusion matrix: rows are true classes, shade is the share of the row, numbers are counts."""
    n_true = len(evaluation.classes)
    n_known = n_true - evaluation.n_unseen  # what the model does not know it never predicts
    counts = evaluation.counts[:, :n_known]
    figure = new_figure(min(4.0 + 0.45 * n_known, 31.0), min(3.0 + 0.45 * n_true, 30.0))
    axes = figure.add_subplot()
    shares = counts / np.maximum(evaluation.support, 1)[:, None]
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [plain(name, 24) for name in evaluation.classes]
    axes.set_xticks(range(n_known), names[:n_known], rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(n_true), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(
        f"accuracy {evaluation.accuracy:.3f}, macro F1 {evaluation.macro_f1:.3f}, {evaluation.n_rows:,} rows"
    )
    for i, j in zip(*np.nonzero(counts), strict=True) if n_true <= _NUMBERED_CLASSES else ():
        colour = "white" if shares[i, j] > 0.5 else "black"
        axes.text(j, i, f"{counts[i, j]:,}", ha="center", va="center", color=colour, fontsize=8)
    figure.colorbar(image, label="share of the true class", shrink=0.8)
    save_figure(figure, path)


def draw_reliability(evaluation: Evaluation, path: str | Path) -> None:
    """Draw how often predictions of each probability are right, and how many there are of each.

    Raises DataError for an evaluation without probabilities.
    """
    if evaluation.scores is None:
        raise DataError("the evaluation has no probabilities; a reliability diagram needs them")
    bins = evaluation.scores.bins
    n_bins, filled = len(bins.rows), bins.rows > 0
    confidence, right = bins.confidence[filled] / bins.rows[filled], bins.right[filled] / bins.rows[filled]
    edges = np.arange(n_bins) / n_bins
    figure = new_figure(5.5, 6.5)
    upper, lower = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    upper.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="perfectly calibrated")
    width = 1 / n_bins
    upper.bar(edges[filled], right, width=width, align="edge", color=BLUE, alpha=0.35, edgecolor=BLUE)
    upper.plot(confidence, right, "o", color=BLUE, markersize=5, label="share right, at the mean probability")
    upper.vlines(confidence, right, confidence, color=ORANGE, linewidth=2, label="gap")
    upper.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share right")
    upper.legend(loc="upper left", frameon=False)
    upper.set_title(
        f"expected calibration error {bins.calibration_error:.3f}\n"
        f"mean probability {bins.confidence.sum() / max(evaluation.n_rows, 1):.3f}, accuracy {evaluation.accuracy:.3f}",
        fontsize=11,
    )
    lower.bar(edges, bins.rows, width=width, align="edge", color=GREY, edgecolor="white", linewidth=0.5)
    lower.set(xlabel="probability of the prediction", ylabel="rows")
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)
