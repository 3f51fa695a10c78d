"""One part of a corpus, embedded: its vectors as Parquet or .npy, a row for each row.

In: a Part of rows, each a text or, where words are embedded, a word. Out: a file of the part and an
EmbeddedPart with its counts. A worker process holds one embedder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textkit.embedders.embedder import TextEmbedder
from textkit.errors import DataError, UsageError, unknown_name
from textkit.io import files
from textkit.io.bulk import Part, check_kept, part_name
from textkit.vectors.table import Floats

OUTPUTS = ("parquet", "npy")
DTYPES = ("float32", "float16")


@dataclass(frozen=True)
class Plan:
    """What to write for each part."""

    folder: Path
    output: str = "parquet"
    dtype: str = "float32"
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for kind, value, known in (("output", self.output, OUTPUTS), ("dtype", self.dtype, DTYPES)):
            if value not in known:
                raise UsageError(unknown_name(kind, value, known))
        if self.output == "npy" and self.keep:
            raise UsageError(".npy holds vectors alone; to keep columns write parquet")
        check_kept(self.keep, own=("row", "vector"))


@dataclass(frozen=True)
class EmbeddedPart:
    """n_rows, of which `n_truncated` were cut and `n_empty` have no vector but zeros."""

    n_rows: int
    n_truncated: int
    n_empty: int


_embedder: TextEmbedder
_plan: Plan


def use_embedder(embedder: TextEmbedder, plan: Plan) -> None:
    """Give this process its embedder and its plan."""
    global _embedder, _plan
    _embedder, _plan = embedder, plan


def embed_part(part: Part) -> EmbeddedPart:
    """Embed the rows of a part and write them."""
    made = _embedder.embed([row.text for row in part.rows])
    path = _plan.folder / part_name(part.number, _plan.output)
    stored = narrow(made.vectors, _plan.dtype, first_row=part.first_row)
    if _plan.output == "npy":
        with files.atomic_file(path) as file:
            np.lib.format.write_array_header_1_0(
                file, np.lib.format.header_data_from_array_1_0(stored)
            )
            file.write(
                np.ascontiguousarray(stored).data
            )  # numpy's own writer loses the reason of a failure
    else:
        write_table(path, part, stored, keep=_plan.keep)
    n_empty = int((~made.vectors.any(axis=1)).sum())
    return EmbeddedPart(len(part.rows), int((made.truncated > 0).sum()), n_empty)


def narrow(vectors: Floats, dtype: str, *, first_row: int = 0) -> NDArray[Any]:
    """Store vectors (n, dim) as a dtype.

    A number that float16 cannot hold is a DataError that names its row.

    >>> narrow(np.ones((1, 2), np.float32), "float16").dtype.name
    'float16'
    """
    if dtype == "float32":
        return vectors
    with np.errstate(over="ignore"):
        stored = vectors.astype(dtype)
    bad = np.flatnonzero(~np.isfinite(stored).all(axis=1))
    if len(bad):
        largest = float(np.abs(vectors[bad[0]]).max())
        raise DataError(
            f"row {first_row + bad[0]} holds {largest:g}, more than float16 can; take float32"
            f" (--dtype)"
        )
    return stored


def write_table(path: Path, part: Part, vectors: NDArray[Any], *, keep: tuple[str, ...]) -> None:
    """Write a part as Parquet: row, the kept columns, and vector, a list of fixed size."""
    import pyarrow
    from pyarrow import parquet

    kind = pyarrow.float32() if vectors.dtype == np.float32 else pyarrow.float16()
    flat = np.ascontiguousarray(vectors).reshape(-1)
    values = pyarrow.Array.from_buffers(kind, len(flat), [None, pyarrow.py_buffer(flat)])
    rows = np.arange(part.first_row, part.first_row + len(vectors), dtype=np.int64)
    columns: dict[str, Any] = {
        "row": pyarrow.Array.from_buffers(
            pyarrow.int64(), len(rows), [None, pyarrow.py_buffer(rows)]
        )
    }
    for at, name in enumerate(keep):
        columns[name] = pyarrow.array([row.kept[at] for row in part.rows], pyarrow.string())
    columns["vector"] = pyarrow.FixedSizeListArray.from_arrays(values, vectors.shape[1])
    with files.atomic_file(path) as file:
        # Numbers of a vector hardly repeat: neither a dictionary nor compression pays.
        parquet.write_table(
            pyarrow.table(columns), file, compression="none", use_dictionary=list(keep)
        )
