"""The config of a model folder, as transformers reads it, and where such a folder lies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import PretrainedConfig

from textkit.classify import model_folder
from textkit.classify.fitted import Fitted
from textkit.errors import UsageError
from textkit.io import hub


class TextkitConfig(PretrainedConfig):  # type: ignore[misc]
    """`config.json` of a model folder: labels, recipe, temperature, thresholds, and
    `problem_type`.

    It describes a model that exists; a new one comes from `textkit train` or TextClassifier.
    """

    model_type = "textkit"


def find_folder(name: str | Path, options: Mapping[str, Any]) -> Path:
    """Give the folder of a model: a local one, else the hub's, whose files are fetched.

    options: what `from_pretrained` was called with; `revision`, `token`, `cache_dir` and the like
    are obeyed. Raises ArtifactError where the hub does not give it.
    """
    folder = Path(name)
    if not folder.is_dir():
        asked = {key: options[key] for key in hub.OPTIONS if options.get(key) is not None}
        within = options.get("subfolder")
        if not within:
            return hub.fetch_sealed(str(name), **asked)
        folder = hub.fetch(str(name), patterns=[f"{within}/*"], **asked)
    return folder / (options.get("subfolder") or "")


def open_fitted(name: str | Path, options: Mapping[str, Any]) -> tuple[Fitted, Path]:
    """Open the model of a name, and give its folder; ArtifactError for one that is no model of
    textkit's.
    """
    folder = find_folder(name, options)
    allow = options.get("allow", ())
    if isinstance(allow, str):
        raise UsageError(f"allow is {allow!r}, expected a list of names")
    return model_folder.load(folder, allow=allow), folder
