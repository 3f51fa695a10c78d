"""Open tokenizers: files of any known format, and what a person names.

In: a tokenizer folder, or a vocabulary file of any known format, told by its content. Out: a
Tokenizer. A folder that we write holds `tokenizer.json` (Hugging Face's format, all that decides
the ids) and `tokenizer_config.json` (what transformers' Auto classes read).
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tokenizers as hf

from textkit.errors import ArtifactError, UsageError
from textkit.io import files, hub
from textkit.io.stand_ins import refuse_stand_in
from textkit.registry import names
from textkit.tokenizers.chats import read_template
from textkit.tokenizers.description import (
    CONFIG_JSON,
    HIGHEST_ID,
    NAMED,
    TOKENIZER_JSON,
    Description,
)
from textkit.tokenizers.engines.choice import EngineChoice
from textkit.tokenizers.pipeline import PipelineTokenizer
from textkit.tokenizers.protocol import (
    FOREIGN_FILES,
    FORMAT,
    MANIFEST_KIND,
    SEALS,
    SENTENCEPIECE_MODEL,
    SPACY_WORDS,
    TOKENIZER_FILES,
    Tokenizer,
)
from textkit.tokenizers.train import create

_KIND_OF_MODEL = {"BPE": "bpe", "WordPiece": "wordpiece", "WordLevel": "word", "Unigram": "unigram"}


@dataclass(frozen=True)
class _Asked:
    """What a caller asks of a file beyond what it says by itself."""

    engine: EngineChoice = "auto"
    lowercase: bool | None = None
    pattern: str | None = None

    def refuse(self, path: Path, *names: Literal["lowercase", "pattern"]) -> None:
        """Refuse an option where the file itself says what is done."""
        of = {"lowercase": "a vocab.txt", "pattern": "a .tiktoken file"}
        for name in names:
            if getattr(self, name) is not None:
                raise UsageError(f"{name}= is for {of[name]}; {path} says by itself what it does")


def load(
    source: str | Path,
    *,
    engine: EngineChoice = "auto",
    lowercase: bool | None = None,
    pattern: str | None = None,
) -> Tokenizer:
    """Open a tokenizer of any known format, told by its content.

    A textkit or transformers folder, a tokenizer.json, BERT's vocab.txt, GPT-2's vocab.json beside
    its merges.txt, a .tiktoken file, a sentencepiece .model, each file also .gz; or `hf:NAME`,
    which asks the hub. A folder that textkit wrote is checked against its manifest. lowercase:
    whether a vocab.txt is of lower-cased text, where what lies beside it does not say. pattern: how
    the texts of a .tiktoken file are split, which it does not say: gpt2, cl100k, o200k, llama3,
    llama4, qwen, whisper or a regular expression. Raises ArtifactError that names the file and
    field.

    >>> from textkit import tokenizers
    >>> tokenizers.train("char", ["pride"]).save("tok")
    >>> load("tok").kind
    'char'
    """
    asked = _Asked(engine, lowercase, pattern)
    if str(source).startswith(hub.PREFIX):
        # config.json may be all that names the class.
        folder = hub.fetch(str(source), patterns=(*FOREIGN_FILES, "config.json"))
        return _read_folder(folder, asked)
    path = Path(source)
    if path.is_dir():
        _check_sealed(path)
        return _read_folder(path, asked)
    if not path.exists():
        raise ArtifactError(
            "no such tokenizer file or folder; train one with `textkit tokenizer train`, or write"
            " hf:NAME for the hub",
            where=str(path),
        )
    return _read_file(path, asked)


def _check_sealed(folder: Path) -> None:
    """Check a folder with a manifest against it, whatever else lies there; a folder of transformers
    has none, or one of another program, with neither kind nor files.
    """
    if not (folder / files.MANIFEST).exists():
        return
    manifest = files.read_json(folder / files.MANIFEST)
    is_ours = not isinstance(manifest, dict) or manifest.keys() & {"kind", "format", "files"}
    if not is_ours and (folder / "config.json").exists():
        return
    kind, format = MANIFEST_KIND, FORMAT
    for model in SEALS:
        if isinstance(manifest, dict) and manifest.get("kind") == model[0]:
            kind, format = model
    files.check_manifest(folder, kind=kind, format=format, reads=TOKENIZER_FILES)


def open_tokenizer(
    spec: str, *, pattern: str | None = None, lowercase: bool | None = None
) -> Tokenizer:
    """Load a tokenizer by path or `hf:NAME`; the kinds that split without a vocabulary are known
    by their names.

    A file or folder of such a name goes first. pattern, lowercase: as `load` takes them.
    Raises UsageError for a kind that must be trained first, ArtifactError for what is no tokenizer.

    >>> open_tokenizer("word").kind
    'word'
    """
    if Path(spec).exists() or spec.startswith(hub.PREFIX) or spec not in names("tokenizer"):
        return load(spec, pattern=pattern, lowercase=lowercase)
    if pattern is not None:
        raise UsageError(f"pattern= is for a .tiktoken file, and '{spec}' is none")
    if lowercase is not None:
        raise UsageError(f"lowercase= is for a vocab.txt, and '{spec}' is none")
    if spec in ("bpe", "bpe-char", "regex", "unigram", "wordpiece"):
        raise UsageError(
            f"a '{spec}' tokenizer must be trained first: textkit tokenizer train FILES -k {spec}"
            f" -o tok/"
        )
    return create(spec)


def read_files(folder: Path) -> Tokenizer:
    """Read the tokenizer files of a folder, a model's or a tokenizer's own."""
    return _read_folder(folder, _Asked())


def _read_folder(folder: Path, asked: _Asked) -> Tokenizer:
    if (folder / SPACY_WORDS).is_file():
        from textkit.tokenizers import spacy_words

        asked.refuse(folder / SPACY_WORDS, "lowercase", "pattern")
        return spacy_words.read(folder)
    for name in (SENTENCEPIECE_MODEL, TOKENIZER_JSON):
        if (folder / name).is_file():
            return _read_file(folder / name, asked)
    # Which a tokenizer.json does not need.
    from textkit.tokenizers import foreign_folders
    from textkit.tokenizers.vocabulary_files import MODEL_NAMES, VocabularyFiles

    tokenizer = foreign_folders.open_named(
        VocabularyFiles(folder, read_bytes), engine=asked.engine, lowercase=asked.lowercase
    )
    if tokenizer is not None:
        asked.refuse(folder, "pattern")
        return tokenizer
    names = ["vocab.json", "vocab.txt", *MODEL_NAMES]
    found = next((folder / name for name in names if (folder / name).is_file()), None)
    found = found or next(iter(sorted(folder.glob("*.tiktoken"))), None)
    if found is None:
        raise ArtifactError(
            f"no tokenizer in this folder: none of"
            f" {', '.join([TOKENIZER_JSON, *names])}, *.tiktoken",
            where=str(folder),
        )
    return _read_file(found, asked)


def _read_file(path: Path, asked: _Asked) -> Tokenizer:
    """Tell the format by the content, and read it."""
    data = read_bytes(path)
    is_json = data[:64].lstrip().startswith(b"{")
    if is_json:
        value = files.parse_json(data, path)
        if isinstance(value.get("model"), dict) or not (path.parent / "merges.txt").is_file():
            asked.refuse(path, "lowercase", "pattern")
            return _from_json(value, path, engine=asked.engine)
    # Which a tokenizer.json does not need.
    from textkit.tokenizers import foreign_folders, sentencepiece_files, tiktoken_files
    from textkit.tokenizers.vocabulary_files import VocabularyFiles

    if is_json:
        asked.refuse(path, "pattern")
        vocabulary = VocabularyFiles(path.parent, read_bytes, json=path.name)
        return foreign_folders.open_merged(
            vocabulary, engine=asked.engine, lowercase=asked.lowercase
        )
    first, _, rest = data.partition(b"\n")[0].partition(b" ")
    if ".tiktoken" in path.suffixes or (rest.strip().isdigit() and first):
        asked.refuse(path, "lowercase")
        return tiktoken_files.from_tiktoken(data, where=str(path), pattern=asked.pattern)
    # The key of a protobuf's first field; no text format begins with an empty line.
    if data[:1] == b"\n":
        asked.refuse(path, "lowercase", "pattern")
        return sentencepiece_files.from_sentencepiece(data, where=str(path))
    asked.refuse(path, "pattern")
    vocabulary = VocabularyFiles(path.parent, read_bytes, txt=path.name)
    return foreign_folders.open_wordpieces(
        vocabulary, engine=asked.engine, lowercase=asked.lowercase
    )


def read_bytes(path: Path, *, limit_bytes: int = files.JSON_LIMIT_BYTES) -> bytes:
    """Read a file of a bounded size, unpacking .gz by its content."""
    import gzip

    try:
        with open(path, "rb") as file:
            packed = file.peek(2)[:2] == b"\x1f\x8b"  # a pipe has no way back
            data = (
                gzip.GzipFile(fileobj=file).read(limit_bytes + 1)
                if packed
                else file.read(limit_bytes + 1)
            )
    except (OSError, EOFError, zlib.error) as err:
        raise ArtifactError(f"cannot be read: {err}", where=str(path)) from err
    refuse_stand_in(data, path)
    if len(data) > limit_bytes:
        raise ArtifactError(
            f"more than {limit_bytes:,} bytes: no tokenizer is that large", where=str(path)
        )
    return data


def _from_json(description: object, path: Path, *, engine: EngineChoice) -> PipelineTokenizer:
    described = description if isinstance(description, dict) else {}
    model = described.get("model")
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict | list):
        raise ArtifactError("not a tokenizer.json: it has no model with a vocab", where=str(path))
    _check_ids(model["vocab"], path)
    config = _config_beside(path)
    kind, notes = config.get("textkit_kind"), list[str]()
    if config and not isinstance(kind, str):
        # Which our own folders do not need.
        from textkit.tokenizers.config_beside import follow_config
        from textkit.tokenizers.folder_config import class_name

        name = class_name(config, path.parent)
        described, notes = follow_config(described, config, class_name=name)
    try:
        backend = hf.Tokenizer.from_str(json.dumps(described))
    # tokenizers raises bare Exception for a bad file, and its native panics derive from
    # BaseException.
    except BaseException as err:
        if isinstance(err, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        raise ArtifactError(f"not a valid tokenizer.json: {err}", where=str(path)) from err
    if not isinstance(kind, str):
        kind = _KIND_OF_MODEL.get(str(model.get("type")), "bpe")
    named = _pad_of(described) | _named_in(config)
    known: Description = json.loads(backend.to_str())
    if known["model"]["type"] == "Unigram":
        # tokenizers writes scores anew up to one bit off; the file's own are kept.
        known["model"]["vocab"] = model["vocab"]
    return PipelineTokenizer(
        backend,
        kind=kind,
        engine=engine,
        description=known,
        named=named,
        chat_template=read_template(path.parent) if path.name == TOKENIZER_JSON else None,
        notes=notes,
    )


def _pad_of(description: object) -> dict[str, str]:
    """Give the padding token of the section that says how rows are padded, if there is one."""
    padding = description.get("padding") if isinstance(description, dict) else None
    token = padding.get("pad_token") if isinstance(padding, dict) else None
    return {"pad_token": token} if isinstance(token, str) else {}


def _check_ids(vocab: object, path: Path) -> None:
    """Refuse ids so high that a row for each would fill the memory: tokenizers makes such rows,
    and then aborts.
    """
    ids = [i for i in vocab.values() if isinstance(i, int)] if isinstance(vocab, dict) else []
    if max(ids, default=0) > HIGHEST_ID:
        raise ArtifactError(
            f"model.vocab has the id {max(ids):,}; ids go up to {HIGHEST_ID:,}", where=str(path)
        )


def _config_beside(path: Path) -> dict[str, Any]:
    """Read the tokenizer_config.json beside a tokenizer.json; nothing where there is none."""
    config_path = path.parent / CONFIG_JSON
    if path.name != TOKENIZER_JSON or not config_path.is_file():
        return {}
    config = files.read_json(config_path)
    return config if isinstance(config, dict) else {}


def _named_in(config: dict[str, Any]) -> dict[str, str]:
    """Give the tokens that a config names."""
    tokens = {role: config.get(role) for role in NAMED}
    texts = {role: t.get("content") if isinstance(t, dict) else t for role, t in tokens.items()}
    return {role: text for role, text in texts.items() if isinstance(text, str)}
