"""The drawing of a network: stages from the text to the answer, one below the other.

In: Stages, plain words and numbers. Out: an SVG or PNG picture, or the same as a mermaid diagram.
matplotlib draws it; no other program is needed.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textkit.evaluation.figures import new_figure, plain, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Fill and edge by kind, light enough for black words; the page round them is white.
COLOURS = {
    "text": ("#f2f2f2", "#7f7f7f"),
    "input": ("#e3f1e6", "#2f7d4a"),
    "embedding": ("#dcebf7", "#0072b2"),
    "encoder": ("#fbe6d4", "#d55e00"),
    "pooling": ("#efe2f0", "#9a5a9c"),
    "head": ("#fdf3d0", "#b08a00"),
    "answer": ("#f2f2f2", "#7f7f7f"),
}
_WIDTH, _LINE, _PAD, _GAP = 7.6, 0.215, 0.13, 0.44
_BOX_LEFT, _BOX_WIDTH = 0.3, 6.0
_CHARACTERS_INCH = 13.2
_MAX_LINES = 14


@dataclass(frozen=True)
class Box:
    """A part of a stage: its title and the lines below it."""

    title: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stage:
    """One step on the way: boxes side by side, what comes out of them, and their weights.

    kind: text, input, embedding, encoder, pooling, head or answer. shape: as "(batch, time, 64)".
    weights: as "208,192", or "" for none.
    """

    kind: str
    boxes: tuple[Box, ...]
    shape: str
    weights: str = ""


def draw_stages(stages: Sequence[Stage], path: str | Path, *, title: str) -> None:
    """Draw stages as .svg or .png, by the ending of the path."""
    heights = [_height(stage) for stage in stages]
    total = sum(heights) + _GAP * len(stages) + 0.62
    figure = new_figure(_WIDTH, total)
    axes = figure.add_subplot()
    axes.set_xlim(0, _WIDTH)
    axes.set_ylim(total, 0)
    axes.axis("off")
    axes.text(_BOX_LEFT, 0.28, plain(title, 70), fontsize=12, fontweight="bold", va="center")
    top = 0.56
    for stage, height in zip(stages, heights, strict=True):
        _draw_stage(axes, stage, top, height)
        _draw_arrow(axes, stage.shape, top + height, last=stage is stages[-1])
        top += height + _GAP
    save_figure(figure, path)


def mermaid(stages: Sequence[Stage]) -> str:
    """Write stages as a mermaid diagram, which GitHub and many editors draw.

    >>> stages = [Stage("text", (Box("text"),), "(batch,)"), Stage("head", (Box("head"),), "")]
    >>> print(mermaid(stages))
    flowchart TD
      s0b0["text"]
      s1b0["head"]
      s0b0 -->|"(batch,)"| s1b0
    """
    lines = ["flowchart TD"]
    for i, stage in enumerate(stages):
        weights = [f"{stage.weights} weights"] if stage.weights and len(stage.boxes) == 1 else []
        for j, box in enumerate(stage.boxes):
            words = "<br/>".join(_escape(line) for line in [box.title, *box.lines, *weights])
            lines.append(f'  s{i}b{j}["{words}"]')
    for i, (stage, following) in enumerate(itertools.pairwise(stages)):
        for j in range(len(stage.boxes)):
            arrow = f'  s{i}b{j} -->|"{_escape(stage.shape)}"| s{i + 1}b'
            lines += [f"{arrow}{k}" for k in range(len(following.boxes))]
    return "\n".join(lines)


def _escape(text: str) -> str:
    return (
        text.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")
    )


def _wrapped(box: Box, width: float) -> list[str]:
    room = max(int(width * _CHARACTERS_INCH) - 2, 8)
    lines = [part for line in box.lines for part in textwrap.wrap(line, room) or [""]]
    return lines if len(lines) <= _MAX_LINES else [*lines[: _MAX_LINES - 1], "..."]


def _box_width(stage: Stage) -> float:
    return (_BOX_WIDTH - 0.15 * (len(stage.boxes) - 1)) / len(stage.boxes)


def _height(stage: Stage) -> float:
    n_lines = max(len(_wrapped(box, _box_width(stage))) for box in stage.boxes)
    return 2 * _PAD + _LINE * (1 + n_lines)


def _draw_stage(axes: Axes, stage: Stage, top: float, height: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    fill, edge = COLOURS[stage.kind]
    width = _box_width(stage)
    for i, box in enumerate(stage.boxes):
        left = _BOX_LEFT + i * (width + 0.15)
        axes.add_patch(
            FancyBboxPatch(
                (left, top),
                width,
                height,
                boxstyle="round,pad=0,rounding_size=0.08",
                facecolor=fill,
                edgecolor=edge,
                linewidth=1.2,
            )
        )
        y = top + _PAD + _LINE / 2
        axes.text(
            left + 0.12, y, plain(box.title, 60), fontsize=9.5, fontweight="bold", va="center"
        )
        for line in _wrapped(box, width):
            y += _LINE
            axes.text(left + 0.12, y, plain(line, 100), fontsize=8, va="center", color="#333333")
    if stage.weights:
        axes.text(
            _BOX_LEFT + _BOX_WIDTH + 0.1,
            top + height / 2,
            f"{stage.weights}\nweights",
            fontsize=7.5,
            va="center",
            color="#444444",
        )


def _draw_arrow(axes: Axes, shape: str, top: float, *, last: bool) -> None:
    middle = _BOX_LEFT + _BOX_WIDTH / 2
    if not last:
        axes.annotate(
            "",
            xy=(middle, top + _GAP - 0.02),
            xytext=(middle, top + 0.02),
            arrowprops={"arrowstyle": "-|>", "color": "#555555", "linewidth": 1.1},
        )
    axes.text(
        middle + 0.14, top + _GAP / 2, plain(shape, 60), fontsize=8, va="center", color="#222222"
    )
