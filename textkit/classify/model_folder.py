"""The model folder: save and load a Fitted as JSON and safetensors, nothing that can run
code.

`config.json` holds the labels and the whole recipe, `model.safetensors` the weights,
`tokenizer.json` and `tokenizer_config.json` the tokenizer, `manifest.json` the format number and
the SHA-256 of every file. The layout is Hugging Face's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as save_tensors

from textkit.classify.fitted import Fitted, make_network
from textkit.classify.model_config import CONFIG, FORMAT, KIND, WEIGHTS, check, read_calibration
from textkit.errors import ArtifactError, UsageError
from textkit.features.text_input import TextInput
from textkit.io import files
from textkit.recipe import Recipe, check_code, check_recipe
from textkit.tokenizers import formats
from textkit.version import __version__

# Beside the weights: the buckets of hashed n-grams that the model numbers.
KEPT = "ngrams.kept"
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
    weights = {
        name: value.contiguous() for name, value in sorted(fitted.network.state_dict().items())
    }
    ngrams = fitted.text_input.ngrams
    if ngrams is not None and ngrams.kept is not None:
        weights[KEPT] = torch.from_numpy(ngrams.kept)
    with files.atomic_folder(folder, overwrite=overwrite) as temporary:
        files.write_json(temporary / CONFIG, _config(fitted))
        files.write_bytes(temporary / WEIGHTS, save_tensors(weights))
        fitted.text_input.tokenizer.write(temporary)
        files.write_manifest(temporary, kind=KIND, format=FORMAT)


def load(folder: str | Path, *, allow: Sequence[str] = ()) -> Fitted:
    """Check a model folder against its manifest and open it.

    allow: each `package.module:Name` of the model that may be imported.

    Raises ArtifactError that names the file which is missing, changed, of a newer format or not
    textkit's, and code that the model names and `allow` does not.
    """
    folder = Path(folder)
    config = check(folder)
    recipe = _read_recipe(config, folder, allow=allow)
    classes = np.array(config["labels"])
    temperature, thresholds = read_calibration(config, folder)
    encoder_options = _encoder_options(config, recipe, folder)
    tokenizer = formats.read_files(folder)
    if tokenizer.fingerprint != config.get("tokenizer_fingerprint", tokenizer.fingerprint):
        raise ArtifactError(
            f"the tokenizer's fingerprint is {tokenizer.fingerprint[:12]}, {CONFIG} says"
            f" {str(config['tokenizer_fingerprint'])[:12]}; it is not the one that the model"
            " learnt with",
            where=str(folder),
        )
    try:
        weights = {
            _present_name(name): value for name, value in load_file(folder / WEIGHTS).items()
        }
        kept = weights.pop(KEPT, None)
        text_input = TextInput.make(
            recipe,
            tokenizer,
            kept=None if kept is None else kept.numpy(),
            n_fixed=len(weights.get("embedding.fixed", ())),
        )
        network = make_network(
            recipe,
            text_input,
            n_outputs=len(classes),
            encoder_options=encoder_options,
        )
        network.load_state_dict(weights)
    except (SafetensorError, RuntimeError, UsageError) as err:
        reason = " ".join(str(err).split())
        raise ArtifactError(
            f"weights do not fit the config: {reason}", where=str(folder / WEIGHTS)
        ) from err
    for name, value in weights.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise ArtifactError(
                f"weight {name} holds NaN or infinity; train the model anew",
                where=str(folder / WEIGHTS),
            )
    return Fitted(
        recipe,
        text_input,
        classes,
        network.eval(),
        temperature=temperature,
        thresholds=np.array(thresholds, dtype=np.float64),
    )


def _read_recipe(config: dict[str, Any], folder: Path, *, allow: Sequence[str]) -> Recipe:
    """Give the recipe in a model's config, once what it would import is allowed."""
    where = str(folder / CONFIG)
    try:
        recipe = check_recipe(config["recipe"], where=where)
    except UsageError as err:
        raise ArtifactError(str(err)) from err
    check_code(recipe, allow=allow, where=where)
    return recipe


def _encoder_options(
    config: dict[str, Any], recipe: Recipe, folder: Path
) -> dict[str, object] | None:
    """Give what rebuilds the encoder in the place of the recipe's options.

    A pretrained encoder is rebuilt from its architecture alone: no other folder and no hub is asked
    because a model names it.
    """
    options = config.get("encoder_options")
    if options is not None and not isinstance(options, dict):
        raise ArtifactError("encoder_options is no table", where=str(folder / CONFIG))
    rebuilt = recipe.encoder.options if options is None else options
    if recipe.encoder.name == "pretrained" and not isinstance(rebuilt.get("config"), dict):
        raise ArtifactError(
            "encoder_options has no config of the pretrained encoder; a model opens no other by"
            " its path, so save it anew",
            where=str(folder / CONFIG),
        )
    return options


def _present_name(name: str) -> str:
    """Give the name of a weight in the present format; in format 1 a network had one member.

    >>> _present_name("head.layers.1.bias")
    'members.0.head.layers.1.bias'
    """
    return f"members.0.{name}" if name.split(".")[0] in ("encoder", "poolings", "head") else name


def _config(fitted: Fitted) -> dict[str, object]:
    labels = fitted.classes.tolist()
    tokenizer = fitted.text_input.tokenizer
    extra: dict[str, object] = {}
    if fitted.task == "multi-label":
        extra["thresholds"] = fitted.thresholds.tolist()
    options = fitted.network.encoder_options
    if options is not None:  # a pretrained encoder is rebuilt without its own folder
        extra["encoder_options"] = options
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
        "vocab_size": len(tokenizer),
        "tokenizer_fingerprint": tokenizer.fingerprint,
        "recipe": fitted.recipe.model_dump(mode="json"),
    }
