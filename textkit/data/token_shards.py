"""TokenShards: training data larger than memory, tokenized once into files that are mapped, not
read.

In: a file, a folder of files or rows, and a tokenizer. Out: rows of ids on disk, taken by row
number as from a TokenBatch in memory. The folder in the cache is named after the tokenizer's
fingerprint, the options and the SHA-256 of the data's bytes, so a changed input is never served
from an old cache. A killed build leaves nothing that looks whole.

Memory: 24 bytes a row for lengths and labels, nothing that grows with the tokens; pages that were
touched belong to the system's page cache, which gives them back when memory is short.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from textkit.batch import IntArray, TokenBatch, cut_rows
from textkit.data.labels import LabelReader
from textkit.data.shard_sources import CallersRows, FileRows, HeldRows, Numbered
from textkit.data.targets import Classes, Label, Targets, Task
from textkit.errors import ArtifactError, StorageError
from textkit.features.text_encoder import TextEncoder, bind
from textkit.io import files, locks
from textkit.io.columns import map_column, open_column
from textkit.io.corpus import ReadOptions
from textkit.io.inputs import expand_inputs
from textkit.threads import computed_once
from textkit.tokenizers import Tokenizer
from textkit.version import __version__

MANIFEST_KIND, FORMAT = "token-shards", 1
IDS, OFFSETS, TRUNCATED, LABELS, CLASSES = (
    "ids.npy",
    "offsets.npy",
    "truncated.npy",
    "labels.npy",
    "classes.json",
)
# Rows and characters that are held at a time while building.
_PART_ROWS, _PART_CHARACTERS = 4096, 4 << 20
_REMAP_ROWS = 1 << 20
Integer = TypeVar("Integer", np.int32, np.int64)


@dataclass(frozen=True, eq=False)
class TokenShards:
    """Tokenized rows on disk, with what a training loop asks of rows: `lengths`, `take`, `labels`.

    tokens: a TokenBatch whose columns are mapped. labels: (n_rows, ...) as textkit.data.targets
    makes them for the task, mapped, or None. classes: (n_classes,) sorted, or as given.
    n_truncated: rows that were cut. n_replaced: lone surrogates, now U+FFFD. from_cache: found, not
    made. notes: what reading the data had to say.

    >>> from textkit import tokenizers
    >>> _ = Path("t.csv").write_text("text,label\\na b,x\\nc,y\\na,x\\n", encoding="utf-8")
    >>> words = tokenizers.train("word", ["a b c"])
    >>> shards = TokenShards.build("t.csv", words, cache="cache", max_length=8)
    >>> shards.lengths.tolist(), shards.labels.tolist(), shards.classes.tolist()
    ([2, 1, 1], [0, 1, 0], ['x', 'y'])
    >>> len(shards.take(np.array([2, 0])).ids)
    3
    >>> TokenShards.build("t.csv", words, cache="cache", max_length=8).from_cache
    True
    """

    folder: Path
    tokens: TokenBatch
    labels: Targets | None
    classes: Classes
    n_truncated: int
    n_replaced: int
    from_cache: bool
    notes: tuple[str, ...] = ()

    @classmethod
    def build(
        cls,
        data: str | Path | CallersRows,
        encoder: Tokenizer | TextEncoder,
        *,
        cache: str | Path | None = None,
        max_length: int | None = None,
        task: Task | None = "single-label",
        classes: Sequence[Label] | None = None,
        text_column: str | None = None,
        label_column: str | None = None,
        format: str | None = None,
        delimiter: str | None = None,
        separator: str | None = None,
        on_bad: Literal["stop", "skip"] = "stop",
        progress: Callable[[int], None] | None = None,
    ) -> TokenShards:
        """Find the tokenized form of the data in the cache, or make it, in constant memory.

        data: a file, glob or folder of any corpus format, or rows that can be gone through twice:
        (text, label) pairs, or texts alone with task=None. encoder: a tokenizer, which cuts at
        max_length, or any TextEncoder, whose cut is its own. classes: the known classes in their
        order, as for validation data; another label is an error. separator: what stands between the
        labels of a row, for multi-label; textkit.data.labels has the rule. cache: by default
        `textkit/tokens` in the user's cache folder; it may be removed at any time. progress hears
        of the rows done. A cached folder whose bytes were damaged is made anew, and `notes` says
        so.

        Raises DataError with file:line for a row that cannot be used, StorageError when the data
        changes meanwhile.
        """
        options: ReadOptions = {
            "text_column": text_column,
            "label_column": label_column,
            "format": format,
            "delimiter": delimiter,
            "on_bad": on_bad,
        }
        passed_over: list[str] = []
        source = (
            FileRows(expand_inputs([str(data)], note=passed_over.append), options)
            if isinstance(data, str | Path)
            else HeldRows(data)
        )
        source.notes += passed_over
        encoder = bind(encoder, max_length=max_length)
        digest = source.digest()
        key = {
            "format": FORMAT,
            "textkit": __version__,
            "encoder": encoder.describe(),
            "task": task,
            "separator": separator,
            "classes": None if classes is None else list(classes),
            "options": options,
            "data": digest,
        }
        path = (
            _cache_root(cache)
            / f"{source.name}-{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:20]}"
        )
        with locks.locked(path.with_name(f".{path.name}.lock")):
            notes: list[str] = []
            if path.exists():
                try:
                    return cls.open(path, from_cache=True)
                except ArtifactError as err:
                    notes.append(f"tokenized anew: {err}")
            labels = LabelReader(task, classes=classes, separator=separator)
            with files.atomic_folder(path, overwrite=True) as temporary:
                rows = source.rows(labels)
                facts = _write(temporary, rows, encoder, labels, progress)
                if source.digest() != digest:
                    raise StorageError(
                        "data changed while it was tokenized; run again", where=source.name
                    )
                facts |= {"notes": source.notes, "key": key}
                files.write_manifest(temporary, kind=MANIFEST_KIND, format=FORMAT, facts=facts)
            return cls.open(path, notes=notes)

    @classmethod
    def open(
        cls, folder: str | Path, *, from_cache: bool = False, notes: Sequence[str] = ()
    ) -> TokenShards:
        """Map a folder that `build` wrote.

        ArtifactError names the file that is missing or changed.
        """
        folder = Path(folder)
        manifest = files.check_manifest(
            folder, kind=MANIFEST_KIND, format=FORMAT, reads=("*.npy", CLASSES)
        )
        try:
            ids = _map_integers(folder / IDS, np.int32)
            offsets = _map_integers(folder / OFFSETS, np.int64)
            truncated = _map_integers(folder / TRUNCATED, np.int32)
            labels = (
                map_column(folder / LABELS, writable=True) if (folder / LABELS).exists() else None
            )
            tokens = TokenBatch(ids, offsets, None, truncated)
            found = (
                int(manifest["n_truncated"]),
                int(manifest["n_replaced"]),
                list(manifest["notes"]),
            )
        except (ValueError, KeyError, TypeError) as err:
            raise ArtifactError(f"tokenized data cannot be read: {err}", where=str(folder)) from err
        _check_ids(folder / IDS)
        classes = _read_classes(folder / CLASSES)
        _check_targets(labels, len(tokens), classes, where=str(folder / LABELS))
        n_truncated, n_replaced, known = found
        return cls(
            folder, tokens, labels, classes, n_truncated, n_replaced, from_cache, (*notes, *known)
        )

    def __len__(self) -> int:
        return len(self.tokens)

    @computed_once
    def lengths(self) -> NDArray[np.int64]:
        """Number of tokens in each row: (n_rows,) int64, in memory."""
        return self.tokens.lengths

    @property
    def ids(self) -> NDArray[np.int32]:
        """The ids of all rows, one after the other: (n_tokens,) int32, mapped."""
        return self.tokens.ids

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Where each row begins: (n_rows + 1,) int64, mapped."""
        return self.tokens.offsets

    @property
    def truncated(self) -> NDArray[np.int32]:
        """Tokens cut from each row: (n_rows,) int32, mapped."""
        return self.tokens.truncated

    def take(self, rows: Sequence[int] | IntArray) -> TokenBatch:
        """Read the rows at these indices, in this order, into a TokenBatch in memory.

        An index may repeat.
        """
        return self.tokens.take(rows)


