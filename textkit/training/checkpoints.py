"""Checkpoints: all that a training needs to go on as if it had never stopped.

JSON and safetensors, hashed, atomic.

A checkpoint is a folder `step-000000123` with `tensors.safetensors`, `state.json` and a manifest.
The newest two are kept: when the newest is damaged the one before is taken, and the damage is said.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict, cast

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from textkit.errors import ArtifactError, UsageError
from textkit.io import files
from textkit.io.exchange import remove_folder
from textkit.recipe import Recipe, flatten
from textkit.registry import is_number
from textkit.watch import Ended

FORMAT = 1
KIND = "checkpoint"
_TENSORS, _STATE = "tensors.safetensors", "state.json"
_KEPT = 2
# Keys of the training section that a resumed run may change: they do not change what a step does.
_FREE_KEYS = ("time_limit", "checkpoint_seconds")


# What a checkpoint belongs to: the recipe, and the fingerprints of the encoded rows.
Identity = TypedDict(
    "Identity", {"recipe": dict[str, object], "training rows": str, "validation rows": str}
)


class SavedState(TypedDict):
    """The numbers of a training between two steps, as JSON; see TrainingState."""

    epoch: int
    batches_done: int
    steps: int
    loss_sum: float
    tokens_seen: int
    seconds: float
    train_seconds: float
    ended: Ended
    best: int | None
    epochs: list[dict[str, float]]
    scaler: dict[str, object] | None
    identity: Identity


@dataclass(frozen=True)
class Checkpoint:
    """parts: tensors of the network, the optimiser's slots and so on, by part and name.

    state: all else.
    """

    parts: dict[str, dict[str, Tensor]]
    state: SavedState


def save(folder: Path, checkpoint: Checkpoint, *, step: int) -> Path:
    """Write a checkpoint whole, then let go of all but the newest two."""
    target = folder / f"step-{step:09}"
    for leftover in folder.glob(".step-*"):  # what a killed process left half written
        shutil.rmtree(leftover, ignore_errors=True)
    tensors = {
        f"{part}/{name}": value.detach().cpu().contiguous()
        for part, values in sorted(checkpoint.parts.items())
        for name, value in sorted(values.items())
    }
    with files.atomic_folder(target, overwrite=True) as temporary:
        files.write_bytes(temporary / _TENSORS, save_tensors(tensors))
        files.write_json(temporary / _STATE, checkpoint.state)
        files.write_manifest(temporary, kind=KIND, format=FORMAT)
    for old in _folders(folder)[_KEPT:]:
        remove_folder(old)
    return target


def load_newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """Give the newest whole checkpoint, or None, and a line for each damaged one that was passed
    over.
    """
    problems: list[str] = []
    for path in _folders(folder):
        try:
            files.check_manifest(path, kind=KIND, format=FORMAT, reads=(_TENSORS, _STATE))
            tensors = load_tensors((path / _TENSORS).read_bytes())
            parts: dict[str, dict[str, Tensor]] = {}
            for name, value in tensors.items():
                part, _, key = name.partition("/")
                parts.setdefault(part, {})[key] = value
            _check_finite(tensors, where=str(path / _TENSORS))
            return Checkpoint(parts, _read_state(path / _STATE)), problems
        except (ArtifactError, SafetensorError) as err:
            problems.append(f"checkpoint passed over: {err}")
    return None, problems


def _check_finite(tensors: dict[str, Tensor], *, where: str) -> None:
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise ArtifactError(f"{name} holds NaN or infinity", where=where)


def _read_state(path: Path) -> SavedState:
    """Read the numbers of a checkpoint; ArtifactError where one is missing or of another type."""
    state = files.read_json(path)
    whole = ("epoch", "batches_done", "steps", "tokens_seen")
    shares = ("loss_sum", "seconds", "train_seconds")
    if not isinstance(state, dict):
        raise ArtifactError("not the state of a training", where=str(path))
    for key in (*whole, *shares):
        value = state.get(key)
        if not is_number(value) or value < 0 or (key in whole and not isinstance(value, int)):
            if key == "loss_sum" and is_number(value):
                continue
            raise ArtifactError(f"{key} is {str(value)[:40]}, expected a number", where=str(path))
    identity, epochs = state.get("identity"), state.get("epochs")
    named_rows = ("training rows", "validation rows")
    if (
        not isinstance(identity, dict)
        or not isinstance(identity.get("recipe"), dict)
        or not all(isinstance(identity.get(name), str) for name in named_rows)
    ):
        raise ArtifactError("identity names no recipe and rows", where=str(path))
    if not isinstance(epochs, list) or not all(map(_is_epoch, epochs)):
        raise ArtifactError("epochs are no list of tables of numbers", where=str(path))
    is_known = state.get("ended") in ("epochs", "early")
    best, scaler = state.get("best"), state.get("scaler")
    if not is_known or not isinstance(best, int | None) or not isinstance(scaler, dict | None):
        raise ArtifactError("ended, best or scaler is of another type", where=str(path))
    return cast(SavedState, state)


def _is_epoch(values: object) -> bool:
    """Tell whether values are what `Epoch.to_dict` gives."""
    own = ("epoch", "train_loss", "valid_loss", "padding_share", "lr")
    return (
        isinstance(values, dict)
        and all(name in values for name in own)
        and all(map(is_number, values.values()))
        and isinstance(values["epoch"], int)
    )


def newest(folder: Path) -> Path | None:
    """Name the newest checkpoint's folder.

    >>> newest(Path("nowhere")) is None
    True
    """
    return next(iter(_folders(folder)), None)


def identity(recipe: Recipe, *, rows: str, valid_rows: str) -> Identity:
    """Name what a checkpoint belongs to."""
    values = recipe.model_dump(mode="json")
    training = {key: value for key, value in values["training"].items() if key not in _FREE_KEYS}
    return {
        "recipe": {**values, "training": training},
        "training rows": rows,
        "validation rows": valid_rows,
    }


def check_identity(found: Identity, expected: Identity) -> None:
    """Refuse to go on with other rows or another recipe, and name what differs."""
    then, now = flatten(found["recipe"]), flatten(expected["recipe"])
    changed = [
        f"{key} was {then.get(key)!r} and is {now.get(key)!r}"
        for key in now
        if then.get(key) != now[key]
    ]
    rows: tuple[Literal["training rows", "validation rows"], ...] = (
        "training rows",
        "validation rows",
    )
    changed += [f"the {name} have changed" for name in rows if found[name] != expected[name]]
    if changed:
        raise UsageError(
            f"cannot go on from the checkpoint: {'; '.join(changed)}; start a new run with another"
            f" -o"
        )


def _folders(folder: Path) -> list[Path]:
    """List the checkpoints, the newest first."""
    return sorted(folder.glob("step-*[0-9]"), reverse=True)
