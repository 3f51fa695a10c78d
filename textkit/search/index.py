"""SearchIndex: texts that are found by meaning, by words, or by both, at the top of the room.

In: a folder that `SearchIndex.build` or `textkit search build` wrote, and queries. Out: Hits, the
best first. Everything is mapped: opening reads no text, and an index may be larger than memory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from textkit.embedders.embedder import TextEmbedder
from textkit.errors import ArtifactError, UsageError, unknown_name
from textkit.io import files
from textkit.io.kept_values import spell_row
from textkit.io.tables import TextData
from textkit.search import dense
from textkit.search.building import CONFIG, FORMAT, KIND, IndexOptions
from textkit.search.filters import find_rows
from textkit.search.in_memory import build_in_memory
from textkit.search.model import SearchModel, check_fingerprint
from textkit.search.postings import Postings
from textkit.search.ranking import FUSION_DEPTH, Ranking, fuse, rank_scores
from textkit.search.snippets import mark
from textkit.search.store import COLUMNS, TEXTS, ColumnStore, TextStore
from textkit.search.words import find_terms
from textkit.threads import computed_once
from textkit.tokenizers.protocol import check_texts
from textkit.vectors.index import NeighbourIndex, open_index

Method = Literal["dense", "bm25", "hybrid"]
METHODS = ("dense", "bm25", "hybrid")

Floats = NDArray[np.float32]
Span = tuple[int, int]


@dataclass(frozen=True)
class Hit:
    """A row that was found.

    row: its number in the corpus, from 0. score: the cosine of "dense", the sum of "bm25", the
    fused reciprocal ranks of "hybrid". kept: its values of the kept columns. marks: (start, end) of
    the query's words in the text; snippet: of the stretch that shows most of them. found_by: the
    rank and the score in each of the rankings that found it.
    """

    row: int
    score: float
    text: str
    kept: Mapping[str, object] = field(default_factory=dict)
    marks: tuple[Span, ...] = ()
    snippet: Span = (0, 0)
    found_by: Mapping[str, tuple[int, float]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Give what JSON can hold."""
        by = {name: {"rank": r, "score": round(s, 6)} for name, (r, s) in self.found_by.items()}
        kept = json.loads(spell_row(self.kept))  # what JSON has no word for is text
        return {
            "row": self.row,
            "score": round(self.score, 6),
            "text": self.text,
            "kept": kept,
            "marks": [list(span) for span in self.marks],
            "snippet": list(self.snippet),
            "found_by": by,
        }