def _map_integers(path: Path, dtype: type[Integer]) -> NDArray[Integer]:
    """Map a column of integers of one type."""
    column = map_column(path)
    if column.dtype != np.dtype(dtype) or column.ndim != 1:
        raise ArtifactError(
            f"a column of {column.dtype} {column.shape}, expected {np.dtype(dtype)}",
            where=str(path),
        )
    return column


def _check_ids(path: Path) -> None:
    """Refuse ids below 0; each block has a map of its own, so that no page stays in memory."""
    for start in range(0, len(map_column(path)), _REMAP_ROWS):
        if int(map_column(path)[start : start + _REMAP_ROWS].min()) < 0:
            raise ArtifactError("ids below 0", where=str(path))


def _read_classes(path: Path) -> Classes:
    """Read the names of the classes, which are all text, whole numbers or numbers."""
    names = files.read_json(path)
    kinds = {type(name) for name in names} if isinstance(names, list) else {dict}
    if len(kinds) > 1 or not kinds <= {str, int, float, bool} or len(set(names)) < len(names):
        raise ArtifactError("no list of different classes of one kind", where=str(path))
    try:
        return np.asarray(names)
    except OverflowError as err:
        raise ArtifactError(f"a class is no number that fits: {err}", where=str(path)) from err


def _check_targets(
    labels: NDArray[np.generic] | None, n_rows: int, classes: Classes, *, where: str
) -> None:
    """Refuse targets that are not one for each row, or of a class that there is not."""
    if labels is None:
        return
    if len(labels) != n_rows or labels.ndim > 2:
        raise ArtifactError(f"targets of shape {labels.shape} for {n_rows:,} rows", where=where)
    if labels.size and labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ArtifactError("a target is no finite number", where=where)
    if labels.size and labels.dtype.kind != "f" and labels.ndim == 1:
        lowest, highest = int(labels.min()), int(labels.max())
        if not 0 <= lowest <= highest < max(len(classes), 1):
            raise ArtifactError(
                f"a target is class {lowest if lowest < 0 else highest} of {len(classes)}",
                where=where,
            )


