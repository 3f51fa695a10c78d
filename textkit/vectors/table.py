"""A table of word vectors, mapped from the disk, with numpy alone: words -> rows -> numbers.

In: words and an array, or a folder of ours. Out: rows and vectors of words, blocks of the table, a
folder. Words and rows need not be one to one: a pruned table gives several words one row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import numpy.typing as npt

from textkit.errors import ArtifactError, DataError, UsageError, unknown_name
from textkit.io import files
from textkit.io.tables import take_texts
from textkit.threads import computed_once
from textkit.vectors import folder as folders
from textkit.vectors.words import ByteWords, Int64, WordIndex

if TYPE_CHECKING:
    from textkit.vectors.fasttext import Ngrams

Floats = npt.NDArray[np.float32]
# How a table may be stored.
Stored = npt.NDArray[np.floating | np.int8]
Unknown = Literal["error", "zero", "random", "ngram", "mean"]
UNKNOWN = ("error", "zero", "random", "ngram", "mean")

# Rows taken at a time where the whole table is gone through: 64 MB of 300 floats and less.
CHUNK_BYTES = 64 << 20


class WordTable:
    """A table of word vectors, looked up by word; `Vectors` is one that can do more.

    words: n words, all different. table: (n_rows, dim) float32 or float16, or int8 with `scales`
    (n_rows,). word_rows: (n,) the row of each word, where that is not its number. Nothing is
    copied.

    >>> v = WordTable(["king", "queen"], np.array([[1.0, 0.0], [0.0, 1.0]], np.float32))
    >>> v["queen"].tolist(), "emperor" in v, v.rows(["queen", "emperor"]).tolist()
    ([0.0, 1.0], False, [1, -1])
    """

    def __init__(
        self,
        words: Sequence[str] | WordIndex,
        table: Stored,
        *,
        scales: Floats | None = None,
        word_rows: npt.NDArray[np.integer] | None = None,
        ngrams: Ngrams | None = None,
        source: str = "memory",
        notes: Sequence[str] = (),
        facts: dict[str, object] | None = None,
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
        # Opening a mapped table reads none of it: a row is looked at when it is first used.
        self._is_finite = np.zeros(len(self.table), bool)

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

    def __getitem__(self, word: str | Sequence[str]) -> Floats:
        """Give the vector of a word, (dim,), or of several, (n, dim), as float32.

        A word that the table lacks is made of its n-grams where there are some, else it raises
        DataError.
        """
        if not isinstance(word, str):
            return self.lookup(word, self._strictest)
        number = self.words.find_one(word)
        if number < 0:
            made: Floats = self.lookup([word], self._strictest)[0]
            return made
        row = number if self.word_rows is None else int(self.word_rows[number])
        vector: Floats = self.read_rows(np.array([row]))[0]
        return vector

    def __repr__(self) -> str:
        size = f"{len(self):,} words, {self.dim} wide, {self.dtype}"
        return f"{type(self).__name__}({self.source!r}, {size})"

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

        >>> v = WordTable(["king"], np.array([[1.0, 2.0]], np.float32))
        >>> v.lookup(["emperor", "king"]).tolist()
        [[0.0, 0.0], [1.0, 2.0]]
        """
        if unknown not in UNKNOWN:
            raise UsageError(unknown_name("policy for unknown words", unknown, UNKNOWN))
        words = words if isinstance(words, list | tuple) else list(take_texts(words, what="words"))
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

    @property
    def _strictest(self) -> Unknown:
        """The policy that makes nothing up: an unknown word is its n-grams, or an error."""
        return "error" if self.ngrams is None else "ngram"

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
            folders.refuse_odd(
                made, name=lambda at: f"an n-gram of '{words[at]}'", where=self.source
            )
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

    @computed_once
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
        """Copy rows out of the table as float32: (n, dim).

        Raises ArtifactError for a row that holds NaN or infinity.
        """
        return self._read(rows)

    def _read(self, which: Int64 | slice) -> Floats:
        scales = None if self.scales is None else self.scales[which]
        wide = self._widen(self.table[which], scales)
        if not self._is_finite[which].all():
            folders.refuse_odd(wide, name=lambda at: self._name(which, at), where=self.source)
            self._is_finite[which] = True
        return wide

    def _name(self, which: Int64 | slice, at: int) -> str:
        row = int(np.arange(len(self.table))[which][at])
        number = int(self.row_words[row])
        return f"row {row:,}" + (f", of '{self.words[number]}'," if number >= 0 else "")

    @staticmethod
    def _widen(stored: Stored, scales: Floats | None) -> Floats:
        wide = stored.astype(np.float32, copy=False)
        return wide if scales is None else wide * scales[:, None]

    def blocks(self) -> Iterable[tuple[int, Floats]]:
        """Go through the table: (first row, float32 rows (n, dim)), a block at a time.

        Raises ArtifactError as `read_rows` does.
        """
        step = max(1, CHUNK_BYTES // (4 * max(self.dim, 1)))
        for first in range(0, len(self.table), step):
            yield first, self._read(slice(first, first + step))

    @computed_once
    def row_words(self) -> Int64:
        """Number of the first word of every row, -1 for a row without one: (n_rows,) int64."""
        if self.word_rows is None:
            return np.arange(len(self))
        first = np.full(len(self.table), -1, np.int64)
        first[self.word_rows[::-1]] = np.arange(len(self))[::-1]
        return first

    def save(
        self, folder: str | Path, *, dtype: str | None = None, overwrite: bool = False
    ) -> None:
        """Write our folder, stored as `dtype` (as now, unless given): float32, float16 or int8.

        A folder that holds other finished work is refused unless `overwrite` says so.

        >>> WordTable(["king"], np.ones((1, 2), np.float32)).save("v", dtype="float16")
        >>> WordTable.load("v").dtype
        'float16'
        """
        with files.atomic_folder(folder, overwrite=overwrite) as temporary:
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
    def load(cls, folder: str | Path, *, verify: bool = False) -> Self:
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


def find_folded(table: WordTable, words: list[str]) -> Int64:
    """Give the row of each word as it stands, else in lower case, else -1: (n,) int64."""
    rows = table.rows(words)
    return np.where(rows >= 0, rows, table.rows([word.lower() for word in words]))
