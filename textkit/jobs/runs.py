"""The run folder of a training: what was asked, what is learnt so far, what came out.

And how to go on with it.

`recipe.toml` repeats the run alone, `data.json` names the training file by its hash, `checkpoints/`
holds what resuming needs until the run is over, `metrics.jsonl` has a line an epoch, `run.json`
says what ran and how fast, `model/` is the result.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from textkit.errors import DataError, UsageError
from textkit.io import files
from textkit.recipe import Recipe, flatten, read_recipe

RECIPE, DATA, METRICS, REPORT, MODEL, CHECKPOINTS = (
    "recipe.toml",
    "data.json",
    "metrics.jsonl",
    "run.json",
    "model",
    "checkpoints",
)


def check_new(run: Path) -> None:
    """Refuse a folder that is somebody else's, or that holds a run which was stopped and could
    go on.
    """
    if run.exists() and (not run.is_dir() or (any(run.iterdir()) and not (run / RECIPE).exists())):
        raise UsageError(f"{run} exists and is no run folder; choose another -o")
    if (run / CHECKPOINTS).is_dir() and any((run / CHECKPOINTS).glob("step-*")):
        raise UsageError(
            f"{run} holds a run that is not over; go on with --resume, or remove"
            f" {run / CHECKPOINTS}"
        )


def open_again(run: Path, data: Path, chosen: Recipe | None) -> tuple[Recipe, bool]:
    """Give the recipe of a run to go on with, and whether it is over.

    Refuse another file or another recipe by name.
    """
    if not (run / RECIPE).is_file():
        raise UsageError(f"{run} holds no run to go on with; leave --resume out to start one")
    recipe = read_recipe(run / RECIPE, [])
    if chosen is not None and chosen != recipe:
        differences = _differences(recipe.model_dump(mode="json"), chosen.model_dump(mode="json"))
        raise UsageError(
            f"the run has another recipe: {'; '.join(differences)}; leave these options out, or"
            f" choose another -o"
        )
    known = files.read_json(run / DATA)
    if known["sha256"] != files.sha256(data):
        raise DataError(
            f"file has changed since the run began (it was {known['path']}); start a new run with"
            f" another -o",
            where=str(data),
        )
    over = (run / MODEL / "manifest.json").is_file() and not (run / CHECKPOINTS).exists()
    return recipe, over


def begin(run: Path, data: Path, recipe: Recipe) -> None:
    """Write what the run is to be."""
    files.write_text(run / RECIPE, recipe.to_toml())
    files.write_json(run / DATA, {"path": str(data), "sha256": files.sha256(data)})
    files.write_text(run / METRICS, "")


def write_metrics(run: Path, lines: list[dict[str, Any]]) -> None:
    """Write metrics.jsonl whole, so that it never holds half a line."""
    text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
    files.write_text(run / METRICS, text)


def _differences(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    old, new = flatten(then), flatten(now)
    return [
        f"{key} was {old.get(key)!r}, not {new.get(key)!r}"
        for key in {**old, **new}
        if old.get(key) != new.get(key)
    ]
