"""Vectors: a table of word vectors, mapped from the disk, with numpy alone.

In: a spec that `formats.open_spec` understands (a folder, a file of any known format, `glove`,
`spacy:NAME`), or words and an array. Out: rows and vectors of words, neighbours, analogies. Words
and rows need not be one to one: a pruned table gives several words one row.

Longer than other modules: it is one class with all that is asked of it; the work is done elsewhere
(`words`, `folder`, `formats`, `neighbours`, `index`, `coverage`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, overload

import numpy as np
import numpy.typing as npt

from textkit.errors import ArtifactError, DataError, UsageError, unknown_name
from textkit.io import files
from textkit.vectors import folder as folders
from textkit.vectors import neighbours
from textkit.vectors.words import ByteWords, Int64, WordIndex

if TYPE_CHECKING:
    from textkit.tokenizers import Tokenizer
    from textkit.vectors.coverage import Coverage
    from textkit.vectors.index import NeighbourIndex

Floats = npt.NDArray[np.float32]
Neighbour = tuple[str, float]
Unknown = Literal["error", "zero", "random", "ngram", "mean"]
UNKNOWN = ("error", "zero", "random", "ngram", "mean")

# Rows taken at a time where the whole table is gone through: 64 MB of 300 floats and less.
CHUNK_BYTES = 64 << 20


class Vectors:
    """A table of word vectors, looked up by word.

    words: n words, all different. table: (n_rows, dim) float32 or float16, or int8 with `scales`
    (n_rows,). word_rows: (n,) the row of each word, where that is not its number. Nothing is
    copied.

    >>> v = Vectors(["king", "queen"], np.array([[1.0, 0.0], [0.0, 1.0]], np.float32))
    >>> v["queen"].tolist(), "emperor" in v, v.rows(["queen", "emperor"]).tolist()
    ([0.0, 1.0], False, [1, -1])
    """

    def __init__(
        self,
        words: Sequence[str] | WordIndex,
        table: npt.NDArray[Any],
        *,
        scales: Floats | None = None,
        word_rows: npt.NDArray[np.integer] | None = None,
        ngrams: Any = None,
        source: str = "memory",
        notes: Sequence[str] = (),
        facts: dict[str, Any] | None = None,
    ) -> None:
        if not isinstance(words, WordIndex):
            words = WordIndex.build(ByteWords.of(words))
            table = np.asarray(table)
            table = table if table.dtype.name in folders.DTYPES else table.astype(np.float32)
        self.words = words
        self.table, self.scales = table, scales
        self.word_rows = word_rows
        self.ngrams = ngrams
        self.source = source
        self.notes = list(notes)
        self.facts = dict(facts or {})
        self._check()

    def _check(self) -> None:
        if self.table.ndim != 2 or self.table.dtype.name not in folders.DTYPES:
            raise UsageError(
                f"expected a table (n_rows, dim), found {self.table.dtype} {self.table.shape}"
            )
        if (self.table.dtype == np.int8) != (self.scales is not None):
            raise UsageError("int8 vectors and only they need scales")
        if self.scales is not None and self.scales.shape != (len(self.table),):
            raise UsageError(
                f"scales have shape {self.scales.shape}, expected ({len(self.table)},)"
            )
        if self.word_rows is None and len(self.words) != len(self.table):
            raise UsageError(f"{len(self.words):,} words but {len(self.table):,} rows of vectors")
        if self.word_rows is not None:
            rows = self.word_rows
            if rows.shape != (len(self.words),) or (
                len(rows) and not 0 <= rows.min() <= rows.max() < len(self.table)
            ):
                raise UsageError("word_rows do not fit the words and the table")

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

        return formats.open_spec(
            str(spec), cache=None if cache is None else Path(cache), progress=progress
        )

    @classmethod
    def train(
        cls,
        inputs: Sequence[str | Path],
        to: str | Path,
        *,
        tokenizer: str | Path | Any = "word",
        text_column: str | None = None,
        resume: bool = False,
        **options: Any,
    ) -> Vectors:
        """Train word2vec or fastText vectors on files of any format and save them as our folder
        `to`.

        tokenizer: a Tokenizer, a folder, or the name of a kind that needs no vocabulary. options:
        those of `textkit.vectors.train.TrainOptions`, as model="fasttext", dim=100, epochs=5,
        seed=1, workers=1. Needs the extra `vectors` (gensim).

        >>> _ = Path("corpus.txt").write_text("the king and the queen\\n" * 50, encoding="utf-8")
        >>> v = Vectors.train(["corpus.txt"], "trained", dim=8, epochs=1)
        >>> sorted(v.words)
        ['and', 'king', 'queen', 'the']
        """
        from textkit import tokenizers
        from textkit.registry import check_options, names
        from textkit.vectors.train import TrainOptions, train_vectors

        check_options(TrainOptions, options, what="training vectors")
        if isinstance(tokenizer, str | Path):
            bare = str(tokenizer) in names("tokenizer") and not Path(tokenizer).exists()
            tokenizer = tokenizers.create(str(tokenizer)) if bare else tokenizers.load(tokenizer)
        chosen = TrainOptions(**options)
        trained = train_vectors(
            inputs, to, tokenizer=tokenizer, options=chosen, text_column=text_column, resume=resume
        )
        assert trained is not None  # nothing was there to stop it
        return trained

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return int(self.table.shape[1])

    @property
    def dtype(self) -> str:
        """How the table is stored: float32, float16 or int8."""
        return str(self.table.dtype.name)

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.words

    def __getitem__(self, word: str) -> Floats:
        number = self.words.find_one(word)
        if number < 0:
            raise self._unknown([word])
        row = number if self.word_rows is None else int(self.word_rows[number])
        return cast(Floats, self.read_rows(np.array([row]))[0])

    def __repr__(self) -> str:
        return f"Vectors({self.source!r}, {len(self):,} words, {self.dim} wide, {self.dtype})"

    def rows(self, words: Iterable[str]) -> Int64:
        """Give the row of each word, -1 where it is unknown: (n,) int64."""
        numbers = self.words.find(words)
        if self.word_rows is None:
            return numbers
        return np.where(numbers < 0, -1, self.word_rows[numbers] if len(self) else -1).astype(
            np.int64
        )

    def lookup(self, words: Sequence[str], unknown: Unknown = "zero", *, seed: int = 0) -> Floats:
        """Give the vectors of words, (n, dim) float32, and what `unknown` says for those it lacks.

        error: DataError that names the first. zero: zeros. mean: the mean of the table. random:
        drawn from (seed, word) with the table's own mean spread, the same wherever the word stands.
        ngram: from the word's character n-grams, as fastText does; only vectors from fastText have
        them.

        >>> v = Vectors(["king"], np.array([[1.0, 2.0]], np.float32))
        >>> v.lookup(["emperor", "king"]).tolist()
        [[0.0, 0.0], [1.0, 2.0]]
        """
        if unknown not in UNKNOWN:
            raise UsageError(unknown_name("policy for unknown words", unknown, UNKNOWN))
        words = words if isinstance(words, list | tuple) else list(words)
        rows = self.rows(words)
        known = rows >= 0
        if known.all():
            return self.read_rows(rows)
        found = np.zeros((len(rows), self.dim), np.float32)
        found[known] = self.read_rows(rows[known])
        missing = np.flatnonzero(~known)
        if unknown != "zero":
            found[missing] = self._substitute([words[i] for i in missing], unknown, seed)
        return found

    def _substitute(self, words: list[str], unknown: Unknown, seed: int) -> Floats:
        """Make vectors (n, dim) for words that the table lacks."""
        if unknown == "error":
            raise self._unknown(words)
        if unknown == "mean":
            return np.broadcast_to(self._statistics[0], (len(words), self.dim))
        if unknown == "ngram":
            if self.ngrams is None:
                raise UsageError(
                    "these vectors have no n-grams; open a fastText .bin, or take another policy"
                )
            made: Floats = self.ngrams.embed(words)
            return made
        hashes = ByteWords.of(words).hashes(0)
        draws = [
            np.random.default_rng([seed, int(h)]).standard_normal(self.dim, np.float32)
            for h in hashes
        ]
        return np.stack(draws) * self._statistics[1]

    def _unknown(self, words: list[str]) -> DataError:
        """Say that words are unknown, and whether the first is known in lower case."""
        others = f", nor are {len(words) - 1} others" if len(words) > 1 else ""
        lowered = words[0].lower()
        hint = (
            f"; did you mean '{lowered}'?" if lowered != words[0] and lowered in self.words else ""
        )
        return DataError(
            f"'{words[0]}' is not among the {len(self):,} words of {self.source}{others}{hint}"
        )

    @functools.cached_property
    def _statistics(self) -> tuple[Floats, float]:
        """Mean vector (dim,) and standard deviation of all values, over the whole table."""
        total, squares = np.zeros(self.dim), 0.0
        for _, block in self.blocks():
            total += block.sum(axis=0, dtype=np.float64)
            squares += float(np.vdot(block, block))
        count = max(len(self.table), 1)
        mean = total / count
        variance = squares / max(count * self.dim, 1) - float(mean.mean()) ** 2
        return mean.astype(np.float32), max(variance, 0.0) ** 0.5

    def read_rows(self, rows: Int64) -> Floats:
        """Copy rows out of the table as float32: (n, dim)."""
        return self._widen(self.table[rows], None if self.scales is None else self.scales[rows])

    @staticmethod
    def _widen(stored: npt.NDArray[Any], scales: Floats | None) -> Floats:
        wide = stored.astype(np.float32, copy=False)
        return wide if scales is None else wide * scales[:, None]

    def blocks(self) -> Iterable[tuple[int, Floats]]:
        """Go through the table: (first row, float32 rows (n, dim)), a block at a time."""
        step = max(1, CHUNK_BYTES // (4 * max(self.dim, 1)))
        for first in range(0, len(self.table), step):
            part = slice(first, first + step)
            yield (
                first,
                self._widen(self.table[part], None if self.scales is None else self.scales[part]),
            )

    @functools.cached_property
    def norms(self) -> Floats:
        """Length of every row, (n_rows,) float32, 1 for a row of zeros.

        Computed at the first search.
        """
        return neighbours.row_norms(self)

    @functools.cached_property
    def row_words(self) -> Int64:
        """Number of the first word of every row, -1 for a row without one: (n_rows,) int64."""
        if self.word_rows is None:
            return np.arange(len(self))
        first = np.full(len(self.table), -1, np.int64)
        first[self.word_rows[::-1]] = np.arange(len(self))[::-1]
        return first

    @overload
    def nearest(  # type: ignore[overload-overlap]
        self, query: str, k: int = 10, *, index: NeighbourIndex | None = None
    ) -> list[Neighbour]: ...
    @overload
    def nearest(
        self,
        query: Sequence[str] | npt.NDArray[Any],
        k: int = 10,
        *,
        index: NeighbourIndex | None = None,
    ) -> list[list[Neighbour]]: ...
    def nearest(
        self,
        query: str | Sequence[str] | npt.NDArray[Any],
        k: int = 10,
        *,
        index: NeighbourIndex | None = None,
    ) -> Any:
        """Give the k nearest words by cosine, the nearest first, as (word, cosine).

        query: a word, several words, or vectors (n, dim); a list for each of several. A word is no
        neighbour of itself. In a pruned table the words of one row count as one, the first of them.
        Raises DataError for an unknown word. The search is exact and goes through the whole table;
        with an `index` (`textkit.vectors.index.build_index`) it is approximate and does not.

        >>> rows = np.array([[1.0, 0.1], [1.0, 0.2], [0.0, 1.0]], np.float32)
        >>> v = Vectors(["king", "queen", "tree"], rows)
        >>> [word for word, _ in v.nearest("king", k=2)]
        ['queen', 'tree']
        """
        if isinstance(query, str):
            return self.nearest([query], k, index=index)[0]
        if not isinstance(query, np.ndarray):
            vectors = self.lookup(query, "error")
            return self._neighbours(vectors, k, exclude=self.rows(query)[:, None], index=index)
        if query.ndim != 2 or query.shape[1] != self.dim:
            raise UsageError(f"expected queries (n, {self.dim}), found shape {query.shape}")
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
        parts = neighbours.unit(self.lookup(words, "error"))
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
        first, second = neighbours.unit(self.lookup([a, b], "error"))
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

    def save(self, folder: str | Path, *, dtype: str | None = None) -> None:
        """Write our folder, stored as `dtype` (as now, unless given): float32, float16 or int8.

        >>> Vectors(["king"], np.ones((1, 2), np.float32)).save("v", dtype="float16")
        >>> Vectors.open("v").dtype
        'float16'
        """
        with files.atomic_folder(folder) as temporary:
            with folders.open_table(temporary, dtype=dtype or self.dtype) as writer:
                writer.dim = self.dim
                for _, block in self.blocks():
                    writer.write(block)
            self.write_rest(temporary, dtype=dtype or self.dtype)

    def write_rest(self, folder: Path, *, dtype: str) -> None:
        """Write all but the table into a folder that is being made, and seal it."""
        arrays = self.words.arrays()
        if self.word_rows is not None:
            arrays["word_rows"] = np.asarray(self.word_rows, np.int32)
        folders.write_arrays(folder / folders.WORDS, arrays)
        config = {
            "n_words": len(self),
            "n_rows": len(self.table),
            "dim": self.dim,
            "dtype": dtype,
            "hash_seed": self.words.seed,
            "source": self.source,
            "notes": self.notes,
            "facts": self.facts,
        }
        if self.ngrams is not None:
            config["ngrams"] = self.ngrams.describe()
            folders.write_arrays(folder / folders.NGRAMS, {"ngrams": np.asarray(self.ngrams.table)})
        files.write_json(folder / folders.CONFIG, config)
        files.write_manifest(folder, kind=folders.KIND, format=folders.FORMAT)

    @classmethod
    def load(cls, folder: str | Path, *, verify: bool = False) -> Vectors:
        """Open our own folder by mapping it.

        Verify=True reads every byte and compares the hashes.
        """
        folder = Path(folder)
        config = folders.read_config(folder, hashes=verify)
        table = folders.map_safetensors(folder / folders.TABLE)
        arrays = folders.map_safetensors(folder / folders.WORDS)
        words = WordIndex.from_arrays(
            arrays, seed=config["hash_seed"], where=str(folder / folders.WORDS)
        )
        ngrams = None
        if "ngrams" in config:
            from textkit.vectors.fasttext import Ngrams

            ngrams = Ngrams.load(folder / folders.NGRAMS, config["ngrams"])
        if "vectors" not in table:
            raise ArtifactError("file holds no 'vectors'", where=str(folder / folders.TABLE))
        notes, facts = config.get("notes", []), config.get("facts", {})
        try:
            return cls(
                words,
                table["vectors"],
                scales=table.get("scales"),
                word_rows=arrays.get("word_rows"),
                ngrams=ngrams,
                source=str(config.get("source", folder)),
                notes=notes if isinstance(notes, list) else [],
                facts=facts if isinstance(facts, dict) else {},
            )
        except UsageError as err:
            raise ArtifactError(
                f"the files do not fit together: {err}; convert the vectors again",
                where=str(folder),
            ) from err
