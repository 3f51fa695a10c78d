"""Vectors: a table of word vectors with all that is asked of it, at the top of the room.

In: a spec that `formats.open_spec` understands (a folder, a file of any known format, `glove`,
`spacy:NAME`), or words and an array. Out: rows and vectors of words, neighbours, analogies. The
work is done below: `table`, `formats`, `neighbours`, `index`, `coverage`, `train`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from textkit.errors import DataError, UsageError
from textkit.threads import computed_once
from textkit.vectors import neighbours
from textkit.vectors.table import Floats, WordTable
from textkit.vectors.words import ByteWords, Int64, WordIndex

if TYPE_CHECKING:
    from textkit.tokenizers import Tokenizer
    from textkit.vectors.coverage import Coverage
    from textkit.vectors.index import NeighbourIndex

Neighbour = tuple[str, float]


class Vectors(WordTable):
    """Word vectors: opened from any format or trained, searched, compared, cut, saved.

    >>> v = Vectors(["king", "queen"], np.array([[1.0, 0.0], [0.0, 1.0]], np.float32))
    >>> v["queen"].tolist(), "emperor" in v, v.rows(["queen", "emperor"]).tolist()
    ([0.0, 1.0], False, [1, -1])
    """

    @classmethod
    def _of(cls, table: WordTable) -> Vectors:
        """Give a table, whoever read it, as Vectors; nothing is copied."""
        return cls(
            table.words,
            table.table,
            scales=table.scales,
            word_rows=table.word_rows,
            ngrams=table.ngrams,
            source=table.source,
            notes=table.notes,
            facts=table.facts,
        )

    @classmethod
    def open(
        cls,
        spec: str | Path,
        *,
        cache: str | Path | None = None,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> Vectors:
        """Open vectors of any known format, told by their content.

        spec: a folder of ours, a word2vec, GloVe or fastText file, gensim's, a spaCy pipeline's or
        model2vec's folder, `glove`, or `spacy:NAME`. Large foreign files are converted once, into a
        folder under `cache` (by default `textkit` in the user's cache folder), and mapped from then
        on. progress(done, total) hears of bytes read.

        >>> Path("v.txt").write_text("king 1 0\\nqueen 0 1\\n", encoding="utf-8")
        19
        >>> Vectors.open("v.txt")["queen"].tolist()
        [0.0, 1.0]
        """
        from textkit.vectors import formats

        place = None if cache is None else Path(cache)
        return cls._of(formats.open_spec(str(spec), cache=place, progress=progress))

    @classmethod
    def train(
        cls,
        inputs: Sequence[str | Path],
        to: str | Path,
        *,
        tokenizer: str | Path | Tokenizer = "word",
        text_column: str | None = None,
        overwrite: bool = False,
        resume: bool = False,
        **options: Any,
    ) -> Vectors:
        """Train word2vec or fastText vectors on files of any format and save them as our folder
        `to`.

        tokenizer: a Tokenizer, a folder, or the name of a kind that needs no vocabulary. options:
        those of `textkit.vectors.gensim_model.VectorTraining`, as model="fasttext", dim=100,
        epochs=5, seed=1, workers=1. Needs the extra `vectors` (gensim).

        >>> _ = Path("corpus.txt").write_text("the king and the queen\\n" * 50, encoding="utf-8")
        >>> v = Vectors.train(["corpus.txt"], "trained", dim=8, epochs=1)
        >>> sorted(v.words)
        ['and', 'king', 'queen', 'the']
        """
        from textkit import tokenizers
        from textkit.registry import check_options, names
        from textkit.vectors.gensim_model import VectorTraining
        from textkit.vectors.train import train_vectors

        check_options(VectorTraining, options, what="training vectors")
        if isinstance(tokenizer, str | Path):
            bare = str(tokenizer) in names("tokenizer") and not Path(tokenizer).exists()
            tokenizer = tokenizers.create(str(tokenizer)) if bare else tokenizers.load(tokenizer)
        chosen = VectorTraining(**options)
        trained = train_vectors(
            inputs,
            to,
            tokenizer=tokenizer,
            options=chosen,
            text_column=text_column,
            overwrite=overwrite,
            resume=resume,
        )
        assert trained is not None  # nothing was there to stop it
        return cls._of(trained)

    @computed_once
    def norms(self) -> Floats:
        """Length of every row, (n_rows,) float32, 1 for a row of zeros.

        Computed at the first search.
        """
        return neighbours.row_norms(self)

    @overload
    def nearest(  # type: ignore[overload-overlap]
        self, query: str, k: int = 10, *, index: NeighbourIndex | None = None
    ) -> list[Neighbour]: ...

    @overload
    def nearest(
        self,
        query: Sequence[str] | npt.NDArray[np.floating],
        k: int = 10,
        *,
        index: NeighbourIndex | None = None,
    ) -> list[list[Neighbour]]: ...

    def nearest(
        self,
        query: str | Sequence[str] | npt.NDArray[np.floating],
        k: int = 10,
        *,
        index: NeighbourIndex | None = None,
    ) -> list[Neighbour] | list[list[Neighbour]]:
        """Give the k nearest words by cosine, the nearest first, as (word, cosine).

        query: a word or a vector (dim,), or several words or vectors (n, dim), which give a list
        each. A word is no neighbour of itself; one that the table lacks is sought by its n-grams
        where there are some (fastText's vectors), else it raises DataError. In a pruned table the
        words of one row count as one, the first of them. The search is exact and goes through the
        whole table; with an `index` (`textkit.vectors.index.build_index`) it is approximate and
        does not.

        >>> rows = np.array([[1.0, 0.1], [1.0, 0.2], [0.0, 1.0]], np.float32)
        >>> v = Vectors(["king", "queen", "tree"], rows)
        >>> [word for word, _ in v.nearest("king", k=2)]
        ['queen', 'tree']
        """
        if isinstance(query, str):
            return self.nearest([query], k, index=index)[0]
        if not isinstance(query, np.ndarray):
            vectors = self.lookup(query, self._strictest)
            return self._neighbours(vectors, k, exclude=self.rows(query)[:, None], index=index)
        if query.shape == (self.dim,):
            return self.nearest(query[None], k, index=index)[0]
        if query.ndim != 2 or query.shape[1] != self.dim:
            raise UsageError(
                f"expected queries ({self.dim},) or (n, {self.dim}), found shape {query.shape}"
            )
        nothing = np.empty((len(query), 0), np.int64)
        return self._neighbours(query.astype(np.float32), k, exclude=nothing, index=index)

    def analogy(
        self, a: str, b: str, c: str, k: int = 10, *, index: NeighbourIndex | None = None
    ) -> list[Neighbour]:
        """Say what is to c as b is to a: the k words nearest to b - a + c, of unit vectors
        (3CosAdd), not these three.

        >>> table = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 1, 1], [1, 0, 1]], np.float32)
        >>> v = Vectors(["man", "king", "woman", "queen", "other"], table)
        >>> v.analogy("man", "king", "woman", k=1)[0][0]
        'queen'
        """
        words = [a, b, c]
        parts = neighbours.unit(self.lookup(words, self._strictest))
        query = (parts[1] - parts[0] + parts[2])[None]
        return self._neighbours(query, k, exclude=self.rows(words)[None], index=index)[0]

    def _neighbours(
        self, queries: Floats, k: int, *, exclude: Int64, index: NeighbourIndex | None
    ) -> list[list[Neighbour]]:
        """Name the k nearest rows of each query, without the rows of exclude (n, m)."""
        if k < 1:
            raise UsageError(f"k is {k}, expected at least 1")
        n_wanted = k + exclude.shape[1]
        if index is not None:
            found = index.search(self, queries, k=n_wanted)
        else:
            allowed = None if self.word_rows is None else self.row_words >= 0
            found = neighbours.nearest_rows(
                self, queries, k=n_wanted, norms=self.norms, allowed=allowed
            )
        named = []
        for rows, cosines, left_out in zip(*found, exclude.tolist(), strict=True):
            pairs = zip(rows.tolist(), cosines.tolist(), strict=True)
            good = [
                (row, cosine) for row, cosine in pairs if row not in left_out and cosine > -np.inf
            ]
            named.append(
                [(self.words[int(self.row_words[row])], cosine) for row, cosine in good[:k]]
            )
        return named

    def similarity(self, a: str, b: str) -> float:
        """Give the cosine of two words.

        >>> Vectors(["a", "b"], np.array([[1.0, 0.0], [1.0, 0.0]], np.float32)).similarity("a", "b")
        1.0
        """
        first, second = neighbours.unit(self.lookup([a, b], self._strictest))
        return float(first @ second)

    def coverage(self, tokenizer: Tokenizer, *, counts: npt.ArrayLike | None = None) -> Coverage:
        """Say how much of a tokenizer's vocabulary has vectors, and the most frequent words that
        have none.

        counts: (n_ids,) how often each id occurs in a corpus; without it only words are counted,
        not occurrences.

        >>> from textkit import tokenizers
        >>> tok = tokenizers.create("word", vocabulary=["king", "reigns"])
        >>> Vectors(["king"], np.ones((1, 2), np.float32)).coverage(tok).share
        0.5
        """
        from textkit.vectors.coverage import measure_coverage

        return measure_coverage(self, tokenizer, counts=counts)

    def subset(self, words: Iterable[str]) -> Vectors:
        """Keep the words of a list, in its order, in memory; those unknown are counted in `notes`.

        Raises DataError where none is known.

        >>> v = Vectors(["king", "queen"], np.eye(2, dtype=np.float32))
        >>> list(v.subset(["queen", "emperor"]).words)
        ['queen']
        """
        wanted = list(dict.fromkeys(words))
        rows = self.rows(wanted)
        known = [word for word, row in zip(wanted, rows.tolist(), strict=True) if row >= 0]
        if not known:
            shown = ", ".join(repr(word) for word in wanted[:3]) or "an empty list"
            raise DataError(
                f"none of the {len(wanted):,} words is among the {len(self):,} of {self.source}:"
                f" {shown}"
            )
        rows = rows[rows >= 0]
        lost = len(wanted) - len(known)
        return Vectors(
            WordIndex.build(ByteWords.of(known)),
            np.asarray(self.table[rows]),
            scales=None if self.scales is None else self.scales[rows],
            ngrams=self.ngrams,
            source=self.source,
            notes=[*self.notes, f"{lost:,} of {len(wanted):,} words asked for are unknown"]
            if lost
            else self.notes,
            facts=self.facts,
        )

    def normalize(self) -> Vectors:
        """Give the same words with rows of length 1, float32, in memory.

        >>> Vectors(["a"], np.array([[3.0, 4.0]], np.float32)).normalize()["a"].tolist()
        [0.6000000238418579, 0.800000011920929]
        """
        table = np.empty((len(self.table), self.dim), np.float32)
        for first, block in self.blocks():
            table[first : first + len(block)] = neighbours.unit(block)
        return Vectors(
            self.words, table, word_rows=self.word_rows, ngrams=self.ngrams, source=self.source
        )
