"""The torch-free part of a model folder: its config and its manifest, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textkit.errors import ArtifactError
from textkit.io import files
from textkit.registry import is_number
from textkit.tokenizers.protocol import MODEL_FORMAT, MODEL_KIND, TOKENIZER_FILES

KIND, FORMAT = MODEL_KIND, MODEL_FORMAT
CONFIG = "config.json"
WEIGHTS = "model.safetensors"


def check(folder: Path) -> dict[str, Any]:
    """Verify every file of a model folder; return its config."""
    if (folder / CONFIG).is_file() and not (folder / files.MANIFEST).exists():
        foreign = files.read_json(folder / CONFIG)
        model_type = foreign.get("model_type") if isinstance(foreign, dict) else None
        if model_type != "textkit":
            raise ArtifactError(
                f"model_type is {model_type!r}, expected 'textkit'", where=str(folder / CONFIG)
            )
    files.check_manifest(
        folder, kind=KIND, format=FORMAT, reads=(CONFIG, WEIGHTS, *TOKENIZER_FILES)
    )
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


def read_calibration(config: dict[str, Any], folder: Path) -> tuple[float, list[float]]:
    """Give the temperature and the thresholds of a config.

    Raises ArtifactError for values with which no probability would mean anything: a temperature
    that is no number above 0, or thresholds that are not one share of 1 for each label.

    >>> read_calibration({"labels": ["a", "b"], "temperature": 2, "thresholds": [0.5, 0.4]}, Path())
    (2.0, [0.5, 0.4])
    """
    where = str(folder / CONFIG)
    temperature, thresholds = config.get("temperature", 1.0), config.get("thresholds", [])
    if not is_number(temperature) or temperature <= 0:
        raise ArtifactError(
            f"temperature is {temperature!r}, expected a number above 0", where=where
        )
    n_labels = len(config["labels"])
    is_whole = isinstance(thresholds, list) and len(thresholds) in (0, n_labels)
    if not is_whole or not all(is_number(share) and 0 <= share <= 1 for share in thresholds):
        raise ArtifactError(
            f"thresholds are {str(thresholds)[:80]}, expected {n_labels} numbers from 0 to 1",
            where=where,
        )
    return float(temperature), [float(share) for share in thresholds]