class SearchIndex:
    """An opened index; any number of threads may ask one.

    >>> texts = ["the king and the queen", "a tree", "the queen's tree"]
    >>> index = SearchIndex.build(texts, "index")
    >>> [hit.row for hit in index.query("queen")]
    [2, 0]
    >>> hit = index.query("Queens' QUEEN")[0]
    >>> [hit.text[start:end] for start, end in hit.marks]
    ["queen's"]
    """

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Any],
        *,
        model: str | Path | TextEmbedder | SearchModel | None = None,
    ) -> None:
        self.folder, self.config, self._model = folder, config, model
        self.n_rows: int = config["n_rows"]
        self._texts = TextStore(folder / TEXTS, n_rows=self.n_rows)
        has_columns = (folder / COLUMNS).is_file()
        self._columns = ColumnStore(folder / COLUMNS if has_columns else None)
        words, vectors = config.get("words"), config.get("vectors")
        self._postings = None
        if words is not None:
            self._postings = Postings(folder, n_rows=self.n_rows, hash_seed=words["hash_seed"])
        self._dense = None if vectors is None else dense.DenseRows.open(folder)
        if self._dense is not None and len(self._dense) != self.n_rows:
            raise ArtifactError(
                f"{len(self._dense):,} vectors of {self.n_rows:,} rows; build the index again",
                where=str(folder / dense.VECTORS),
            )

    @classmethod
    def build(
        cls,
        texts: TextData,
        folder: str | Path,
        *,
        model: str | Path | TextEmbedder | SearchModel | None = None,
        text: str | None = None,
        keep: Sequence[str] = (),
        options: IndexOptions = IndexOptions(),
        overwrite: bool = False,
    ) -> SearchIndex:
        """Build an index of texts in memory, write it as a folder, and open it.

        texts: a list, or a table with `text` the column of the texts; keep: columns to find rows
        by, and to get back. model: what makes the vectors, as `TextEmbedder.open` takes it; without
        one texts are found by their words alone. A corpus of files is indexed by
        `textkit search build`, which goes on after a stop. Raises UsageError where the folder holds
        finished work, unless `overwrite` says that it may go.

        >>> table = {"body": ["a king", "ein König"], "lang": ["en", "de"]}
        >>> index = SearchIndex.build(table, "index", text="body", keep=["lang"])
        >>> [hit.kept["lang"] for hit in index.query("König", where=["lang=de"])]
        ['de']
        """
        place, opened = Path(folder), as_model(model)
        build_in_memory(
            texts, place, model=opened, text=text, keep=keep, options=options, overwrite=overwrite
        )
        return cls.open(place, model=model)

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        model: str | Path | TextEmbedder | SearchModel | None = None,
        verify: bool = False,
    ) -> SearchIndex:
        """Open an index by mapping it.

        model: what makes the vectors of queries, where not the one that the index names; it has to
        make vectors of the same kind. verify: read every byte and compare the hashes.
        """
        folder = Path(folder)
        reads = (CONFIG, TEXTS, COLUMNS, "*.npy", "*.safetensors")
        manifest = files.check_manifest(
            folder, kind=KIND, format=FORMAT, hashes=verify, reads=reads
        )
        missing = next((name for name in (CONFIG, TEXTS) if name not in manifest["files"]), None)
        if missing:
            raise ArtifactError(f"manifest lists no {missing}", where=str(folder / files.MANIFEST))
        config = files.read_json(folder / CONFIG)
        if not isinstance(config, dict) or not isinstance(config.get("n_rows"), int):
            raise ArtifactError("not the config of a search index", where=str(folder / CONFIG))
        return cls(folder, config, model=model)

    def __len__(self) -> int:
        return self.n_rows

    def __repr__(self) -> str:
        return f"SearchIndex({str(self.folder)!r}, {len(self):,} rows, {self.method})"

    @property
    def columns(self) -> list[str]:
        """The names of the kept columns."""
        return self._columns.names

    @property
    def method(self) -> Method:
        """How it is asked unless the query says otherwise: by all that it has."""
        if self._dense is None:
            return "bm25"
        return "dense" if self._postings is None else "hybrid"

    @computed_once
    def embedder(self) -> TextEmbedder:
        """What makes the vectors of queries; opened when it is first needed."""
        told = self.config.get("vectors")
        if told is None:
            raise UsageError(f"{self.folder} holds no vectors; build it with a model (-m)")
        model = self._model
        if not isinstance(model, TextEmbedder):
            if not isinstance(model, SearchModel):
                spec = None if model is None else str(model)
                model = SearchModel.remembered(told["model"], spec=spec, where=str(self.folder))
            model = model.open_for_queries()
        return check_fingerprint(model, told["fingerprint"], where=str(self.folder))

    @computed_once
    def _graph(self) -> NeighbourIndex | None:
        """The graph of an approximate index, mapped when it is first needed; else None."""
        return open_index(self.folder / dense.GRAPH) if "graph" in self.config else None

    @overload
    def query(  # type: ignore[overload-overlap]
        self,
        query: str,
        k: int = 10,
        *,
        method: Method | None = None,
        where: Sequence[str] = (),
        exact: bool = False,
    ) -> list[Hit]: ...

    @overload
    def query(
        self,
        query: Sequence[str],
        k: int = 10,
        *,
        method: Method | None = None,
        where: Sequence[str] = (),
        exact: bool = False,
    ) -> list[list[Hit]]: ...

    def query(
        self,
        query: str | Sequence[str],
        k: int = 10,
        *,
        method: Method | None = None,
        where: Sequence[str] = (),
        exact: bool = False,
    ) -> list[Hit] | list[list[Hit]]:
        """Find the k best rows for a query, the best first; for several queries a list each.

        method: "dense", by the cosine of vectors; "bm25", by words; "hybrid", by both, their ranks
        fused; by default all that the index has. where: conditions on kept columns, as "lang=en" or
        "year>=2020". exact: go through all vectors, where there is a graph too; under a filter that
        is done anyway.
        """
        queries = [query] if isinstance(query, str) else check_texts(query)
        if k < 1:
            raise UsageError(f"k is {k}, expected at least 1")
        chosen = self.choose(method)
        allowed = find_rows(self._columns, where, n_rows=self.n_rows)
        depth = max(k, FUSION_DEPTH) if chosen == "hybrid" else k
        rankings: list[dict[str, Ranking]] = [{} for _ in queries]
        if chosen != "bm25":
            vectors = self.embedder.embed(queries).vectors
            found = self._rank_vectors(vectors, k=depth, allowed=allowed, exact=exact)
            for ranking, held in zip(found, rankings, strict=True):
                held["dense"] = ranking
        terms = [find_terms(one) for one in queries]
        if chosen != "dense" and self._postings is not None:
            for words, held in zip(terms, rankings, strict=True):
                held["bm25"] = rank_scores(self._postings.score(words), k=depth, allowed=allowed)
        pairs = zip(rankings, terms, strict=True)
        made = [self._hits(held, frozenset(words), k) for held, words in pairs]
        return made[0] if isinstance(query, str) else made

    def _rank_vectors(
        self,
        vectors: Floats,
        *,
        k: int,
        allowed: NDArray[np.bool_] | None = None,
        exact: bool = False,
    ) -> list[Ranking]:
        """Rank rows by their cosine with vectors (n, dim) of the index's own kind.

        A vector of zeros finds nothing.
        """
        table = self._dense
        assert table is not None
        if exact or allowed is not None or self._graph is None:
            rows, cosines = table.search(vectors, k=k, allowed=allowed)
        else:
            rows, cosines = self._graph.search(table, vectors, k=k)
        filled = np.atleast_1d(vectors.any(axis=1))
        rankings = []
        for number in range(len(vectors)):
            good = (cosines[number] > -np.inf) & filled[number]
            rankings.append(Ranking(rows[number][good], cosines[number][good]))
        return rankings

    def check_condition(self, condition: str) -> None:
        """Raise UsageError for a condition on a column that was not kept, or of another kind."""
        find_rows(self._columns, [condition], n_rows=self.n_rows)

    def choose(self, method: Method | None) -> Method:
        """Give the method of a query; UsageError where the index lacks what it needs."""
        if method is None:
            return self.method
        if method not in METHODS:
            raise UsageError(unknown_name("method", method, METHODS))
        if method != "bm25" and self._dense is None:
            raise UsageError(
                f"{self.folder} holds no vectors, which '{method}' needs; build it with a model"
                " (-m), or search by 'bm25'"
            )
        if method != "dense" and self._postings is None:
            raise UsageError(
                f"{self.folder} holds no words, which '{method}' needs; build it without"
                " --no-words, or search by 'dense'"
            )
        return method

    def _hits(self, held: Mapping[str, Ranking], terms: frozenset[str], k: int) -> list[Hit]:
        """Give the rows of a ranking, or of several as one, with their texts."""
        places = {name: ranking.places() for name, ranking in held.items()}
        best = fuse([*places.values()], k=k) if len(held) > 1 else next(iter(held.values())).cut(k)
        rows = best.rows.tolist()
        texts, kept = self._texts.read(rows), self._columns.read(rows)
        hits = []
        for row, score, text, values in zip(rows, best.scores.tolist(), texts, kept, strict=True):
            marks, snippet = mark(text, terms)
            by = {name: found[row] for name, found in places.items() if row in found}
            hits.append(Hit(row, score, text, values, marks, snippet, by))
        return hits


def as_model(
    model: str | Path | TextEmbedder | SearchModel | None,
) -> TextEmbedder | SearchModel | None:
    """Give the name of a model as one that can be opened."""
    return SearchModel(spec=str(model)) if isinstance(model, str | Path) else model
