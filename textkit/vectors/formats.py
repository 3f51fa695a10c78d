"""Open vectors by what the file or folder holds, whatever its name, and convert them to our folder.

In: a spec. Out: Vectors. Small foreign files are read into memory. Large ones are converted once,
in constant memory, to a folder under the cache, named after their path, size and time; from then on
that folder is mapped.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from textkit.errors import ArtifactError, StorageError, UsageError
from textkit.io import files
from textkit.io.inputs import refuse_streams, unchanged
from textkit.io.packed import READ_ERRORS, open_bytes, packing_of
from textkit.io.stand_ins import START_BYTES, refuse_stand_in
from textkit.vectors import folder as folders
from textkit.vectors.fasttext import MAGIC, FastTextRows, Ngrams
from textkit.vectors.table import Floats, Stored, WordTable
from textkit.vectors.text_format import Batch, TextRows, looks_like_row
from textkit.vectors.word2vec_binary import BinaryRows
from textkit.vectors.words import ByteWords, WordIndex

ReadProgress = Callable[[int, int | None], None]

# Up to here a foreign file is read at each opening: half a second for text.
CONVERT_BYTES = 32 << 20
_SNIFF_BYTES = 1 << 16


class RowStream(Protocol):
    """A file of vectors as a stream of batches; `ngrams` and `notes` are whole after the last."""

    @property
    def ngrams(self) -> Ngrams | None: ...
    @property
    def notes(self) -> list[str]: ...
    def __iter__(self) -> Iterator[Batch]: ...


def open_spec(spec: str, *, cache: Path | None, progress: ReadProgress | None) -> WordTable:
    """Open what a spec names; ArtifactError for what is not there or of no known format."""
    path = Path(spec)
    if not path.exists() or spec.startswith("spacy:"):
        return _open_name(spec)
    if path.is_dir():
        return _open_folder(path)
    refuse_streams([path])
    kind = sniff(path)
    if kind == "gensim":
        from textkit.vectors.gensim_files import open_gensim

        return open_gensim(path)
    size = path.stat().st_size
    if size <= CONVERT_BYTES:
        return _read_whole(_rows(path, kind, progress), str(path))
    folder = cache_folder(path, cache)
    if not folder.exists():
        convert(spec, folder, progress=progress, overwrite=True)
    return WordTable.load(folder)


def convert(
    spec: str | Path,
    folder: str | Path,
    *,
    dtype: str | None = None,
    progress: ReadProgress | None = None,
    overwrite: bool = False,
) -> None:
    """Write our folder from vectors of any format, in constant memory where the format allows it.

    dtype: float32, float16 or int8; by default float32, or what our own folder is stored as.
    overwrite: finished work in the folder may go.

    >>> _ = Path("v.txt").write_text("king 1 0\\nqueen 0 1\\n", encoding="utf-8")
    >>> convert("v.txt", "vectors", dtype="int8")
    >>> WordTable.load("vectors")["queen"].tolist()
    [0.0, 1.0]
    """
    if dtype is not None and dtype not in folders.DTYPES:
        raise UsageError(f"dtype is '{dtype}', expected {', '.join(folders.DTYPES)}")
    files.refuse_finished(folder, overwrite=overwrite)
    path = Path(spec)
    refuse_streams([path])
    kind = sniff(path) if path.is_file() and not str(spec).startswith("spacy:") else None
    if kind in (None, "gensim"):
        open_spec(str(spec), cache=None, progress=progress).save(
            folder, dtype=dtype, overwrite=overwrite
        )
        return
    with files.atomic_folder(folder, overwrite=overwrite) as temporary:
        words: list[bytes] = []
        with unchanged(path, advice="convert it again"):
            rows = _rows(path, kind, progress)
            with folders.open_table(temporary, dtype=dtype or "float32") as writer:
                for batch_words, batch in rows:
                    words += batch_words
                    writer.write(batch)
        tensors = folders.map_safetensors(temporary / folders.TABLE)
        made = _assemble(words, tensors["vectors"], rows, str(path), scales=tensors.get("scales"))
        made.write_rest(temporary, dtype=made.dtype)


def cache_folder(path: Path, cache: Path | None) -> Path:
    """Name the folder that holds the converted form of a file as it is now."""
    root = (
        cache
        or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "textkit" / "vectors"
    )
    state = path.stat()
    key = f"{path.resolve()}\0{state.st_size}\0{state.st_mtime_ns}\0{folders.FORMAT}"
    name = re.sub(r"[^\w.-]", "_", path.name)[:60]
    return (
        root / f"{name}-{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"
    )


def sniff(path: Path) -> str:
    """Tell a file's format by its first bytes: fasttext, gensim, word2vec (binary) or text.

    UsageError for a pipe, which is read from its start anew.
    """
    refuse_streams([path])
    try:
        with open(path, "rb") as file:
            start = file.read(START_BYTES)
    except OSError as err:
        raise files.storage_error(path, err, action="read") from err
    head = start[:4]
    if head == MAGIC:
        return "fasttext"
    if head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        return "gensim"
    if packing_of(start) is None:
        refuse_stand_in(start, path)
    return _sniff_rows(path)


def _sniff_rows(path: Path) -> str:
    """Tell text from binary by the first row after the header, if there is one."""
    try:
        with open_bytes(path) as file:
            head = file.read(_SNIFF_BYTES).removeprefix(codecs.BOM_UTF8)
    except READ_ERRORS as err:
        raise StorageError(f"cannot read: {err}", where=str(path)) from err
    first, _, rest = head.partition(b"\n")
    header = first.split()
    if _is_floret(header):
        raise ArtifactError(
            "a floret table, hashed n-grams without words, which textkit does not read; save"
            " the vectors of the words that you need: floret print-word-vectors MODEL.bin"
            " < WORDS > vectors.vec",
            where=f"{path}:1",
        )
    if len(header) == 2 and all(part.isdigit() for part in header):
        row, ended, _ = rest.partition(b"\n")
        # A row of text may be longer than what was read here: what there is of it must be numbers.
        row = row if ended or len(head) < _SNIFF_BYTES else row.rpartition(b" ")[0]
        binary = len(rest) > 0 and not looks_like_row(row) and (b"\0" in rest or not _is_text(rest))
        return "word2vec" if binary else "text"
    if looks_like_row(first if len(head) < _SNIFF_BYTES or rest else first.rpartition(b" ")[0]):
        return "text"
    if not first.strip() and head.strip():
        raise ArtifactError("line is empty", where=f"{path}:1")
    raise ArtifactError(
        "not vectors that textkit knows: neither a header 'n_words dim' nor a word and numbers;"
        " known are word2vec,"
        " GloVe, fastText, gensim, spaCy and model2vec",
        where=f"{path}:1",
    )


def _is_floret(header: list[bytes]) -> bool:
    """Tell floret's header: rows, dim, shortest, longest, hash count, hash seed, two marks."""
    numbers, marks = header[:6], header[6:]
    return (
        len(numbers) == 6
        and len(marks) == 2
        and all(part.isdigit() for part in numbers)
        and not any(looks_like_row(b"x " + mark) for mark in marks)
    )


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as err:
        return err.start >= len(data) - 4 or err.reason == "unexpected end of data"
    return True


