"""The chart of profiles: time by stage, latency by batch size, growth with length, side by side.

In: numbers by model, in milliseconds. Out: an SVG or PNG picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from textkit.evaluation.figures import new_figure, plain, save_figure

# Okabe and Ito's palette, in the order of the stages.
_COLOURS = ("#999999", "#E69F00", "#F0E442", "#56B4E9", "#0072B2", "#009E73", "#D55E00", "#CC79A7")


def draw_profiles(
    names: Sequence[str],
    stages: Sequence[Mapping[str, float]],
    latencies: Sequence[Mapping[int, float]],
    growth: Sequence[tuple[Sequence[int], Sequence[float], float]],
    path: str | Path,
) -> None:
    """Draw three panels; each sequence has an entry a model."""
    figure = new_figure(9.5, 2.4 + 0.55 * len(names) + 3.4)
    grid = figure.add_gridspec(2, 2, height_ratios=[1.2 + 0.42 * len(names), 3.4])
    shown = [plain(name, 36) for name in names]
    bars = figure.add_subplot(grid[0, :])
    known = list(dict.fromkeys(stage for each in stages for stage in each))
    starts = [0.0] * len(names)
    for stage, colour in zip(known, _COLOURS, strict=False):
        widths = [each.get(stage, 0.0) for each in stages]
        bars.barh(range(len(names)), widths, left=starts, color=colour, label=stage)
        starts = [start + width for start, width in zip(starts, widths, strict=True)]
    bars.set_yticks(range(len(names)), shown)
    bars.invert_yaxis()
    bars.set_xlabel("milliseconds a text, by stage")
    bars.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    left, right = figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[1, 1])
    for i, (name, latency, (words, taken, exponent)) in enumerate(
        zip(shown, latencies, growth, strict=True)
    ):
        colour = _COLOURS[(4 + i) % len(_COLOURS)]
        left.plot(list(latency), list(latency.values()), "o-", color=colour, label=name)
        right.plot(words, taken, "o-", color=colour, label=f"{name}: power {exponent:.2f}")
    left.set_xlabel("texts at a time")
    left.set_ylabel("median latency, milliseconds")
    right.set_xlabel("words of a text")
    right.set_ylabel("milliseconds")
    right.set_xscale("log", base=2)
    right.set_yscale("log")
    for axes in (left, right):
        axes.grid(alpha=0.25)
    for axes in (bars, left, right):
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = right.get_legend_handles_labels()  # below, where no line runs through it
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    save_figure(figure, path)
