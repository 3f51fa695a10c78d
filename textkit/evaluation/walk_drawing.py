"""One text walked through a network, as a picture: its tokens with ids and mask, what each stage
gives as a heat map, and where attention looks.

In: a Walk, plain numpy. Out: an SVG or PNG picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from textkit.evaluation.confusion import shorten
from textkit.evaluation.figures import BLUE, GREY, new_figure, plain, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Tokens and labels that a picture has room for, and heads of a block.
SHOWN_TOKENS, _SHOWN_LABELS, _SHOWN_HEADS = 32, 20, 4


@dataclass(frozen=True)
class Panel:
    """One thing to look at.

    kind: "states" (time, dim), "attention" (heads, time, time), "weights" (time,), "vector" (dim,)
    or "logits" (n_outputs,). shape: as the network has it, with the batch of one.
    """

    kind: str
    title: str
    values: NDArray[np.float64]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Walk:
    """What one text becomes, stage by stage.

    tokens: as the vocabulary spells them, padding included. ids, mask: (time,). names: of outputs.
    """

    text: str
    tokens: tuple[str, ...]
    ids: tuple[int, ...]
    mask: tuple[bool, ...]
    panels: tuple[Panel, ...]
    names: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Give everything as plain JSON values."""
        return {
            "text": self.text,
            "tokens": list(self.tokens),
            "ids": list(self.ids),
            "mask": list(self.mask),
            "stages": [
                {
                    "kind": panel.kind,
                    "title": panel.title,
                    "shape": list(panel.shape),
                    "values": panel.values.tolist(),
                }
                for panel in self.panels
            ],
            "names": list(self.names),
        }


def draw_walk(walk: Walk, path: str | Path) -> None:
    """Draw a walk as .svg or .png; of a long text the first tokens, which the title says."""
    n = min(len(walk.tokens), SHOWN_TOKENS)
    heights = [1.0] + [_height(panel, n) for panel in walk.panels]
    figure = new_figure(max(8.0, 2.2 + 0.42 * n), sum(heights) + 0.5 * len(heights) + 0.5)
    cut = f" (the first {n} of {len(walk.tokens)} tokens)" if n < len(walk.tokens) else ""
    figure.suptitle(plain(walk.text, 80) + cut, fontsize=11, ha="left", x=0.02)
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    _draw_tokens(figure.add_subplot(grid[0]), walk, n)
    for i, panel in enumerate(walk.panels, start=1):
        place = grid[i]
        if panel.kind == "attention":
            _draw_heads(figure, place, panel, walk, n)
            continue
        axes = figure.add_subplot(place)
        axes.set_title(f"{panel.title}  {panel.shape}", fontsize=9, loc="left")
        _DRAWERS[panel.kind](axes, panel, walk, n)
    save_figure(figure, path)


def _height(panel: Panel, n: int) -> float:
    n_names = min(len(panel.values), _SHOWN_LABELS)
    heights = {"states": 1.5, "weights": 0.7, "vector": 0.35, "logits": 0.3 + 0.22 * n_names}
    return heights.get(panel.kind, min(1.5 + 0.12 * n, 3.0))


def _draw_tokens(axes: Axes, walk: Walk, n: int) -> None:
    axes.set_xlim(-0.5, n - 0.5)
    axes.set_ylim(3.2, -0.6)
    axes.set_yticks([0.2, 1.7, 2.7], ["token", "id", "mask"], fontsize=8)
    axes.set_xticks([])
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    for i in range(n):
        ink = "black" if walk.mask[i] else GREY
        token = plain(walk.tokens[i], 12)
        turn: dict[str, Any] = {"rotation": 35, "ha": "center", "va": "center"}
        axes.text(i, 0.2, token, fontsize=7.5, color=ink, **turn)
        axes.text(i, 1.7, str(walk.ids[i]), fontsize=7, color=ink, ha="center", va="center")
        axes.text(i, 2.7, str(int(walk.mask[i])), fontsize=7, color=ink, ha="center", va="center")


def _draw_states(axes: Axes, panel: Panel, walk: Walk, n: int) -> None:
    values = panel.values[:n].T
    bound = float(np.abs(values).max(initial=0.0)) or 1.0
    axes.imshow(
        values, aspect="auto", cmap="RdBu", vmin=-bound, vmax=bound, interpolation="nearest"
    )
    _name_tokens(axes, walk, n)
    axes.set_ylabel("feature", fontsize=7)
    axes.tick_params(labelsize=7)


def _draw_weights(axes: Axes, panel: Panel, walk: Walk, n: int) -> None:
    axes.bar(range(n), panel.values[:n], color=BLUE, width=0.8)
    axes.set_xlim(-0.5, n - 0.5)
    _name_tokens(axes, walk, n)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_vector(axes: Axes, panel: Panel, walk: Walk, n: int) -> None:
    bound = float(np.abs(panel.values).max(initial=0.0)) or 1.0
    axes.imshow(
        panel.values[None, :],
        aspect="auto",
        cmap="RdBu",
        vmin=-bound,
        vmax=bound,
        interpolation="nearest",
    )
    axes.set_yticks([])
    axes.tick_params(labelsize=7)


def _draw_logits(axes: Axes, panel: Panel, walk: Walk, n: int) -> None:
    order = np.argsort(-panel.values, kind="stable")[:_SHOWN_LABELS]
    axes.barh(range(len(order)), panel.values[order], color=BLUE)
    names = [plain(shorten(walk.names[i], 24), 24) for i in order.tolist()]
    axes.set_yticks(range(len(order)), names, fontsize=7)
    axes.invert_yaxis()
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_heads(figure: Any, place: Any, panel: Panel, walk: Walk, n: int) -> None:
    """Draw the heads of a block side by side: a row looks at columns, the darker the more."""
    n_heads = min(len(panel.values), _SHOWN_HEADS)
    inner = place.subgridspec(1, n_heads)
    for head in range(n_heads):
        axes = figure.add_subplot(inner[head])
        axes.imshow(panel.values[head, :n, :n], cmap="Blues", vmin=0, interpolation="nearest")
        of = f" of {len(panel.values)}" if len(panel.values) > n_heads else ""
        axes.set_title(f"head {head + 1}{of}", fontsize=8, loc="left")
        if head == 0:
            axes.set_ylabel(f"{panel.title}\n{panel.shape}", fontsize=8)
        names = [plain(token, 10) for token in walk.tokens[:n]]
        size = 6 if n <= 20 else 4
        axes.set_xticks(range(n), names, rotation=90, fontsize=size)
        axes.set_yticks(range(n), names if head == 0 else [""] * n, fontsize=size)
        axes.tick_params(length=0)


def _name_tokens(axes: Axes, walk: Walk, n: int) -> None:
    axes.set_xticks(range(n), [""] * n)


_DRAWERS = {
    "states": _draw_states,
    "weights": _draw_weights,
    "vector": _draw_vector,
    "logits": _draw_logits,
}


def render_walk(walk: Walk, *, n: int = 12) -> str:
    """Write a walk as lines: tokens with ids, then the shape of each stage."""
    pairs: Sequence[str] = [
        f"{token}:{id_}" if real else f"({token}:{id_})"
        for token, id_, real in zip(walk.tokens, walk.ids, walk.mask, strict=True)
    ]
    more = f" ... {len(pairs) - n} more" if len(pairs) > n else ""
    lines = [f"tokens with ids, padding in brackets: {' '.join(pairs[:n])}{more}"]
    lines += [f"{panel.title:32} {panel.shape}" for panel in walk.panels]
    return "\n".join(lines)
