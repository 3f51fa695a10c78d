"""One part of a corpus, tokenized: its counts, and its bytes as JSON lines, TSV, text, Parquet or
Arrow.

In: a Part of rows. Out: a PartResult; where parts become files, the file too. A worker process
holds one tokenizer.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch, offsets_of
from textkit.io import files
from textkit.io.bulk import Part, check_kept, part_name
from textkit.tokenizers import Tokenizer
from textkit.tokenizers.spans import convert_spans, replace_surrogates

TEXT_OUTPUTS = ("jsonl", "tsv", "text")
TABLE_OUTPUTS = ("parquet", "arrow")
# Where Parquet keeps the numbers and texts of the nested columns.
_IDS_PATH, _SPANS_PATH, _TOKENS_PATH = (
    "ids.list.element",
    "spans.list.element.list.element",
    "tokens.list.element",
)


@dataclass(frozen=True)
class Plan:
    """What to do with each part. `folder` None: give the bytes back instead of writing a file."""

    output: str | None
    folder: Path | None = None
    max_length: int | None = None
    spans: bool = True
    tokens: bool = True
    unit: str = "char"
    keep: tuple[str, ...] = ()
    check: bool = False

    def __post_init__(self) -> None:
        check_kept(self.keep, own=("row", "ids", "spans", "tokens"))


@dataclass
class Counts:
    """What was counted; two of them add up."""

    n_rows: int = 0
    n_tokens: int = 0
    n_text_bytes: int = 0
    n_unknown: int = 0
    n_truncated_rows: int = 0
    n_truncated_tokens: int = 0
    n_replaced: int = 0
    lengths: Counter[int] = field(default_factory=Counter)

    def add(self, other: Counts) -> None:
        for name in self.__dataclass_fields__:
            if name != "lengths":
                setattr(self, name, getattr(self, name) + getattr(other, name))
        self.lengths.update(other.lengths)

    def percentile(self, share: float) -> int:
        """Give the smallest length that this share of the rows does not exceed, before truncation.

        >>> Counts(n_rows=4, lengths=Counter({1: 3, 9: 1})).percentile(0.75)
        1
        """
        passed = 0
        for length in sorted(self.lengths):
            passed += self.lengths[length]
            if passed >= share * self.n_rows:
                return length
        return 0

    def to_dict(self) -> dict[str, int]:
        numbers = {
            name: getattr(self, name) for name in self.__dataclass_fields__ if name != "lengths"
        }
        return {**numbers, "p99_length": self.percentile(0.99)}


@dataclass(frozen=True)
class PartResult:
    """The counts of a part, its bytes where no file was asked for, and the first rows that
    failed the check.
    """

    counts: Counts
    data: bytes
    failures: list[str]


_tokenizer: Tokenizer
_plan: Plan


def use_tokenizer(tokenizer: Tokenizer, plan: Plan) -> None:
    """Give this process, a worker perhaps, its tokenizer and its plan."""
    global _tokenizer, _plan
    _tokenizer, _plan = tokenizer, plan


def tokenize_part(part: Part) -> PartResult:
    """Encode the rows of a part, count, check and write as planned."""
    texts = [row.text for row in part.rows]
    spans = _plan.output is not None and (
        _plan.spans or _plan.tokens or _plan.output in TEXT_OUTPUTS
    )
    batch = _tokenizer.encode(texts, spans=spans, max_length=_plan.max_length)
    failures = check_rows(_tokenizer, texts, first_row=part.first_row) if _plan.check else []
    data = b""
    if _plan.output in TEXT_OUTPUTS:
        lines = {"jsonl": _jsonl, "tsv": _tsv, "text": _text}[str(_plan.output)](part, texts, batch)
        data = "".join(lines).encode("utf-8", "backslashreplace")
        if _plan.folder is not None:
            files.write_bytes(_plan.folder / part_name(part.number, str(_plan.output)), data)
            data = b""
    elif _plan.output in TABLE_OUTPUTS and _plan.folder is not None:
        write_table(_plan.folder / part_name(part.number, str(_plan.output)), part, texts, batch)
    return PartResult(_count(texts, batch), data, failures)


def _count(texts: Sequence[str], batch: TokenBatch) -> Counts:
    unknown = _tokenizer.unknown_id
    known = len(_tokenizer.vocabulary) > 2
    return Counts(
        n_rows=len(texts),
        n_tokens=len(batch.ids),
        n_text_bytes=sum(
            len(text) if text.isascii() else len(text.encode("utf-8", "replace")) for text in texts
        ),
        n_unknown=int((batch.ids == unknown).sum()) if unknown is not None and known else 0,
        n_truncated_rows=int((batch.truncated > 0).sum()),
        n_truncated_tokens=int(batch.truncated.sum()),
        n_replaced=batch.n_replaced,
        lengths=Counter((batch.lengths + batch.truncated).tolist()),
    )


def check_rows(tokenizer: Tokenizer, texts: Sequence[str], *, first_row: int) -> list[str]:
    """Verify spans and, where the tokenizer is lossless, the round trip.

    One line for each row that fails.
    """
    batch = tokenizer.encode(texts, spans=True)
    failures = []
    for row, text in enumerate(texts):
        spans = batch.row_spans(row)
        ordered = bool((spans[:, 0] <= spans[:, 1]).all() and (np.diff(spans[:, 0]) >= 0).all())
        if not ordered or (len(spans) and not 0 <= spans.min() <= spans.max() <= len(text)):
            failures.append(f"row {first_row + row}: spans leave the text or run backwards")
        elif tokenizer.lossless and tokenizer.decode(batch[row].tolist()) != text:
            failures.append(f"row {first_row + row}: decoding the ids does not give the text back")
    return failures


def has_ids(tokenizer: Tokenizer) -> bool:
    """Tell whether the tokenizer has a vocabulary beyond its special tokens."""
    return len(tokenizer.vocabulary) > 2


def _rows(
    texts: Sequence[str], batch: TokenBatch
) -> Iterator[tuple[str, list[list[int]], list[int]]]:
    for row, text in enumerate(texts):
        yield text, batch.row_spans(row).tolist(), batch[row].tolist()


def _jsonl(part: Part, texts: Sequence[str], batch: TokenBatch) -> Iterator[str]:
    ids_known = has_ids(_tokenizer)
    for offset, (text, spans, ids) in enumerate(_rows(texts, batch)):
        row: dict[str, Any] = {"row": part.first_row + offset}
        row |= dict(zip(_plan.keep, part.rows[offset].kept, strict=True))
        if _plan.tokens:
            row["tokens"] = [text[start:end] for start, end in spans]
        if _plan.spans:
            row["spans"] = spans
        if ids_known:
            row["ids"] = ids
        yield json.dumps(row, ensure_ascii=False) + "\n"


def _tsv(part: Part, texts: Sequence[str], batch: TokenBatch) -> Iterator[str]:
    """Write row, token, start, end, id.

    A tab or line end inside a token is escaped as in Python.
    """
    ids_known = has_ids(_tokenizer)
    for offset, (text, spans, ids) in enumerate(_rows(texts, batch)):
        for (start, end), i in zip(spans, ids, strict=True):
            token = (
                text[start:end]
                .replace("\\", "\\\\")
                .replace("\t", "\\t")
                .replace("\n", "\\n")
                .replace("\r", "\\r")
            )
            yield f"{part.first_row + offset}\t{token}\t{start}\t{end}\t{i if ids_known else ''}\n"


def _text(part: Part, texts: Sequence[str], batch: TokenBatch) -> Iterator[str]:
    """Write the tokens of a row on one line, a space between.

    White space inside a token becomes '▁'.
    """
    for text, spans, _ in _rows(texts, batch):
        tokens = (
            "".join("▁" if char.isspace() else char for char in text[start:end])
            for start, end in spans
        )
        yield " ".join(tokens) + "\n"


def write_table(path: Path, part: Part, texts: Sequence[str], batch: TokenBatch) -> None:
    """Write a part as Parquet or Arrow: row, the kept columns, ids, and where asked for spans
    and tokens.
    """
    import pyarrow
    from pyarrow import ipc, parquet

    offsets = _integers(batch.offsets.astype(np.int32))
    rows = np.arange(part.first_row, part.first_row + len(texts), dtype=np.int64)
    columns: dict[str, Any] = {"row": _integers(rows)}
    for at, name in enumerate(_plan.keep):
        columns[name] = pyarrow.array([row.kept[at] for row in part.rows], pyarrow.string())
    columns["ids"] = pyarrow.ListArray.from_arrays(offsets, _integers(batch.ids))
    if _plan.spans and batch.spans is not None:
        edges = pyarrow.FixedSizeListArray.from_arrays(_integers(batch.spans.reshape(-1)), 2)
        columns["spans"] = pyarrow.ListArray.from_arrays(offsets, edges)
    if _plan.tokens and batch.spans is not None:
        columns["tokens"] = pyarrow.ListArray.from_arrays(offsets, _pieces(texts, batch))
    table = pyarrow.table(columns)
    with files.atomic_file(path) as file:
        if path.suffix == ".parquet":
            # Numbers packed by their differences take less time and fewer bytes than lz4 makes of
            # them (ids 86 %, spans 31 %); lz4 finds nothing more in packed ids.
            parquet.write_table(
                table,
                file,
                compression=dict.fromkeys([*columns, _SPANS_PATH, _TOKENS_PATH], "lz4"),
                use_dictionary=[_TOKENS_PATH],
                column_encoding=dict.fromkeys(
                    ["row", _IDS_PATH, _SPANS_PATH], "DELTA_BINARY_PACKED"
                ),
            )
        else:
            with ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)


# From buffers, not pyarrow.array: that looks for pandas first, which costs 0.4 s where it is
# installed.
def _integers(values: NDArray[Any]) -> Any:
    """Share a numpy column of int32 or int64 with Arrow."""
    import pyarrow

    values = np.ascontiguousarray(values)
    kind = pyarrow.int32() if values.dtype == np.int32 else pyarrow.int64()
    return pyarrow.Array.from_buffers(kind, len(values), [None, pyarrow.py_buffer(values)])


def _pieces(texts: Sequence[str], batch: TokenBatch) -> Any:
    """Make the Arrow column of the tokens' texts by one gather of bytes.

    Lone surrogates become U+FFFD.
    """
    import pyarrow

    clean, _ = replace_surrogates(texts, errors="replace")
    data = [text.encode("utf-8") for text in clean]
    joined = np.frombuffer(b"".join(data), dtype=np.uint8)
    spans = convert_spans(clean, batch, unit="byte").spans
    assert spans is not None
    first = offsets_of(np.fromiter(map(len, data), dtype=np.int64, count=len(data)))[:-1]
    starts = spans[:, 0] + np.repeat(first, batch.lengths)
    lengths = (spans[:, 1] - spans[:, 0]).astype(np.int64)
    offsets = offsets_of(lengths)
    positions = np.arange(int(offsets[-1])) + np.repeat(starts - offsets[:-1], lengths)
    buffers = [
        None,
        pyarrow.py_buffer(offsets.astype(np.int32)),
        pyarrow.py_buffer(joined[positions]),
    ]
    return pyarrow.Array.from_buffers(pyarrow.string(), len(lengths), buffers)