def _open_name(spec: str) -> WordTable:
    from textkit.vectors import packaged

    if spec == "glove":
        return packaged.open_glove()
    if spec.startswith("spacy:"):
        return packaged.open_spacy(packaged.find_spacy(spec.removeprefix("spacy:")))
    raise ArtifactError("no such file or folder; or name: glove, spacy:NAME", where=spec)


def _open_folder(path: Path) -> WordTable:
    from textkit.vectors import packaged

    if packaged.is_static(path):
        files.check_manifest(
            path, kind=packaged.STATIC_KIND, format=packaged.STATIC_FORMAT, hashes=False
        )
        return packaged.open_model2vec(path)
    if (path / files.MANIFEST).exists():
        return WordTable.load(path)
    if (path / "model.safetensors").exists() and (path / "tokenizer.json").exists():
        return packaged.open_model2vec(path)
    if (path / "vocab").is_dir() or (path / "meta.json").exists():
        return packaged.open_spacy(packaged.find_spacy(str(path)))
    raise ArtifactError("a folder, but not of textkit, spaCy or model2vec", where=str(path))


def _rows(path: Path, kind: str | None, progress: ReadProgress | None) -> RowStream:
    readers: dict[str | None, Callable[..., RowStream]] = {
        "fasttext": FastTextRows,
        "word2vec": BinaryRows,
        "text": TextRows,
    }
    made: RowStream = readers[kind](path, progress=progress)
    return made


def _read_whole(rows: RowStream, source: str) -> WordTable:
    """Read a stream into memory."""
    words: list[bytes] = []
    parts = []
    for batch_words, batch in rows:
        words += batch_words
        parts.append(batch)
    return _assemble(words, np.concatenate(parts), rows, source)


def _assemble(
    words: list[bytes],
    table: Stored,
    rows: RowStream,
    source: str,
    *,
    scales: Floats | None = None,
) -> WordTable:
    """Index the words: invalid UTF-8 is replaced, of equal words the first counts, and both are
    noted.
    """
    notes = list(rows.notes)
    clean, n_invalid = _clean(words)
    if n_invalid:
        notes.append(f"{n_invalid:,} words are not UTF-8: their bad bytes became U+FFFD")
    index, kept = WordIndex.build_kept(ByteWords.of_bytes(clean))
    word_rows = None
    if len(kept) < len(words):
        word_rows = kept.astype(np.int32)
        twice = next(
            number for number in range(len(words)) if number >= len(kept) or kept[number] != number
        )
        shown = clean[twice][:40].decode("utf-8", "replace")
        notes.append(
            f"{len(words) - len(kept):,} words are there twice, first '{shown}' (row"
            f" {twice + 1:,}): the first counts"
        )
    return WordTable(
        index,
        table,
        scales=scales,
        word_rows=word_rows,
        ngrams=rows.ngrams,
        source=source,
        notes=notes,
    )


def _clean(words: list[bytes]) -> tuple[list[bytes], int]:
    try:
        b"\n".join(words).decode("utf-8")
    except UnicodeDecodeError:
        clean = [word.decode("utf-8", "replace").encode() for word in words]
        return clean, sum(a != b for a, b in zip(words, clean, strict=True))
    return words, 0
