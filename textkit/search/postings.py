"""BM25: which rows hold a term, and how much each says, as flat arrays on disk.

In: texts, part by part, and then the parts. Out: arrays that are mapped, and the scores of all rows
for a query.

The score of a row is the sum over the query's terms t of

    ln(1 + (N - n_t + .5) / (n_t + .5)) * f / (f + k1 * (1 - b + b * length / mean length))

with f how often t stands in the row and n_t how many of the N rows hold it: the BM25 of Robertson
and Zaragoza 2009 as Lucene has computed it since version 8, and bm25s does by default (the tests
compare them). The weights are computed when the index is built, so that a query only adds.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textkit.batch import offsets_of
from textkit.errors import ArtifactError, UsageError
from textkit.io.columns import map_column
from textkit.search.words import find_terms
from textkit.vectors.folder import map_safetensors, write_arrays
from textkit.vectors.words import ByteWords, WordIndex

TERMS, ROWS, WEIGHTS = "terms.safetensors", "term_rows.npy", "term_weights.npy"

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Bm25:
    """k1: how soon more of a term says no more. b: how much long rows are held down, 0 to 1."""

    k1: float = 1.5
    b: float = 0.75

    def __post_init__(self) -> None:
        if not self.k1 >= 0 or not 0 <= self.b <= 1:
            raise UsageError(f"k1 is {self.k1} and b {self.b}; expected k1 >= 0 and b from 0 to 1")


@dataclass(frozen=True)
class PartTerms:
    """The terms of some rows: each term's rows, ascending, and how often it stands in them.

    terms: ascending. offsets: (n_terms + 1,), of the terms in rows and counts. lengths: (n_rows,)
    terms of each row.
    """

    terms: ByteWords
    offsets: Int64
    rows: Int32
    counts: Int32
    lengths: Int32

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Name the arrays as a part's file has them."""
        return {
            "term_bytes": self.terms.data,
            "term_offsets": self.terms.offsets,
            "posting_offsets": self.offsets,
            "posting_rows": self.rows,
            "posting_counts": self.counts,
            "lengths": self.lengths,
        }

    @classmethod
    def of(cls, arrays: dict[str, NDArray[Any]]) -> PartTerms:
        """Take up what `arrays` gave."""
        terms = ByteWords(arrays["term_bytes"], arrays["term_offsets"])
        return cls(
            terms,
            arrays["posting_offsets"],
            arrays["posting_rows"],
            arrays["posting_counts"],
            arrays["lengths"],
        )

    def spelled(self) -> list[bytes]:
        """Give the terms as UTF-8."""
        data, ends = self.terms.data.tobytes(), self.terms.offsets.tolist()
        return [data[start:end] for start, end in itertools.pairwise(ends)]


def count_terms(texts: Sequence[str]) -> PartTerms:
    """Count the terms of texts, a row a text.

    >>> part = count_terms(["a king", "King, king"])
    >>> part.spelled(), part.rows.tolist(), part.counts.tolist(), part.lengths.tolist()
    ([b'a', b'king'], [0, 0, 1], [1, 1, 2], [2, 2])
    """
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__  # a new term has the next number
    flat: list[int] = []
    lengths = np.zeros(len(texts), np.int32)
    for row, text in enumerate(texts):
        terms = find_terms(text)
        lengths[row] = len(terms)
        flat += map(numbers.__getitem__, terms)
    spelled = {term.encode("utf-8", "surrogatepass"): i for term, i in numbers.items()}
    ordered = sorted(spelled)
    places = np.empty(len(ordered), np.int64)
    places[[spelled[term] for term in ordered]] = np.arange(len(ordered))
    owners = np.repeat(np.arange(len(texts)), lengths)
    keys = places[np.array(flat, np.int64)] * max(len(texts), 1) + owners
    found, counts = np.unique(keys, return_counts=True)
    terms_of, rows = np.divmod(found, max(len(texts), 1))
    n_rows = np.bincount(terms_of, minlength=len(ordered))
    return PartTerms(
        ByteWords.of_bytes(ordered),
        offsets_of(n_rows),
        rows.astype(np.int32),
        counts.astype(np.int32),
        lengths,
    )


