"""Build an index: parts of rows, each one file, and then the index of all of them.

In: rows of texts and kept values. Out: a sealed folder. Parts are made one by one, in any process,
and hold all that costs time: vectors, and counted terms. `assemble` goes through them in order and
writes the folder; beside one part, only the terms of all texts are in memory, and the graph of an
approximate index while it is built.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from textkit.errors import DataError, UsageError, require, unknown_name
from textkit.io import files
from textkit.io.columns import open_column
from textkit.search import dense, store
from textkit.search.postings import ROWS, WEIGHTS, Bm25, PartTerms, PostingsWriter, count_terms
from textkit.vectors import neighbours
from textkit.vectors.folder import map_safetensors, write_arrays
from textkit.version import __version__
from textkit.watch import Progress, Watch

if TYPE_CHECKING:
    import pyarrow

KIND, FORMAT, CONFIG = "search index", 1, "config.json"
DTYPES = ("float32", "float16")

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class IndexOptions:
    """What an index holds, beside texts and kept columns.

    - words: whether texts are found by their words (BM25); bm25: how it weighs them.
    - dtype: how vectors are stored, float32 or float16.
    - approximate: build a graph of the vectors too, which finds most of the nearest rows and goes
      through few; needs the extra `index` (usearch). connectivity: edges of a row; effort:
      candidates of a query.
    """

    words: bool = True
    bm25: Bm25 = field(default_factory=Bm25)
    dtype: str = "float32"
    approximate: bool = False
    connectivity: int = 16
    effort: int = 64

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise UsageError(unknown_name("dtype", self.dtype, DTYPES))
        if self.approximate:
            require("usearch", needed_by="an approximate index")


@dataclass(frozen=True, kw_only=True)
class VectorFacts:
    """What an index says of its vectors: what made them, their width and their kind."""

    model: Mapping[str, object]
    dim: int
    fingerprint: str


def is_index(folder: Path) -> bool:
    """Tell whether a folder says that it is a search index.

    >>> is_index(Path("nowhere"))
    False
    """
    return files.read_object(folder / files.MANIFEST).get("kind") == KIND


def part_arrays(
    texts: Sequence[str],
    kept: pyarrow.Table | None,
    vectors: NDArray[np.float32] | None,
    options: IndexOptions,
    *,
    first_row: int = 0,
) -> Arrays:
    """Give what a part's file holds of some rows.

    vectors: (n, dim) of the texts, or None for an index of words alone.
    """
    spelled = [text.encode("utf-8", "surrogatepass") for text in texts]
    lengths = np.fromiter(map(len, spelled), np.int64, len(spelled))
    arrays: Arrays = {"texts": np.frombuffer(b"".join(spelled), np.uint8), "text_bytes": lengths}
    if kept is not None:
        arrays["kept"] = np.frombuffer(_to_bytes(kept), np.uint8)
    if options.words:
        arrays |= count_terms(texts).arrays()
    if vectors is not None:
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(bad):
            raise DataError(f"the vector of row {first_row + bad[0]} holds what is no number")
        arrays["vectors"] = neighbours.unit(vectors).astype(options.dtype)
    return arrays


def write_part(path: Path, arrays: Arrays) -> None:
    """Write the file of a part."""
    write_arrays(path, arrays)


def assemble(
    parts: Sequence[Path],
    out: Path,
    options: IndexOptions,
    *,
    vectors: VectorFacts | None,
    overwrite: bool = False,
    watch: Watch = Watch(),
) -> None:
    """Write the index of the rows of parts, one after the other, as a sealed folder."""
    writer = PostingsWriter(options.bm25)
    sizes = [_count(path, writer, options) for path in parts]
    n_rows = sum(sizes)
    if not n_rows:
        raise DataError("no row to index")
    with files.atomic_folder(out, overwrite=overwrite) as folder:
        names = _write_rows(parts, folder, writer, options, watch, n_rows=n_rows)
        facts: dict[str, object] = {}
        if options.words:
            writer.close()
            _flush(folder / ROWS, folder / WEIGHTS)
            facts["words"] = {
                **asdict(options.bm25),
                "n_terms": writer.n_different,
                "hash_seed": writer.hash_seed,
            }
        if vectors is not None:
            facts["vectors"] = {**asdict(vectors), "dtype": options.dtype}
        if options.approximate:
            facts["graph"] = _build_graph(folder, options, watch)
        config = {"textkit_version": __version__, "n_rows": n_rows, "columns": names, **facts}
        files.write_json(folder / CONFIG, config)
        files.write_manifest(folder, kind=KIND, format=FORMAT, facts={"n_rows": n_rows, **facts})


def _count(path: Path, writer: PostingsWriter, options: IndexOptions) -> int:
    arrays = map_safetensors(path)
    if options.words:
        writer.count(PartTerms.of(arrays))
    return len(arrays["text_bytes"])


def _write_rows(
    parts: Sequence[Path],
    folder: Path,
    writer: PostingsWriter,
    options: IndexOptions,
    watch: Watch,
    *,
    n_rows: int,
) -> list[str]:
    """Write texts, kept columns, vectors and terms, part by part; name the columns."""
    from contextlib import ExitStack

    first = map_safetensors(parts[0])
    schema = _from_bytes(first["kept"]).schema if "kept" in first else None
    if options.words:
        writer.open(folder)
    with ExitStack() as stack:
        texts = stack.enter_context(
            store.open_blocks(
                folder / store.TEXTS, store.text_schema(), n_rows=store.BLOCK_ROWS, packed=True
            )
        )
        columns = None
        if schema is not None:
            columns = stack.enter_context(
                store.open_blocks(
                    folder / store.COLUMNS, schema, n_rows=store.COLUMN_ROWS, packed=False
                )
            )
        table = empty = None
        if "vectors" in first:
            table = stack.enter_context(open_column(folder / dense.VECTORS, options.dtype))
            empty = stack.enter_context(open_column(folder / dense.EMPTY, "int64"))
        done = 0
        for path in parts:
            arrays = map_safetensors(path)
            texts.write(_text_table(arrays))
            if columns is not None:
                columns.write(_from_bytes(arrays["kept"]))
            if table is not None and empty is not None:
                table.write(arrays["vectors"])
                empty.write(done + np.flatnonzero(~arrays["vectors"].any(axis=1)))
            if options.words:
                writer.write(PartTerms.of(arrays))
            done += len(arrays["text_bytes"])
            watch.progress(Progress("joining", done, n_rows))
    return [] if schema is None else list(schema.names)


def _build_graph(folder: Path, options: IndexOptions, watch: Watch) -> dict[str, object]:
    rows = dense.DenseRows.open(folder)
    if not rows.filled.any():
        raise DataError("no text has a vector: every word is unknown to the model")

    def report(done: int, total: int | None) -> None:
        watch.progress(Progress("building the graph", done, total))

    recall = dense.build_graph(
        rows,
        folder / dense.GRAPH,
        connectivity=options.connectivity,
        effort=options.effort,
        progress=report,
    )
    return {
        "connectivity": options.connectivity,
        "effort": options.effort,
        f"recall_at_{dense.MEASURED_K}": round(recall, 4),
        "measured_queries": min(dense.MEASURED_QUERIES, int(rows.filled.sum())),
    }


def _text_table(arrays: Mapping[str, NDArray[Any]]) -> pyarrow.Table:
    """Give the texts of a part as a table of bytes, without a copy."""
    import pyarrow

    offsets = np.zeros(len(arrays["text_bytes"]) + 1, np.int64)
    np.cumsum(arrays["text_bytes"], out=offsets[1:])
    buffers = [None, pyarrow.py_buffer(offsets), pyarrow.py_buffer(arrays["texts"])]
    column = pyarrow.Array.from_buffers(pyarrow.large_binary(), len(offsets) - 1, buffers)
    return pyarrow.table({"text": column}).cast(store.text_schema())


def _to_bytes(table: pyarrow.Table) -> bytes:
    import pyarrow
    from pyarrow import ipc

    sink = pyarrow.BufferOutputStream()
    with ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _from_bytes(data: NDArray[Any]) -> pyarrow.Table:
    import pyarrow
    from pyarrow import ipc

    return ipc.open_stream(pyarrow.py_buffer(data)).read_all()


def _flush(*paths: Path) -> None:
    """Have what was mapped on the disk before the folder is sealed."""
    for path in paths:
        with open(path, "rb+") as file:
            os.fsync(file.fileno())


def describe_parts(options: IndexOptions, vectors: VectorFacts | None) -> dict[str, object]:
    """Say all that decides the bytes of a part beside the rows."""
    return {
        "kind": "search",
        "words": options.words,
        "vectors": None if vectors is None else asdict(vectors),
        "dtype": options.dtype,
    }
