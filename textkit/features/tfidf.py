"""TF-IDF of n-grams of words and of characters, with scikit-learn's meaning and numpy alone.

In: texts. Out: sparse rows, the weight of each n-gram that a text holds. With the same settings the
features and their values are those of scikit-learn's TfidfVectorizer, one of words and one with
analyzer="char_wb" side by side:

1. A text is lower-cased and cut at white space into chunks.
2. Words are runs of two letters, digits or `_` and more, within a chunk. Their n-grams go across
   chunks.
3. Character n-grams are those of each chunk with a space before and after it.
4. A feature's weight in a row is its count, or 1 + log(count), times
   log((1 + rows) / (1 + rows with it)) + 1. The weights of a row's words have length 1 together,
   and so have those of its characters.

What a chunk holds is worked out once and kept, so that a text costs one look-up a chunk and one
sort.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textkit.batch import gather_positions, offsets_of
from textkit.errors import DataError, UsageError
from textkit.features.grams import GramTable, Int64, Numbers, Sequences, find, split_blocks
from textkit.threads import SharedLock
from textkit.tokenizers.protocol import check_texts

WORDS = re.compile(r"\b\w\w+\b")
# From so many rows on, a feature of a single row is left out by itself: it halves the features. In
# a cross-validation of training parts alone (benchmarks/linear_cost.py, 2,000 rows a set) AG News,
# Banking77 and SST-2 lose .6, .5 and .3 of a point by it, TREC-50, TREC-6 and R8 gain .6, .5, .1.
_MANY_ROWS = 1_000
# Chunks that are remembered, about 15 MB with their n-grams.
_PIECE_CHUNKS = 1 << 16
_REMEMBERED_CHUNKS = 100_000
# Chunks that are counted at a time: the sort of their n-grams stays in the processor's cache.
_BLOCK_CHUNKS = 1 << 13
# Chunks whose n-grams are looked up at a time.
_LEARNT_CHUNKS = 20_000


@dataclass(frozen=True)
class SparseRows:
    """Rows of features that are mostly 0: the columns of each that are not, ascending, and their
    values.

    offsets: (n_rows + 1,) int64. columns: (n,) int32. values: (n,) float64.
    """

    offsets: Int64
    columns: NDArray[np.int32]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, rows: Int64) -> SparseRows:
        """Give some rows, in this order."""
        positions, offsets = gather_positions(self.offsets, rows)
        return SparseRows(offsets, self.columns.take(positions), self.values.take(positions))

    @staticmethod
    def join(parts: Sequence[SparseRows]) -> SparseRows:
        """Put rows one after the other."""
        lengths = [np.zeros(0, np.int64), *(np.diff(part.offsets) for part in parts)]
        columns = [np.zeros(0, np.int32), *(part.columns for part in parts)]
        values = [np.zeros(0), *(part.values for part in parts)]
        return SparseRows(
            offsets_of(np.concatenate(lengths)), np.concatenate(columns), np.concatenate(values)
        )


@dataclass(frozen=True, kw_only=True)
class TfidfOptions:
    """Which n-grams are features, and how they are counted.

    words, characters: the shortest and the longest n-gram, or nothing for none. min_rows: a feature
    that fewer training rows hold is left out; 0 stands for 2, or 1 where there are fewer than 1,000
    rows. max_features: at most so many, those that most rows hold; 0 for all. sublinear: 1 +
    log(count) in the place of the count.
    """

    words: Sequence[int] = (1, 2)
    characters: Sequence[int] = (2, 5)
    lowercase: bool = True
    min_rows: int = 0
    max_features: int = 0
    sublinear: bool = True

    def __post_init__(self) -> None:
        for name, value in (("words", self.words), ("characters", self.characters)):
            if len(value) and not (len(value) == 2 and 1 <= value[0] <= value[1]):
                raise UsageError(
                    f"{name} = {list(value)}; expected the shortest and the longest n-gram, as"
                    f" [1, 2], or [] for none"
                )
        if not len(self.words) and not len(self.characters):
            raise UsageError("words = [] and characters = [] leave no feature; set one of them")


@dataclass(frozen=True)
class TfidfFeatures:
    """Turn texts into sparse rows of TF-IDF.

    words, characters: the tables of n-grams, or None; the columns of words come first. vocabulary:
    the words by symbol. alphabet: (n,) uint32 ascending, the characters by symbol. row_counts:
    (n_features,) int64, how many of the `n_rows` training rows held each feature.

    >>> features, rows = TfidfFeatures.learn(["a good film", "a bad film"], TfidfOptions())
    >>> features.names()[:3], len(rows)
    (['good', 'film', 'bad'], 2)
    """

    words: GramTable | None
    vocabulary: tuple[str, ...]
    characters: GramTable | None
    alphabet: NDArray[np.uint32]
    row_counts: Int64
    n_rows: int
    lowercase: bool = True
    sublinear: bool = True
    _chunks: _ChunkTable = field(init=False, repr=False, compare=False)
    _idf: NDArray[np.float64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_chunks", _ChunkTable(self))
        idf = np.log((1 + self.n_rows) / (1 + self.row_counts)) + 1
        object.__setattr__(self, "_idf", idf)

    @staticmethod
    def learn(texts: Sequence[str], options: TfidfOptions) -> tuple[TfidfFeatures, SparseRows]:
        """Find the features of training texts; give them, and the texts' rows.

        Raises DataError where no text has a feature that stays.
        """
        whole = _learn_all(check_texts(texts), options)
        occurring = np.zeros(whole.n_features, np.int64)
        for rows in whole._count(texts):
            occurring += np.bincount(rows.columns, minlength=whole.n_features)
        least = options.min_rows or (2 if len(texts) >= _MANY_ROWS else 1)
        kept = occurring >= least
        if options.max_features and kept.sum() > options.max_features:
            order = np.argsort(-occurring, kind="stable")[: options.max_features]
            kept[np.delete(np.arange(len(kept)), order)] = False
        if not kept.any():
            raise DataError(
                f"the {len(texts):,} training texts have no n-gram of words or characters that"
                f" {least:,} of them hold; is the text column the right one?"
            )
        features = whole._keep(kept, occurring, n_rows=len(texts))
        return features, features.encode(texts)

    @property
    def n_features(self) -> int:
        """Number of features."""
        return len(self.row_counts)

    @property
    def n_word_features(self) -> int:
        """Number of those that are n-grams of words: the first ones."""
        return 0 if self.words is None else self.words.n_columns

    def encode(self, texts: Sequence[str]) -> SparseRows:
        """Give the TF-IDF of each text; one without a known feature has an empty row."""
        return SparseRows.join([self._weigh(rows) for rows in self._count(check_texts(texts))])

    def names(self) -> list[str]:
        """Spell the features: words with a space between them, then characters, of which those at
        a chunk's edge are a space.
        """
        found: list[str] = []
        if self.words is not None:
            found += [" ".join(self.vocabulary[i] for i in gram) for gram in self.words.spell()]
        if self.characters is not None:
            letters = [chr(code) for code in self.alphabet.tolist()]
            found += ["".join(letters[i] for i in gram) for gram in self.characters.spell()]
        return found

    def keep(self, kept: NDArray[np.bool_]) -> TfidfFeatures:
        """Keep some features, (n_features,) bool; they are numbered anew, in the same order.

        >>> features, _ = TfidfFeatures.learn(["a good film"], TfidfOptions(characters=[]))
        >>> features.keep(np.array([True, False, True])).names()
        ['good', 'good film']
        """
        return self._keep(kept, self.row_counts, n_rows=self.n_rows)

    @property
    def idf(self) -> NDArray[np.float64]:
        """What each feature counts for by its rarity: (n_features,)."""
        return self._idf

    def _weigh(self, rows: SparseRows) -> SparseRows:
        """Turn counts into weights."""
        counts = rows.values.astype(np.int64)
        by_count = np.arange(counts.max(initial=0) + 1, dtype=np.float64)
        if self.sublinear:
            by_count[1:] = 1 + np.log(by_count[1:])
        weights = by_count.take(counts) * self._idf.take(rows.columns)
        block = np.repeat(np.arange(len(rows)) * 2, np.diff(rows.offsets))
        block += rows.columns >= self.n_word_features
        squares = np.bincount(block, weights=weights * weights, minlength=2 * len(rows))
        return replace(rows, values=weights / np.sqrt(squares).take(block))

    def _count(self, texts: Sequence[str]) -> list[SparseRows]:
        """Count the features of each text, a block of texts at a time."""
        split = [(text.lower() if self.lowercase else text).split() for text in texts]
        offsets = offsets_of(np.fromiter(map(len, split), dtype=np.int64, count=len(split)))
        chunks = [chunk for row in split for chunk in row]
        blocks = []
        for first, end in split_blocks(offsets, n_items=_BLOCK_CHUNKS):
            found = self._chunks.look_up(chunks[offsets[first] : offsets[end]])
            blocks.append(self._count_block(found, offsets[first : end + 1] - offsets[first]))
        return blocks

    def _count_block(self, found: _Chunks, offsets: Int64) -> SparseRows:
        """Count the features of rows whose chunks are looked up."""
        n_rows, n_features = len(offsets) - 1, self.n_features
        # Half the bytes are sorted in half the time.
        firsts: NDArray[np.signedinteger[Any]] = np.arange(n_rows + 1) * n_features
        if n_rows * n_features < 2**31:
            firsts = firsts.astype(np.int32)
        ends = found.gram_offsets[offsets]
        keys = np.repeat(firsts[:-1], np.diff(ends))
        keys += found.grams
        if self.words is not None:
            sequences = Sequences(found.words, found.word_offsets[offsets])
            at, grams = self.words.look_up(sequences)
            keys = np.concatenate([keys, firsts.take(at) + grams])
        keys.sort()
        is_new = np.ones(len(keys), dtype=bool)
        np.not_equal(keys[1:], keys[:-1], out=is_new[1:])
        starts = np.flatnonzero(is_new)
        counts = np.diff(starts, append=len(keys)).astype(np.float64)
        keys = keys.take(starts)
        edges = np.searchsorted(keys, firsts).astype(np.int64)
        columns = keys - np.repeat(firsts[:-1], np.diff(edges))
        return SparseRows(edges, columns.astype(np.int32), counts)

    def _keep(self, kept: NDArray[np.bool_], row_counts: Int64, *, n_rows: int) -> TfidfFeatures:
        """Keep some features, (n_features,) bool."""
        n_words = self.n_word_features
        words, characters = self.words, self.characters
        vocabulary, alphabet = self.vocabulary, self.alphabet
        if words is not None:
            words, used = words.keep(kept[:n_words])
            vocabulary = tuple(vocabulary[i] for i in used.tolist())
        if characters is not None:
            characters, used = characters.keep(kept[n_words:])
            alphabet = alphabet[used]
        return replace(
            self,
            words=words,
            vocabulary=vocabulary,
            characters=characters,
            alphabet=alphabet,
            row_counts=row_counts[kept],
            n_rows=n_rows,
        )


def _learn_all(texts: Sequence[str], options: TfidfOptions) -> TfidfFeatures:
    """Make features of every n-gram that occurs in texts."""
    words = characters = None
    alphabet, vocabulary = np.zeros(0, np.uint32), dict[str, int]()
    split = [(text.lower() if options.lowercase else text).split() for text in texts]
    if len(options.characters):
        chunks = list(dict.fromkeys(chunk for row in split for chunk in row))
        codes, offsets = _spell_chunks(chunks)
        alphabet, symbols = np.unique(codes, return_inverse=True)
        shortest, longest = options.characters
        characters = GramTable.learn(
            Sequences(symbols.astype(np.int64), offsets),
            n_symbols=len(alphabet),
            shortest=shortest,
            longest=longest,
            whole=True,
        )
    if len(options.words):
        of_chunk: dict[str, list[int]] = {}
        for row in split:
            for chunk in row:
                if chunk not in of_chunk:
                    of_chunk[chunk] = [
                        vocabulary.setdefault(word, len(vocabulary))
                        for word in WORDS.findall(chunk)
                    ]
        rows = [[word for chunk in row for word in of_chunk[chunk]] for row in split]
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        flat = np.fromiter((word for row in rows for word in row), np.int64, int(lengths.sum()))
        shortest, longest = options.words
        words = GramTable.learn(
            Sequences(flat, offsets_of(lengths)),
            n_symbols=len(vocabulary),
            shortest=shortest,
            longest=longest,
        )
    n = sum(table.n_columns for table in (words, characters) if table is not None)
    return TfidfFeatures(
        words,
        tuple(vocabulary),
        characters,
        alphabet,
        np.zeros(n, np.int64),
        0,
        lowercase=options.lowercase,
        sublinear=options.sublinear,
    )


def _spell_chunks(chunks: Sequence[str]) -> tuple[NDArray[np.uint32], Int64]:
    """Give the code points of chunks with a space before and after each, and their offsets."""
    joined = "".join([f" {chunk} " for chunk in chunks])
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    lengths = np.fromiter(map(len, chunks), dtype=np.int64, count=len(chunks)) + 2
    return codes, offsets_of(lengths)


@dataclass(frozen=True)
class _Chunks:
    """What chunks hold: the columns of their characters' n-grams, and the symbols of their words,
    -1 for those unknown; with the offsets of each, (n_chunks + 1,).
    """

    grams: NDArray[np.int32]
    gram_offsets: Int64
    words: Int64
    word_offsets: Int64

    def __len__(self) -> int:
        return len(self.gram_offsets) - 1

    def take(self, numbers: Int64) -> _Chunks:
        """Give some chunks, in this order."""
        grams, gram_offsets = gather_positions(self.gram_offsets, numbers)
        words, word_offsets = gather_positions(self.word_offsets, numbers)
        return _Chunks(self.grams.take(grams), gram_offsets, self.words.take(words), word_offsets)

    def append(self, other: _Chunks) -> _Chunks:
        """Put chunks after these."""
        return _Chunks(
            np.concatenate([self.grams, other.grams]),
            np.append(self.gram_offsets, self.gram_offsets[-1] + other.gram_offsets[1:]),
            np.concatenate([self.words, other.words]),
            np.append(self.word_offsets, self.word_offsets[-1] + other.word_offsets[1:]),
        )


@dataclass(frozen=True)
class _Learnt:
    """What the first chunks of some numbers hold; more of them make another one."""

    numbers: Numbers = field(default_factory=Numbers)
    chunks: _Chunks = field(
        default_factory=lambda: _Chunks(
            *(np.zeros(0, np.int32), np.zeros(1, np.int64)),
            *(np.zeros(0, np.int64), np.zeros(1, np.int64)),
        )
    )


class _ChunkTable:
    """Chunks that were looked up before, which one thread at a time adds to."""

    def __init__(self, features: TfidfFeatures) -> None:
        self._features = features
        self._symbols = {word: i for i, word in enumerate(features.vocabulary)}
        self._learning = SharedLock()
        self._learnt = _Learnt()

    def look_up(self, chunks: Sequence[str]) -> _Chunks:
        """Give what each of some chunks holds."""
        with self._learning:
            learnt = self._learnt
            if len(learnt.numbers) > _REMEMBERED_CHUNKS:
                learnt = _Learnt()
            known, held = learnt.numbers, learnt.chunks
            numbers = np.empty(len(chunks), np.int64)
            # In pieces, between which other threads run: one call for 10 MB held them up for 80 ms.
            for first in range(0, len(chunks), _PIECE_CHUNKS):
                piece = chunks[first : first + _PIECE_CHUNKS]
                numbers[first : first + len(piece)] = [known[chunk] for chunk in piece]
            for first in range(len(held), len(known), _LEARNT_CHUNKS):
                new = list(islice(known, first, first + _LEARNT_CHUNKS))
                held = held.append(self._learn(new))
            self._learnt = _Learnt(known, held)
        return held.take(numbers)

    def _learn(self, chunks: list[str]) -> _Chunks:
        """Work out what new chunks hold."""
        features, n = self._features, len(chunks)
        grams, gram_offsets = np.zeros(0, np.int32), np.zeros(n + 1, np.int64)
        words, word_offsets = np.zeros(0, np.int64), gram_offsets
        if features.characters is not None:
            codes, offsets = _spell_chunks(chunks)
            places, known = find(features.alphabet, codes)
            symbols = np.where(known, places, -1)
            owners, columns = features.characters.look_up(Sequences(symbols, offsets))
            grams = columns[np.argsort(owners, kind="stable")]
            grams += np.int32(features.n_word_features)
            gram_offsets = offsets_of(np.bincount(owners, minlength=n))
        if features.words is not None:
            found = [WORDS.findall(chunk) for chunk in chunks]
            word_offsets = offsets_of(np.fromiter(map(len, found), np.int64, n))
            symbol = self._symbols.get
            listed = [symbol(word, -1) for row in found for word in row]
            words = np.array(listed, dtype=np.int64)
        return _Chunks(grams, gram_offsets, words, word_offsets)