def _write(
    folder: Path,
    rows: Iterator[Numbered],
    encoder: TextEncoder,
    labels: LabelReader,
    progress: Callable[[int], None] | None,
) -> dict[str, object]:
    """Write the columns, part after part; give the counts."""
    n_truncated = n_replaced = 0
    with contextlib.ExitStack() as stack:
        ids = stack.enter_context(open_column(folder / IDS, "<i4"))
        offsets = stack.enter_context(open_column(folder / OFFSETS, "<i8"))
        truncated = stack.enter_context(open_column(folder / TRUNCATED, "<i4"))
        numbers = stack.enter_context(
            open_column(folder / LABELS, "<f4" if labels.task == "regression" else "<i8")
        )
        offsets.write(np.zeros(1))
        parts = cut_rows(
            rows, n_rows=_PART_ROWS, n_characters=_PART_CHARACTERS, text_of=lambda row: row[0]
        )
        for part in parts:
            batch = encoder.encode([text for text, _ in part])
            offsets.write(batch.offsets[1:] + ids.n)
            ids.write(batch.ids)
            truncated.write(batch.truncated)
            numbers.write(np.array([number for _, number in part]))
            n_truncated += int((batch.truncated > 0).sum())
            n_replaced += batch.n_replaced
            if progress is not None:
                progress(truncated.n)
        n_rows, n_tokens = truncated.n, ids.n
    if labels.task is None:
        (folder / LABELS).unlink()
    elif labels.task != "regression":
        _translate(folder / LABELS, labels.table())
    files.write_json(folder / CLASSES, [] if labels.task is None else labels.classes())
    return {
        "n_rows": n_rows,
        "n_tokens": n_tokens,
        "n_truncated": n_truncated,
        "n_replaced": n_replaced,
    }


def _translate(path: Path, table: NDArray[np.generic]) -> None:
    """Put the targets in the place of the numbers that labels had while the classes were not
    known.
    """
    numbers = map_column(path)
    with open_column(path, table.dtype.newbyteorder("<").str) as column:
        column.write(table[:0])
        for start in range(0, len(numbers), _REMAP_ROWS):
            column.write(table[numbers[start : start + _REMAP_ROWS]])


def _cache_root(cache: str | Path | None) -> Path:
    if cache is not None:
        return Path(cache)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "textkit" / "tokens"
