"""The tokens of a part as bytes: JSON lines, TSV, text, colours, Parquet or Arrow.

In: a part of rows and its TokenBatch with spans. Out: lines of text, or a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch, cut_rows, offsets_of
from textkit.io import files
from textkit.io.bulk import Part, share_numbers, write_table
from textkit.io.kept_values import spell_row
from textkit.jobs.colours import colour_rows
from textkit.tokenizers.documents import outer_spans
from textkit.tokenizers.spans import replace_surrogates

if TYPE_CHECKING:
    import pyarrow

TEXT_OUTPUTS = ("jsonl", "tsv", "text", "colour")
TABLE_OUTPUTS = ("parquet", "arrow")
# The columns of so much text stay in the processor's cache.
_CHUNK_CHARACTERS = 1 << 20
# Where Parquet keeps the numbers and texts of the nested columns.
_IDS_PATH, _SPANS_PATH, _TOKENS_PATH = (
    "ids.list.element",
    "spans.list.element.list.element",
    "tokens.list.element",
)


@dataclass(frozen=True)
class TokenColumns:
    """What an output row has beside its number: kept columns, ids, spans, the tokens' texts.

    types: the Arrow types of the kept columns whose inputs declare them. windows: the rows of the
    batch are windows of the part's rows, and each says its (start, end) in its row's text.
    """

    keep: tuple[str, ...] = ()
    ids: bool = True
    spans: bool = True
    tokens: bool = True
    types: Mapping[str, pyarrow.DataType] = field(default_factory=dict)
    windows: bool = False


def write_file(path: Path, part: Part, batch: TokenBatch, columns: TokenColumns) -> None:
    """Write the file of a part in the format that its ending names."""
    output = path.suffix[1:]
    if output in TEXT_OUTPUTS:
        files.write_bytes(path, render(output, part, batch, columns))
    else:
        _write_table(path, part, batch, columns)


def render(output: str, part: Part, batch: TokenBatch, columns: TokenColumns) -> bytes:
    """Spell the rows of a part in one of TEXT_OUTPUTS, in UTF-8.

    >>> from textkit import tokenizers
    >>> from textkit.io.corpus import Row
    >>> batch = tokenizers.create("word").encode(["a b"], spans=True)
    >>> render("tsv", Part(0, 7, [Row("a b", None, 1)]), batch, TokenColumns(ids=False))
    b'7\\ta\\t0\\t1\\t\\n7\\tb\\t2\\t3\\t\\n'
    """
    return "".join(_LINES[output](part, batch, columns)).encode("utf-8", "backslashreplace")


def _rows(part: Part, batch: TokenBatch) -> Iterator[tuple[int, str, list[list[int]], list[int]]]:
    """Give the place in the part, the text, the spans and the ids of every row or window."""
    sources = range(part.n_rows) if batch.sources is None else batch.sources.tolist()
    for row, source in enumerate(sources):
        yield source, part.texts[source], batch.row_spans(row).tolist(), batch[row].tolist()


def _jsonl(part: Part, batch: TokenBatch, columns: TokenColumns) -> Iterator[str]:
    for source, text, spans, ids in _rows(part, batch):
        row: dict[str, object] = {"row": part.first_row + source}
        row |= dict(zip(columns.keep, part.rows[source].kept, strict=True))
        if columns.windows:
            row["window"] = [spans[0][0], spans[-1][1]] if spans else [0, 0]
        if columns.tokens:
            row["tokens"] = [text[start:end] for start, end in spans]
        if columns.spans:
            row["spans"] = spans
        if columns.ids:
            row["ids"] = ids
        yield spell_row(row) + "\n"


def _tsv(part: Part, batch: TokenBatch, columns: TokenColumns) -> Iterator[str]:
    """Write row, token, start, end, id; of windows behind the row (start, end) of the window.

    A tab or line end inside a token is escaped as in Python.
    """
    for source, text, spans, ids in _rows(part, batch):
        place = str(part.first_row + source)
        if columns.windows and spans:
            place += f"\t{spans[0][0]}\t{spans[-1][1]}"
        for (start, end), i in zip(spans, ids, strict=True):
            token = (
                text[start:end]
                .replace("\\", "\\\\")
                .replace("\t", "\\t")
                .replace("\n", "\\n")
                .replace("\r", "\\r")
            )
            shown = i if columns.ids else ""
            yield f"{place}\t{token}\t{start}\t{end}\t{shown}\n"


def _text(part: Part, batch: TokenBatch, columns: TokenColumns) -> Iterator[str]:
    """Write the tokens of a row on one line, a space between.

    White space inside a token becomes '▁'.
    """
    for _, text, spans, _ in _rows(part, batch):
        tokens = (
            "".join("▁" if char.isspace() else char for char in text[start:end])
            for start, end in spans
        )
        yield " ".join(tokens) + "\n"


def _colour(part: Part, batch: TokenBatch, columns: TokenColumns) -> Iterator[str]:
    return colour_rows(part.texts, batch)


_LINES: dict[str, Callable[[Part, TokenBatch, TokenColumns], Iterator[str]]] = {
    "jsonl": _jsonl,
    "tsv": _tsv,
    "text": _text,
    "colour": _colour,
}


def _write_table(path: Path, part: Part, batch: TokenBatch, columns: TokenColumns) -> None:
    """Write row, the kept columns, ids, and where asked for spans and tokens."""
    import pyarrow

    offsets = share_numbers(batch.offsets.astype(np.int32))
    own = {}
    if columns.windows:
        edges = outer_spans(batch)
        own["window"] = pyarrow.FixedSizeListArray.from_arrays(share_numbers(edges.reshape(-1)), 2)
    own["ids"] = pyarrow.ListArray.from_arrays(offsets, share_numbers(batch.ids))
    if columns.spans and batch.spans is not None:
        edges = pyarrow.FixedSizeListArray.from_arrays(share_numbers(batch.spans.reshape(-1)), 2)
        own["spans"] = pyarrow.ListArray.from_arrays(offsets, edges)
    if columns.tokens and batch.spans is not None:
        texts, within = _window_texts(part.texts, batch)
        own["tokens"] = pyarrow.ListArray.from_arrays(offsets, _pieces(texts, within))
    # Numbers packed by their differences take less time and fewer bytes than lz4 makes of them (ids
    # 86 %, spans 31 %); lz4 finds nothing more in packed ids.
    stored = {
        "compression": dict.fromkeys(["row", *columns.keep, _SPANS_PATH, _TOKENS_PATH], "lz4"),
        "use_dictionary": [_TOKENS_PATH],
        "column_encoding": dict.fromkeys(["row", _IDS_PATH, _SPANS_PATH], "DELTA_BINARY_PACKED"),
    }
    write_table(
        path,
        part,
        own,
        keep=columns.keep,
        types=columns.types,
        parquet=stored,
        sources=batch.sources,
    )


def _window_texts(texts: Sequence[str], batch: TokenBatch) -> tuple[Sequence[str], TokenBatch]:
    """Give a text for each window, with the spans in it; rows stay as they are."""
    if batch.sources is None or batch.spans is None:
        return texts, batch
    edges = outer_spans(batch)
    within = batch.spans - np.repeat(edges[:, :1], batch.lengths, axis=0)
    pairs = zip(batch.sources.tolist(), edges.tolist(), strict=True)
    own = replace(batch, spans=within, sources=None)
    return [texts[row][start:end] for row, (start, end) in pairs], own


def _pieces(texts: Sequence[str], batch: TokenBatch) -> pyarrow.StringArray:
    """Make the Arrow column of the tokens' texts by gathering bytes, chunk by chunk.

    Lone surrogates become U+FFFD.
    """
    import pyarrow

    assert batch.spans is not None
    clean, _ = replace_surrogates(texts, errors="replace")
    found: list[tuple[NDArray[np.int8], NDArray[np.int32]]] = []
    row = 0
    for chunk in cut_rows(clean, n_characters=_CHUNK_CHARACTERS):
        offsets = batch.offsets[row : row + len(chunk) + 1]
        spans = batch.spans[offsets[0] : offsets[-1]]
        found.append(_cut_bytes(chunk, spans, np.diff(offsets)))
        row += len(chunk)
    data = np.concatenate([np.zeros(0, np.int8), *(data for data, _ in found)])
    lengths = np.concatenate([np.zeros(0, np.int64), *(lengths for _, lengths in found)])
    buffers = [
        None,
        pyarrow.py_buffer(offsets_of(lengths).astype(np.int32)),
        pyarrow.py_buffer(data),
    ]
    return pyarrow.Array.from_buffers(pyarrow.string(), len(lengths), buffers)


def _cut_bytes(
    texts: Sequence[str], spans: NDArray[np.int32], n_tokens: NDArray[np.int64]
) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
    """Give the UTF-8 bytes of the tokens one behind the other, and how many each has.

    spans: (n_tokens, 2) in characters; n_tokens: (n_rows,) of each text. Tokens that follow one
    another without a gap are copied as they stand, those with gaps by a mask, and only what
    overlaps byte by byte: the second takes half of the time of the third.
    """
    together = "".join(texts)
    data = np.frombuffer(together.encode("utf-8"), dtype=np.int8)
    characters = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    first = np.repeat(offsets_of(characters)[:-1].astype(np.int32), n_tokens)
    starts, ends = spans[:, 0] + first, spans[:, 1] + first
    if len(data) > len(together):
        begins = np.flatnonzero(data >= -64)  # as a signed number every further byte is smaller
        place = np.append(begins, len(data)).astype(np.int32)
        starts, ends = place[starts], place[ends]
    lengths = ends - starts
    gaps = starts[1:] - ends[:-1]
    if gaps.min(initial=0) < 0:
        offsets = offsets_of(lengths.astype(np.int64))
        positions = np.arange(int(offsets[-1])) + np.repeat(starts - offsets[:-1], lengths)
        return data[positions], lengths
    if not gaps.any():
        return data[starts[:1].sum() : ends[-1:].sum()], lengths
    edges = np.zeros(len(data) + 1, dtype=np.int8)
    full = lengths > 0
    edges[starts[full]] = 1
    edges[ends[full]] -= 1
    return data[np.cumsum(edges[:-1], dtype=np.int8).view(np.bool_)], lengths
