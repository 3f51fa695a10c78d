"""The model folder: save and load a Fitted as JSON and safetensors, nothing that can run
code.

`config.json` holds the labels and the whole recipe, `model.safetensors` the weights,
`tokenizer.json` and `tokenizer_config.json` the tokenizer, `manifest.json` the format number and
the SHA-256 of every file. The layout is Hugging Face's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from textkit.classify.ensemble import EnsembleModel, EnsembleOptions
from textkit.classify.exported import open_exported
from textkit.classify.fitted import Fitted, Model
from textkit.classify.linear import LinearModel
from textkit.classify.model_config import (
    CONFIG,
    check,
    read_calibration,
    read_recipe,
)
from textkit.errors import ArtifactError, require
from textkit.io import files, hub, zipped
from textkit.recipe import check_code
from textkit.registry import is_whole
from textkit.tokenizers.description import CONFIG_JSON
from textkit.version import __version__

# By which transformers reads the ids of such a folder (textkit/integrations/transformers).
TOKENIZER_CLASS = "TextkitTokenizer"
# Hugging Face's names of the tasks.
PROBLEM_TYPES = {
    "single-label": "single_label_classification",
    "multi-label": "multi_label_classification",
    "regression": "regression",
}


def save(fitted: Fitted, folder: str | Path, *, overwrite: bool = False) -> None:
    """Write the whole folder under a temporary name, seal it, and give it its name.

    A folder that holds other finished work is refused unless `overwrite` says so.
    """
    with files.atomic_folder(folder, overwrite=overwrite) as temporary:
        write(fitted, temporary)
        seal(fitted, temporary)


def write(fitted: Fitted, folder: Path) -> None:
    """Write the files of a model into a folder, which `seal` then closes."""
    files.write_json(folder / CONFIG, _config(fitted))
    fitted.model.write(folder)
    if isinstance(fitted.model, EnsembleModel):
        members = fitted.model.members
        for member, place in zip(members, EnsembleModel.places(folder, len(members)), strict=True):
            write(member, place)
            seal(member, place)
    # Its own class would know neither the cut nor the n-grams.
    if (folder / CONFIG_JSON).is_file():
        said = files.read_object(folder / CONFIG_JSON)
        files.write_json(folder / CONFIG_JSON, {**said, "tokenizer_class": TOKENIZER_CLASS})


def seal(fitted: Fitted, folder: Path, *, facts: Mapping[str, object] | None = None) -> None:
    """Write the manifest of a model's files, and further facts about the whole."""
    kind, format = fitted.model.seal
    files.write_manifest(folder, kind=kind, format=format, facts=facts)


def load(folder: str | Path, *, allow: Sequence[str] = ()) -> Fitted:
    """Check a model folder against its manifest and open it, an exported one or a .zip of one too;
    that of a name `hf:USER/NAME` is fetched from the hub.

    allow: each `package.module:Name` of the model that may be imported.

    Raises ArtifactError that names the file which is missing, changed, of a newer format or not
    textkit's, and code that the model names and `allow` does not.
    """
    with zipped.unzipped(hub.find_folder(folder)) as place:
        return open_files(place, check(place), allow=allow)


def open_files(folder: Path, config: dict[str, Any], *, allow: Sequence[str] = ()) -> Fitted:
    """Open the files of a model, whose config is checked."""
    recipe = read_recipe(config, folder)
    check_code(recipe, allow=allow, where=str(folder / CONFIG))
    classes = np.array(config["labels"])
    temperature, thresholds = read_calibration(config, folder)
    model: Model
    if recipe.encoder.name == "auto":
        raise ArtifactError("encoder 'auto' is a choice and no model", where=str(folder / CONFIG))
    if recipe.encoder.name == "frozen":
        from textkit.classify.frozen import FrozenModel

        model = FrozenModel.open(folder, config, recipe)
    elif recipe.encoder.name == "ensemble":
        places = EnsembleModel.places(folder, len(EnsembleOptions.of(recipe).recipes))
        members = [open_files(place, check(place), allow=allow) for place in places]
        model = EnsembleModel.join(members, config, recipe, where=str(folder / CONFIG))
    elif is_whole(recipe.encoder.name):
        model = LinearModel.open(folder, config, recipe)
    elif "engine" in config:
        model = open_exported(folder, config, recipe)
    else:
        require("torch", needed_by="this model's network")
        from textkit.classify.network_model import NetworkModel

        model = NetworkModel.open(folder, config, recipe)
    return Fitted(
        recipe,
        classes,
        model,
        temperature=temperature,
        thresholds=np.array(thresholds, dtype=np.float64),
    )


def _config(fitted: Fitted) -> dict[str, object]:
    labels = fitted.classes.tolist()
    extra = fitted.model.describe()
    if fitted.task == "multi-label":
        extra["thresholds"] = fitted.thresholds.tolist()
    return {
        "model_type": "textkit",
        "architectures": ["TextkitForSequenceClassification"],
        "textkit_version": __version__,
        "labels": labels,
        "id2label": {str(i): str(label) for i, label in enumerate(labels)},
        "label2id": {str(label): i for i, label in enumerate(labels)},
        "problem_type": PROBLEM_TYPES[fitted.task],
        "temperature": fitted.temperature,
        **extra,
        "recipe": fitted.recipe.model_dump(mode="json"),
    }
