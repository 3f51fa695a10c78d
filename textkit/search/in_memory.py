"""An index of texts in memory: the parts are made one after the other, and go when it is written.

In: texts or a table. Out: the folder of the index. A corpus of files is indexed by
textkit/jobs/search.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textkit.batch import cut_rows
from textkit.embedders.embedder import TextEmbedder
from textkit.errors import UsageError
from textkit.io import files
from textkit.io.exchange import claim, remove, settle
from textkit.io.kept_values import spell_cell
from textkit.io.tables import TextData, find_columns, take_column, take_texts
from textkit.search.building import (
    IndexOptions,
    VectorFacts,
    assemble,
    part_arrays,
    write_part,
)
from textkit.search.model import SearchModel, fingerprint
from textkit.tokenizers.protocol import check_texts

if TYPE_CHECKING:
    import pyarrow

_PART_ROWS, _PART_CHARACTERS = 10_000, 8 << 20


def build_in_memory(
    texts: TextData,
    folder: Path,
    *,
    model: TextEmbedder | SearchModel | None,
    text: str | None,
    keep: Sequence[str],
    options: IndexOptions,
    overwrite: bool,
) -> None:
    """Build an index of texts in memory, as `SearchIndex.build` says."""
    files.refuse_finished(folder, overwrite=overwrite)
    if isinstance(keep, str):
        raise UsageError(f"keep is one name, expected a list: keep=['{keep}']")
    if keep and find_columns(texts) is None:
        raise UsageError(f"keep names {keep[0]!r}, but a {type(texts).__name__} has no columns")
    rows = check_texts(take_texts(texts, column=text))
    kept = _kept_table(texts, keep)
    embedder = model.open() if isinstance(model, SearchModel) else model
    facts = None if embedder is None else describe_vectors(model, embedder)
    check_options(options, facts)
    target = settle(folder)
    with claim(target.with_name(target.name + ".parts"), is_folder=True) as place:
        try:
            parts: list[Path] = []
            first = 0
            for block in cut_rows(rows, n_rows=_PART_ROWS, n_characters=_PART_CHARACTERS):
                vectors = None if embedder is None else embedder.embed(block).vectors
                held = None if kept is None else kept.slice(first, len(block))
                arrays = part_arrays(block, held, vectors, options, first_row=first)
                parts.append(place / f"part-{len(parts):05d}.safetensors")
                write_part(parts[-1], arrays)
                first += len(block)
            assemble(parts, target, options, vectors=facts, overwrite=overwrite)
        finally:
            remove(place)


def describe_vectors(
    model: TextEmbedder | SearchModel | None, embedder: TextEmbedder
) -> VectorFacts:
    """Say of what an index's vectors are."""
    told = model.describe() if isinstance(model, SearchModel) else {}
    return VectorFacts(model=told, dim=embedder.dim, fingerprint=fingerprint(embedder))


def check_options(options: IndexOptions, vectors: VectorFacts | None) -> None:
    """Refuse an index of nothing, and a graph of no vectors."""
    if vectors is not None:
        return
    if not options.words:
        raise UsageError("an index without words needs a model that makes vectors (-m)")
    if options.approximate:
        raise UsageError("an approximate index is of vectors; name the model that makes them (-m)")


def _kept_table(texts: TextData, keep: Sequence[str]) -> pyarrow.Table | None:
    """Give the kept columns with the types of their values; mixed ones are spelled as text."""
    if not keep:
        return None
    import pyarrow

    columns = {}
    for name in keep:
        values = take_column(texts, name)
        try:
            columns[name] = pyarrow.array(values)
        except (pyarrow.ArrowException, TypeError, ValueError, OverflowError):
            spelled = [None if value is None else spell_cell(value) for value in values]
            columns[name] = pyarrow.array(spelled, pyarrow.string())
    return pyarrow.table(columns)
