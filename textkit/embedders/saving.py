"""Save what makes vectors of texts in the layout that its own world opens.

In: a backend. Out: a folder of sentence-transformers for a transformer, which text-embeddings-
inference and fastembed open too, and one of model2vec for vectors of pieces. Weights are copied as
they are; what was chosen when the embedder was opened, pooling, length and prompt, stands in it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save as save_arrays

from textkit.embedders.backend import Backend
from textkit.embedders.sentence_folder import POOLING_KEYS
from textkit.embedders.static import StaticTexts
from textkit.errors import UsageError, require
from textkit.io import files
from textkit.tokenizers import Tokenizer
from textkit.tokenizers.description import TOKENIZER_JSON
from textkit.tokenizers.protocol import SENTENCE_FORMAT, SENTENCE_KIND
from textkit.vectors.packaged import STATIC_FORMAT, STATIC_KIND
from textkit.vectors.table import Floats

if TYPE_CHECKING:
    from textkit.embedders.contextual import ContextualTexts

# What of a transformer's folder is the model: not its README, nor exports to other engines.
_OF_A_MODEL = ("*.json", "*.txt", "*.model", "*.safetensors")
_NOT_OF_A_MODEL = {
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    files.MANIFEST,
}
_PROMPT = "default"


def save(backend: Backend, folder: str | Path, *, overwrite: bool = False) -> None:
    """Write a backend into a folder of its own, which has its name when it is whole."""
    with files.atomic_folder(folder, overwrite=overwrite) as temporary:
        write(backend, temporary)


def write(backend: Backend, folder: Path) -> None:
    """Write a backend's files into a folder, and seal it.

    Raises UsageError for what no other library could open with the same numbers.
    """
    if isinstance(backend, StaticTexts):
        _write_static_folder(backend, folder)
        return
    require("torch", needed_by="a transformer")
    from textkit.embedders.contextual import ContextualTexts

    if not isinstance(backend, ContextualTexts) or backend.config is None:
        raise UsageError(
            "only a transformer and vectors of pieces have a layout that others open; a model that"
            " textkit trained is saved by itself"
        )
    _write_sentence_folder(backend, folder)
    files.write_manifest(folder, kind=SENTENCE_KIND, format=SENTENCE_FORMAT)


def _write_sentence_folder(backend: ContextualTexts, folder: Path) -> None:
    config = backend.config
    assert config is not None
    known = [mode for mode in POOLING_KEYS.values() if mode in config.pooling]
    if list(config.pooling) != known:
        raise UsageError(
            f"pooling {'+'.join(config.pooling)} is joined in another order than"
            f" sentence-transformers has; take {'+'.join(known)}"
        )
    if backend.prompt and not config.include_prompt:
        raise UsageError("a prompt whose tokens are not pooled cannot be saved; leave it out")
    for pattern in _OF_A_MODEL:
        for file in sorted(config.model.glob(pattern)):
            if file.name not in _NOT_OF_A_MODEL:
                shutil.copyfile(file, folder / file.name)
    modules = [("Transformer", ""), ("Pooling", "1_Pooling")]
    pooling: dict[str, Any] = {key: mode in config.pooling for key, mode in POOLING_KEYS.items()}
    pooling["word_embedding_dimension"] = files.read_object(folder / "config.json").get(
        "hidden_size", backend.dim
    )
    pooling["include_prompt"] = config.include_prompt
    (folder / "1_Pooling").mkdir()
    files.write_json(folder / "1_Pooling" / "config.json", pooling)
    for dense in config.dense:
        name = f"{len(modules)}_Dense"
        (folder / name).mkdir()
        for file in (dense / "config.json", dense / "model.safetensors"):
            shutil.copyfile(file, folder / name / file.name)
        modules.append(("Dense", name))
    if config.normalize:
        modules.append(("Normalize", f"{len(modules)}_Normalize"))
    _write_modules(folder, modules)
    own = {"max_seq_length": config.max_length, "do_lower_case": config.lowercase}
    files.write_json(folder / "sentence_bert_config.json", own)
    prompts = dict(config.prompts)
    default = next((name for name, text in prompts.items() if text == backend.prompt), _PROMPT)
    if backend.prompt:
        prompts[default] = backend.prompt
    said = {"prompts": prompts, "default_prompt_name": default if backend.prompt else None}
    files.write_json(folder / "config_sentence_transformers.json", said)


def _write_modules(folder: Path, modules: Sequence[tuple[str, str]]) -> None:
    listed = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (kind, path) in enumerate(modules)
    ]
    files.write_json(folder / "modules.json", listed)


def _write_static_folder(backend: StaticTexts, folder: Path) -> None:
    if backend.id_rows is None:
        raise UsageError(
            "vectors of whole words have no layout that others open; Vectors.save writes them"
        )
    if backend.pooling != "mean" or backend.weights is not None or backend.max_length is not None:
        raise UsageError("model2vec pools by the mean of all pieces; leave pooling and length out")
    unknown = backend.tokenizer.unknown_id
    missing = np.flatnonzero(backend.id_rows < 0)
    if len(missing[missing != unknown]):
        raise UsageError(
            f"{len(missing):,} pieces of the tokenizer have no vector; model2vec would take zeros"
            " for them"
        )
    table = np.zeros((len(backend.id_rows), backend.dim), np.float32)
    known = backend.id_rows >= 0
    table[known] = backend.vectors.read_rows(backend.id_rows[known])
    write_static(folder, table, backend.tokenizer, normalize=backend.normalize)


def write_static(
    folder: Path,
    table: Floats,
    tokenizer: Tokenizer,
    *,
    lowercase: bool = False,
    normalize: bool = True,
) -> None:
    """Write a table (n_pieces, dim) in model2vec's layout into a folder, and seal it.

    normalize: the texts' vectors are scaled to length 1.
    """
    tokenizer.write(folder)
    if not (folder / TOKENIZER_JSON).is_file():
        raise UsageError(f"a {tokenizer.kind} tokenizer has no {TOKENIZER_JSON}; give words")
    description = files.read_object(folder / TOKENIZER_JSON)
    description |= {"truncation": None, "padding": None}
    if lowercase:
        own = description.get("normalizer")
        steps = [{"type": "Lowercase"}, *([own] if own else [])]
        description["normalizer"] = {"type": "Sequence", "normalizers": steps}
    files.write_text(folder / TOKENIZER_JSON, json.dumps(description, ensure_ascii=False))
    files.write_bytes(folder / "model.safetensors", save_arrays({"embeddings": table}))
    config = {
        "model_type": "model2vec",
        "architectures": ["StaticModel"],
        "hidden_dim": table.shape[1],
        "normalize": normalize,
        "embedding_dtype": "float32",
    }
    files.write_json(folder / "config.json", config)
    kinds = [("StaticEmbedding", ".")]
    kinds += [("Normalize", "1_Normalize")] if normalize else []
    _write_modules(folder, kinds)
    files.write_manifest(folder, kind=STATIC_KIND, format=STATIC_FORMAT)
