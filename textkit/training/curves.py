"""Learning curves: the lines of a run's metrics.jsonl as a picture.

In: metrics.jsonl, a line an epoch with `epoch`, `train_loss`, `valid_loss`, scores as `valid_NAME`
and maybe `lr`. Out: a PNG: losses above, scores below, the learning rate where it changes, and at
the bottom what health.jsonl says of gradients, updates and dead units.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from textkit.errors import DataError, require
from textkit.evaluation.figures import BLUE, GREY, ORANGE, new_figure, plain, save_figure
from textkit.io.packed import open_bytes
from textkit.watch import Epoch, Health, Step

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#56B4E9", "#E69F00")


def draw_curves(
    metrics_path: str | Path, png_path: str | Path, *, health: str | Path | None = None
) -> None:
    """Draw the curves of a run; epochs whose value is missing or not finite leave a gap.

    health: the run's health.jsonl, if it is there.

    Raises DataError for a file without lines, or a line that is no JSON object with an epoch.

    >>> line = '{"epoch": %d, "train_loss": %f, "valid_loss": 0.8, "valid_accuracy": 0.7}'
    >>> lines = "".join(line % (i, 1 / i) + chr(10) for i in (1, 2, 3))
    >>> _ = Path("metrics.jsonl").write_text(lines, encoding="utf-8")
    >>> draw_curves("metrics.jsonl", "curves.png")
    >>> Path("curves.png").read_bytes()[1:4]
    b'PNG'
    """
    rows = read_metrics(metrics_path)
    losses = [name for name in ("train_loss", "valid_loss") if any(name in row for row in rows)]
    scores = sorted(
        {name for row in rows for name in row if name.startswith("valid_")} - {"valid_loss"}
    )
    rates = sorted({row["lr"] for row in rows if "lr" in row})
    groups = [
        (losses, "loss"),
        (scores, "score"),
        (["lr"] if len(rates) > 1 else [], "learning rate"),
    ]
    if health is not None and Path(health).is_file():
        inside = _sum_up(read_metrics(health))
        rows = [row | inside.get(row["epoch"], {}) for row in rows]
        names = list(dict.fromkeys(name for row in inside.values() for name in row))
        groups += [
            ([name for name in names if name.startswith(start)], title)
            for start, title in (
                ("gradient", "gradient"),
                ("update", "update / weights"),
                ("dead", "dead units"),
            )
        ]
    shown = [(names, title) for names, title in groups if names]
    if not shown:
        raise DataError("no line has a loss or a score to draw", where=str(metrics_path))
    figure = new_figure(7.5, 1.2 + 2.6 * len(shown))
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (names, title) in zip(panels, shown, strict=True):
        for name, colour in zip(names, _cycle(len(names)), strict=True):
            _draw(axes, rows, name, GREY if name == "lr" else colour)
        axes.set_ylabel(title)
        axes.margins(x=0.02, y=0.1)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if title in ("gradient", "update / weights"):
            axes.set_yscale("log")
        if title == "dead units":
            axes.set_ylim(-0.02, 1.02)
        if title != "learning rate":
            axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    panels[0].set_title(f"learning curves, {len(rows):,} epochs", loc="left", fontsize=11)
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.get_major_locator().set_params(integer=True)
    save_figure(figure, png_path)


def read_metrics(path: str | Path) -> list[dict[str, float]]:
    """Read the numbers of each line; values that are no numbers are left out.

    >>> line = '{"epoch": 1, "train_loss": 0.5, "note": "x"}'
    >>> _ = Path("m.jsonl").write_text(line, encoding="utf-8")
    >>> read_metrics("m.jsonl")
    [{'epoch': 1, 'train_loss': 0.5}]
    """
    rows = []
    with open_bytes(Path(path)) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                values: object = json.loads(line)
            except (ValueError, RecursionError) as err:
                raise DataError(f"not valid JSON: {err}", where=f"{path}:{number}") from err
            if not isinstance(values, dict) or not _is_number(values.get("epoch")):
                raise DataError("expected a JSON object with an epoch", where=f"{path}:{number}")
            rows.append({name: value for name, value in values.items() if _is_number(value)})
    if not rows:
        raise DataError("no epochs to draw", where=str(path))
    return rows


def _sum_up(rows: list[dict[str, float]]) -> dict[float, dict[str, float]]:
    """Give the numbers of each epoch: the norm of the gradients, and the extremes of each part."""
    known = {"update_ratio": "update", "dead_share": "dead"}
    summed: dict[float, dict[str, float]] = {}
    for row in rows:
        values = summed.setdefault(row["epoch"], {})
        if row.get("gradient_norm", 0.0) > 0:
            values["gradient norm"] = row["gradient_norm"]
        for key, value in row.items():
            name, _, layer = key.partition(".")
            if name in known and (value > 0 or name == "dead_share"):
                part = f"{known[name]} {layer.partition('.')[0]}"
                values[part] = max(values.get(part, 0.0), value)
    return summed


def _draw(axes: Axes, rows: list[dict[str, float]], name: str, colour: str) -> None:
    """Draw a line; of a validation score the legend says the best epoch, which has a ring."""
    epochs = [row["epoch"] for row in rows]
    values = [row.get(name, math.nan) for row in rows]
    known = [
        (value, epoch) for value, epoch in zip(values, epochs, strict=True) if not math.isnan(value)
    ]
    label = plain(name.replace("_", " "), 28)
    if known and name.startswith("valid_"):
        falling = name in ("valid_loss", "valid_mae")
        value, epoch = min(known) if falling else max(known, key=lambda pair: (pair[0], -pair[1]))
        axes.plot(epoch, value, "o", markersize=9, markerfacecolor="none", markeredgecolor=colour)
        label += f"\nbest {value:.3f}, epoch {epoch:g}"
    style = "--" if name == "train_loss" else "-"
    axes.plot(
        epochs, values, style, color=colour, marker="o", markersize=3.5, linewidth=1.6, label=label
    )


def _cycle(n: int) -> list[str]:
    return [_COLOURS[i % len(_COLOURS)] for i in range(n)]


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


class Board:
    """Writes events into a folder; give `step` and `epoch` to a Watch."""

    def __init__(self, folder: Path) -> None:
        require("tensorboard", needed_by="--tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def step(self, step: Step) -> None:
        """Log one step."""
        for name, value in (
            ("loss", step.loss),
            ("lr", step.lr),
            ("tokens_per_second", step.tokens_per_second),
        ):
            self._writer.add_scalar(f"train/{name}", value, step.done)

    def epoch(self, epoch: Epoch) -> None:
        """Log one epoch, and flush."""
        for name, value in {
            "train_loss": epoch.train_loss,
            "loss": epoch.valid_loss,
            **epoch.scores,
        }.items():
            self._writer.add_scalar(f"valid/{name}", value, epoch.epoch)
        self._writer.flush()

    def health(self, health: Health) -> None:
        """Log what went on inside the network in an epoch, a scalar a layer."""
        add, epoch = self._writer.add_scalar, health.epoch
        add("inside/gradient_norm", health.gradient_norm, epoch)
        add("inside/clipped_share", health.clipped_share, epoch)
        for name in ("update_ratio", "activation", "dead_share"):
            for layer, value in getattr(health, name).items():
                add(f"{name}/{layer}", value, epoch)

    def close(self) -> None:
        """End the file."""
        self._writer.close()
