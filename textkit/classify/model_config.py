"""The torch-free part of a model folder: its config and its manifest, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textkit.errors import ArtifactError, UsageError
from textkit.io import files
from textkit.recipe import Recipe, check_recipe
from textkit.registry import is_number
from textkit.tokenizers.protocol import (
    COMPRESSED_FORMAT,
    EXPORTED_KIND,
    MODEL_FORMAT,
    MODEL_KIND,
    TOKENIZER_FILES,
)

KIND, FORMAT = MODEL_KIND, MODEL_FORMAT
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
# Of an exported model.
GRAPH = "model.onnx"
ENGINES = ("numpy", "onnxruntime")
# Beside the weights: the buckets of hashed n-grams that the model numbers.
KEPT = "ngrams.kept"
PACKED_KEPT = "ngrams.kept.packed"


def check(folder: Path) -> dict[str, Any]:
    """Verify every file of a model folder; return its config."""
    if (folder / CONFIG).is_file() and not (folder / files.MANIFEST).exists():
        foreign = files.read_json(folder / CONFIG)
        model_type = foreign.get("model_type") if isinstance(foreign, dict) else None
        if model_type != "textkit":
            raise ArtifactError(
                f"model_type is {model_type!r}, expected 'textkit'", where=str(folder / CONFIG)
            )
    kind, format = _seal_of(folder)
    files.check_manifest(
        folder, kind=kind, format=format, reads=(CONFIG, WEIGHTS, GRAPH, *TOKENIZER_FILES)
    )
    config = files.read_json(folder / CONFIG)
    if not isinstance(config, dict) or config.get("model_type") != "textkit":
        found = config.get("model_type") if isinstance(config, dict) else None
        raise ArtifactError(
            f"model_type is {found!r}, expected 'textkit'", where=str(folder / CONFIG)
        )
    _check_values(config, where=str(folder / CONFIG))
    if ("engine" in config) != (kind == EXPORTED_KIND):
        raise ArtifactError(
            f"engine is {str(config.get('engine'))[:40]!r} in a folder of kind '{kind}'",
            where=str(folder / CONFIG),
        )
    return config


def _seal_of(folder: Path) -> tuple[str, int]:
    """Give the kind and the format that a folder is to have: an exported model's where it says so,
    else a model's.
    """
    if (folder / files.MANIFEST).is_file():
        manifest = files.read_json(folder / files.MANIFEST)
        if isinstance(manifest, dict) and manifest.get("kind") == EXPORTED_KIND:
            return EXPORTED_KIND, COMPRESSED_FORMAT
    return KIND, FORMAT


def _check_values(config: dict[str, Any], *, where: str) -> None:
    """Refuse what every reader of a config relies on where it is of another type."""
    labels, recipe = config.get("labels"), config.get("recipe")
    if not isinstance(labels, list) or not labels or not isinstance(recipe, dict):
        raise ArtifactError("no labels or no recipe in it", where=where)
    kinds = {type(label) for label in labels}
    if len(kinds) > 1 or not kinds <= {str, int, float, bool}:
        raise ArtifactError("labels are not all text, or all numbers", where=where)
    if len(set(labels)) < len(labels) or (float in kinds and not all(map(is_number, labels))):
        raise ArtifactError("a label is there twice, or is no number", where=where)
    if int in kinds and max(map(abs, labels)) >= 1 << 63:
        raise ArtifactError("a label is a number of more than 64 bits", where=where)
    for key, kind in (("textkit_version", str), ("vocab_size", int)):
        if type(config.get(key)) is not kind:
            shown = str(config.get(key))[:40]
            raise ArtifactError(f"{key} is {shown!r}, expected {kind.__name__}", where=where)
    if not isinstance(config.get("tokenizer_fingerprint", ""), str):
        raise ArtifactError("tokenizer_fingerprint is no text", where=where)


def read_recipe(config: dict[str, Any], folder: Path) -> Recipe:
    """Give the recipe in a config; ArtifactError where it is none."""
    try:
        return check_recipe(config["recipe"], where=str(folder / CONFIG))
    except UsageError as err:
        raise ArtifactError(str(err)) from err


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
