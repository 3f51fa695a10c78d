"""An index of neighbours for tables of millions of rows: approximate, by usearch (HNSW), beside the
exact search.

In: Vectors. Out: a folder with `index.usearch`, mapped when opened, and a note of which vectors it
is of. The index only proposes rows; their cosines are computed from the table: what it finds is
ranked exactly, but it may miss some.
"""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from textkit.errors import ArtifactError, StorageError, UsageError, require
from textkit.io import files
from textkit.vectors import neighbours

KIND, FORMAT = "vectors index", 1
INDEX, CONFIG = "index.usearch", "config.json"
# Rows proposed beyond those asked for. The index keeps float16; the table decides between close
# ones.
_SPARE = 16
_SAMPLE_ROWS = 256
_ADD_ROWS = 1 << 14

Floats = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]


class NeighbourIndex:
    """An opened index; hand it to `Vectors.nearest` or `analogy` as `index`."""

    def __init__(self, graph: Any, *, of_sample: str, path: Path) -> None:
        self._graph, self.of_sample, self.path = graph, of_sample, path
        # The vectors that were found to be its own last.
        self._known: weakref.ref[neighbours.RowTable] | None = None

    def __len__(self) -> int:
        return len(self._graph)

    def search(
        self, vectors: neighbours.RowTable, queries: Floats, *, k: int
    ) -> tuple[Int64, Floats]:
        """Find about the k nearest rows of each query: rows and exact cosines (n, k), -inf where
        there are fewer.
        """
        if self._known is None or self._known() is not vectors:
            if sample_hash(vectors) != self.of_sample:
                raise ArtifactError(
                    f"an index of other vectors than {vectors.source}; build it again",
                    where=str(self.path),
                )
            self._known = weakref.ref(vectors)
        unit = neighbours.unit(queries)
        wanted = min(k + _SPARE, len(self._graph))
        found = self._graph.search(unit, wanted)
        keys = np.asarray(found.keys).reshape(len(unit), -1)
        n_found = np.asarray(getattr(found, "counts", keys.shape[1])).reshape(-1, 1)
        real = np.arange(keys.shape[1])[None] < n_found
        rows = np.where(real, keys, 0).astype(np.int64)
        cosines = np.full(rows.shape, -np.inf, np.float32)
        for number, query in enumerate(unit):
            at = real[number]
            cosines[number, at] = neighbours.unit(vectors.read_rows(rows[number, at])) @ query
        order = np.lexsort((rows, -cosines), axis=1)[:, :k]
        return np.take_along_axis(rows, order, axis=1), np.take_along_axis(cosines, order, axis=1)


def build_index(
    vectors: neighbours.RowTable,
    folder: str | Path,
    *,
    connectivity: int = 16,
    effort: int = 64,
    threads: int = 0,
    progress: Callable[[int, int | None], None] | None = None,
    overwrite: bool = False,
) -> NeighbourIndex:
    """Build an index of all rows that have a word, write it as a folder, and open it.

    connectivity: edges a row; effort: candidates looked at when a row is added and when a query is
    answered. More of both finds more of the true neighbours and takes longer. threads: that add
    rows; 0 is all, and 1 gives the same bytes every time. overwrite: finished work in the folder
    may go. Needs the extra `index` (usearch).

    >>> from textkit import Vectors
    >>> rows = np.array([[1.0, 0.1], [1.0, 0.2], [0.0, 1.0]], np.float32)
    >>> v = Vectors(["king", "queen", "tree"], rows)
    >>> v.nearest("king", k=1, index=build_index(v, "v.index"))[0][0]
    'queen'
    """
    if connectivity < 2 or effort < 1:
        raise UsageError(
            f"connectivity is {connectivity} and effort {effort}, expected at least 2 and 1"
        )
    files.refuse_finished(folder, overwrite=overwrite)
    graph = _import_usearch().Index(
        ndim=vectors.dim,
        metric="cos",
        dtype="f16",
        connectivity=connectivity,
        expansion_add=effort,
        expansion_search=effort,
    )
    n_rows = len(vectors.table)
    for begin, block in vectors.blocks():
        for start in range(0, len(block), _ADD_ROWS):
            rows = np.arange(begin + start, begin + min(start + _ADD_ROWS, len(block)))
            unit = neighbours.unit(block[start : start + _ADD_ROWS])
            good = (vectors.row_words[rows] >= 0) & np.isfinite(unit).all(axis=1) & unit.any(axis=1)
            if good.any():
                graph.add(rows[good].astype(np.uint64), unit[good], threads=threads)
            if progress is not None:
                progress(int(rows[-1]) + 1, n_rows)
    if not len(graph):
        raise ArtifactError("no row to index: all of them are zeros", where=vectors.source)
    with files.atomic_folder(folder, overwrite=overwrite) as temporary:
        try:
            graph.save(str(temporary / INDEX))
        except RuntimeError as err:  # usearch's, of a full disk too
            reason = " ".join(str(err).split())
            raise StorageError(f"usearch cannot write: {reason}", where=str(folder)) from err
        with open(temporary / INDEX, "rb+") as file:
            os.fsync(file.fileno())
        config = {
            "vectors": sample_hash(vectors),
            "source": vectors.source,
            "n_rows": len(graph),
            "effort": effort,
        }
        files.write_json(temporary / CONFIG, config)
        files.write_manifest(temporary, kind=KIND, format=FORMAT)
    return open_index(folder)


def open_index(folder: str | Path) -> NeighbourIndex:
    """Map an index that `build_index` wrote, after comparing its hashes: usearch itself trusts
    every byte.
    """
    folder = Path(folder)
    manifest = files.check_manifest(folder, kind=KIND, format=FORMAT)
    missing = next((name for name in (INDEX, CONFIG) if name not in manifest["files"]), None)
    if missing:
        raise ArtifactError(f"manifest lists no {missing}", where=str(folder / files.MANIFEST))
    config = files.read_json(folder / CONFIG)
    if not isinstance(config, dict) or not isinstance(config.get("vectors"), str):
        raise ArtifactError(
            "not the config of an index: it names no vectors", where=str(folder / CONFIG)
        )
    usearch = _import_usearch()
    try:
        graph = usearch.Index.restore(str(folder / INDEX), view=True)
    except (RuntimeError, ValueError, KeyError) as err:
        raise ArtifactError(f"usearch cannot read it: {err}", where=str(folder / INDEX)) from err
    if graph is None or not len(graph):
        raise ArtifactError(
            "usearch finds no index in it; build it again", where=str(folder / INDEX)
        )
    effort = config.get("effort")
    graph.expansion_search = effort if type(effort) is int and 0 < effort < 2**31 else 64
    return NeighbourIndex(graph, of_sample=config["vectors"], path=folder)


def sample_hash(vectors: neighbours.RowTable) -> str:
    """Hash the shape and some rows, evenly spread: enough to tell one table from another,
    whatever its size.
    """
    n_rows = len(vectors.table)
    rows = np.unique(np.linspace(0, max(n_rows - 1, 0), min(_SAMPLE_ROWS, n_rows)).astype(np.int64))
    digest = hashlib.sha256(f"{vectors.table.shape} {len(vectors)}".encode())
    digest.update(np.ascontiguousarray(vectors.read_rows(rows)).data)
    return digest.hexdigest()


def _import_usearch() -> Any:
    require("usearch", needed_by="an index of neighbours")
    from usearch import index

    return index