class PostingsWriter:
    """Join the terms of parts into the arrays of an index.

    `count` sees every part once; then `open`, `write` every part again in the same order, `close`.
    Of all parts only the terms, and how many rows hold each, are in memory.
    """

    def __init__(self, bm25: Bm25) -> None:
        self.bm25 = bm25
        self.n_rows = self.n_terms = self.n_written = 0
        self._n_rows_of: Counter[bytes] = Counter()

    def count(self, part: PartTerms) -> None:
        """Count the rows of each term."""
        self.n_rows += len(part.lengths)
        self.n_terms += int(part.lengths.sum())
        for term, n in zip(part.spelled(), np.diff(part.offsets).tolist(), strict=True):
            self._n_rows_of[term] += n

    def open(self, folder: Path) -> None:
        """Write the terms, and make room for their rows."""
        terms = sorted(self._n_rows_of)
        n_rows_of = np.array([self._n_rows_of[term] for term in terms], np.int64)
        self._numbers = dict(zip(terms, range(len(terms)), strict=True))
        self._n_rows_of.clear()
        offsets = offsets_of(n_rows_of)
        self._idf = np.log1p((self.n_rows - n_rows_of + 0.5) / (n_rows_of + 0.5))
        self._free = offsets[:-1].copy()
        index = WordIndex.build(ByteWords.of_bytes(terms))
        arrays = {**index.arrays(), "posting_offsets": offsets}
        write_arrays(folder / TERMS, arrays)
        self.hash_seed, self.n_different = index.seed, len(terms)
        size = (int(offsets[-1]),)
        self._rows = _new_column(folder / ROWS, np.int32, size)
        self._weights = _new_column(folder / WEIGHTS, np.float32, size)

    def write(self, part: PartTerms) -> None:
        """Put the rows of a part behind those of the parts before it."""
        numbers = np.array([self._numbers[term] for term in part.spelled()], np.int64)
        n = np.diff(part.offsets)
        ramp = np.arange(len(part.rows)) - np.repeat(part.offsets[:-1], n)
        places = np.repeat(self._free[numbers], n) + ramp
        self._rows[places] = part.rows + np.int32(self.n_written)
        mean = self.n_terms / max(self.n_rows, 1) or 1.0
        k1, b = self.bm25.k1, self.bm25.b
        slack = k1 * (1 - b + b * part.lengths / mean)
        weights = np.repeat(self._idf[numbers], n) * part.counts
        self._weights[places] = weights / (part.counts + slack[part.rows])
        self._free[numbers] += n
        self.n_written += len(part.lengths)

    def close(self) -> None:
        """Flush the arrays."""
        for column in (self._rows, self._weights):
            if isinstance(column, np.memmap):
                column.flush()


def _new_column(path: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
    """Make a .npy file that is written anywhere; numpy maps none of no size."""
    if not shape[0]:
        np.save(path, np.zeros(shape, dtype))
        return np.zeros(shape, dtype)
    column: NDArray[Any] = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):  # a full disk would end the process when it is written to
        with open(path, "rb+") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return column


class Postings:
    """The mapped arrays of an index: which rows hold a term, and what it weighs there."""

    def __init__(self, folder: Path, *, n_rows: int, hash_seed: int) -> None:
        arrays = map_safetensors(folder / TERMS)
        self.terms = WordIndex.from_arrays(arrays, seed=hash_seed, where=str(folder / TERMS))
        self.n_rows, self.terms_file = n_rows, str(folder / TERMS)
        self._rows, self._weights = map_column(folder / ROWS), map_column(folder / WEIGHTS)
        offsets = arrays.get("posting_offsets", np.zeros(0, np.int64))
        fits = len(offsets) == len(self.terms) + 1
        if not fits or not int(offsets[-1]) == len(self._rows) == len(self._weights):
            raise ArtifactError(
                "the terms and their rows do not fit together; build the index again",
                where=str(folder / TERMS),
            )
        self._offsets: Int64 = offsets

    def score(self, terms: Iterable[str]) -> Floats:
        """Give the score of every row for the terms of a query: (n_rows,) float32.

        A term that is there twice counts twice; one that no row holds counts nothing.
        """
        times = Counter(terms)
        scores = np.zeros(self.n_rows, np.float32)
        wanted = ((self.terms.find_one(term), n) for term, n in times.items())
        for number, n in sorted(pair for pair in wanted if pair[0] >= 0):
            positions = slice(int(self._offsets[number]), int(self._offsets[number + 1]))
            weights, rows = self._weights[positions], self._rows[positions]
            if int(rows[0]) < 0 or int(rows[-1]) >= self.n_rows:  # they ascend
                raise ArtifactError("rows of a term lie outside the index", where=self.terms_file)
            # Half the time of `scores[rows] +=`.
            np.add.at(scores, rows, weights if n == 1 else weights * np.float32(n))
        return scores
