"""Read and write tokenizer files.

In: a tokenizer folder, or a tokenizer.json from any tool. Out: a PipelineTokenizer. A folder holds `tokenizer.json`
(Hugging Face's format, all that decides the ids) and `tokenizer_config.json` (what transformers' Auto classes read).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tokenizers as hf

from textkit import files
from textkit.errors import ArtifactError
from textkit.tokenizers.base import PipelineTokenizer

FORMAT = 1
MANIFEST_KIND = "tokenizer"
TOKENIZER_JSON = "tokenizer.json"
CONFIG_JSON = "tokenizer_config.json"
_KIND_OF_MODEL = {"BPE": "bpe", "WordPiece": "wordpiece", "WordLevel": "word", "Unigram": "unigram"}


def load(source: str | Path) -> PipelineTokenizer:
    """Open a tokenizer folder or a tokenizer.json file.

    A folder that textkit wrote is checked against its manifest. Raises ArtifactError that names the file and field.

    >>> from textkit import tokenizers
    >>> tokenizers.train("char", ["pride"]).save("tok")
    >>> load("tok").kind
    'char'
    """
    path = Path(source)
    if path.is_dir():
        if (path / files.MANIFEST).exists() and not (path / "config.json").exists():
            files.check_manifest(path, kind=MANIFEST_KIND, format=FORMAT)
        return read_files(path)
    if not path.exists():
        raise ArtifactError(
            "no such tokenizer file or folder; train one with `textkit tokenizer train`", where=str(path)
        )
    return _read_json(path, kind=None)


def read_files(folder: Path) -> PipelineTokenizer:
    """Read the tokenizer files of a folder, a model's or a tokenizer's own."""
    kind = None
    if (folder / CONFIG_JSON).exists():
        config = files.read_json(folder / CONFIG_JSON)
        kind = config.get("textkit_kind") if isinstance(config, dict) else None
    return _read_json(folder / TOKENIZER_JSON, kind=kind)


def _read_json(path: Path, *, kind: str | None) -> PipelineTokenizer:
    description = files.read_json(path)
    model = description.get("model") if isinstance(description, dict) else None
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict | list):
        raise ArtifactError("not a tokenizer.json: it has no model with a vocab", where=str(path))
    try:
        backend = hf.Tokenizer.from_file(str(path))
    # tokenizers raises bare Exception for a bad file, and its native panics derive from BaseException.
    except BaseException as err:
        if isinstance(err, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        raise ArtifactError(f"not a valid tokenizer.json: {err}", where=str(path)) from err
    found = kind or _KIND_OF_MODEL.get(str(model.get("type")), "bpe")
    return PipelineTokenizer(backend, kind=found, description=description)


def write_files(tokenizer: PipelineTokenizer, folder: Path) -> None:
    """Write the tokenizer files into a folder that the caller seals."""
    config: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", "textkit_kind": tokenizer.kind}
    names = {i: name for name, i in tokenizer.vocabulary.items()}
    if tokenizer.pad_id is not None:
        config["pad_token"] = names[tokenizer.pad_id]
    if tokenizer.unknown_id is not None:
        config["unk_token"] = names[tokenizer.unknown_id]
    files.write_text(folder / TOKENIZER_JSON, tokenizer.json)
    files.write_json(folder / CONFIG_JSON, config)
