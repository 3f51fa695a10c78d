"""The torch-free part of a model folder: its config and its manifest, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textkit.errors import ArtifactError
from textkit.io import files

FORMAT = 2
KIND = "model"
CONFIG = "config.json"


def check(folder: Path) -> dict[str, Any]:
    """Verify every file of a model folder; return its config."""
    if (folder / CONFIG).is_file() and not (folder / files.MANIFEST).exists():
        foreign = files.read_json(folder / CONFIG)
        model_type = foreign.get("model_type") if isinstance(foreign, dict) else None
        if model_type != "textkit":
            raise ArtifactError(
                f"model_type is {model_type!r}, expected 'textkit'", where=str(folder / CONFIG)
            )
    files.check_manifest(folder, kind=KIND, format=FORMAT)
    config = files.read_json(folder / CONFIG)
    if not isinstance(config, dict) or config.get("model_type") != "textkit":
        found = config.get("model_type") if isinstance(config, dict) else None
        raise ArtifactError(
            f"model_type is {found!r}, expected 'textkit'", where=str(folder / CONFIG)
        )
    labels = config.get("labels")
    if not isinstance(labels, list) or not labels or not isinstance(config.get("recipe"), dict):
        raise ArtifactError("no labels or no recipe in it", where=str(folder / CONFIG))
    return config
