"""Hashed n-grams: words, their character n-grams and word n-grams as ids without a vocabulary,
after fastText.

In: texts and a word tokenizer. Out: a TokenBatch of ids for a bag encoder: word ids first, then
buckets. The hashes are fastText's (FNV-1a over UTF-8, bytes as signed chars; Bojanowski et al.
2017, Joulin et al. 2017), so buckets agree. `keep` numbers only the buckets that training texts
fill: the model then holds thousands of rows and not millions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch, offsets_of
from textkit.errors import UsageError
from textkit.features.grams import Numbers
from textkit.threads import SharedLock
from textkit.tokenizers.protocol import Tokenizer, check_texts
from textkit.tokenizers.spans import replace_surrogates
from textkit.vectors.fasttext import hash_ngrams
from textkit.vectors.words import ByteWords

_FNV_BASIS, _FNV_PRIME = 2166136261, 16777619
_WORD_PRIME = np.uint64(116049371)
# A bound on the memory of words and their n-grams, about 100 MB.
_CACHE_WORDS = 500_000
# New words that are hashed at a time.
_HASHED_WORDS = 20_000
# Longer words are hashed one by one: a word of a megabyte must not cost a million numpy calls.
_LONG_BYTES = 64


@dataclass(frozen=True)
class HashedNgrams:
    """Turn texts into the ids of words, of character n-grams minn to maxn of `<word>`, and of word
    2- to n-grams.

    Ids below `words.n_ids` are the tokenizer's words; bucket b is words.n_ids + b, or, when
    `kept` lists the buckets in use (n_kept,) int32, ascending, its place in that list, and other
    buckets give no id. A word that the vocabulary lacks gives its n-grams alone. minn = maxn = 0
    leaves characters out, word_ngrams = 1 leaves word n-grams out. Words are hashed as the
    tokenizer normalises them: lower-cased where it lower-cases. max_length cuts rows, words and
    n-grams alike.

    >>> from textkit import tokenizers
    >>> words = tokenizers.create("whitespace", vocabulary=["low"])
    >>> source = HashedNgrams(words, minn=0, maxn=0, word_ngrams=2, buckets=10)
    >>> source.encode(["low low"]).lengths.tolist()
    [3]
    """

    words: Tokenizer
    minn: int = 3
    maxn: int = 6
    word_ngrams: int = 1
    buckets: int = 200_000
    kept: NDArray[np.int32] | None = field(default=None, compare=False)
    max_length: int | None = None
    _table: _WordTable = field(init=False, repr=False, compare=False)
    _places: NDArray[np.int32] = field(init=False, repr=False, compare=False)
    _n_words: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.minn <= self.maxn or (self.maxn and not self.minn):
            raise UsageError(
                f"minn = {self.minn}, maxn = {self.maxn}; expected 1 <= minn <= maxn, or both 0"
            )
        if self.word_ngrams < 1 or self.buckets < 1:
            raise UsageError(
                f"word_ngrams = {self.word_ngrams}, buckets = {self.buckets}; expected at least 1"
                f" each"
            )
        kept = self.kept
        if (
            kept is not None
            and len(kept)
            and (kept[0] < 0 or kept[-1] >= self.buckets or (np.diff(kept) <= 0).any())
        ):
            raise UsageError(
                f"kept buckets must ascend from 0 to less than buckets = {self.buckets}"
            )
        object.__setattr__(self, "_n_words", self.words.n_ids)
        object.__setattr__(self, "_table", _WordTable(self))
        if kept is not None:
            object.__setattr__(self, "_places", _places_of(kept, self._n_words, self.buckets))

    @property
    def n_ids(self) -> int:
        """Number of ids: words and buckets."""
        return self._n_words + (self.buckets if self.kept is None else len(self.kept))

    def encode(self, texts: Sequence[str]) -> TokenBatch:
        """Give the ids of each text: word after word with its character n-grams, then the word
        n-grams.
        """
        clean, n_replaced = replace_surrogates(check_texts(texts), errors="replace")
        words = self.words.encode(clean, spans=True)
        known = words.ids != self.words.unknown_id
        numbers, learnt = self._table.number(clean, words)
        n_grams = learnt.offsets[numbers + 1] - learnt.offsets[numbers]
        # Where each word's ids go: after those of the words before it and the word n-grams of the
        # rows before it.
        word_grams, n_word_grams = self._word_buckets(learnt.hashes[numbers], words)
        ends = offsets_of(known + n_grams)
        lengths = ends[words.offsets[1:]] - ends[words.offsets[:-1]] + n_word_grams
        offsets = offsets_of(lengths)
        before = offsets_of(n_word_grams)
        place = ends[:-1] + np.repeat(before[:-1], words.lengths)
        ids = np.empty(int(offsets[-1]), dtype=np.int32)
        ids[place[known]] = words.ids[known]
        if self.maxn:
            within = np.arange(int(n_grams.sum())) - np.repeat(offsets_of(n_grams)[:-1], n_grams)
            ids[np.repeat(place + known, n_grams) + within] = learnt.grams[
                np.repeat(learnt.offsets[numbers], n_grams) + within
            ]
        if len(word_grams):
            ids[np.arange(len(word_grams)) + np.repeat(offsets[1:] - before[1:], n_word_grams)] = (
                word_grams
            )
        batch = TokenBatch(
            ids, offsets, None, np.zeros(len(texts), np.int32), n_replaced=n_replaced
        )
        batch = batch if self.kept is None else self.renumber(batch)
        return batch if self.max_length is None else batch.truncate(self.max_length)

    def describe(self) -> dict[str, object]:
        """Give the tokenizer's fingerprint, the options, and a hash of the buckets kept."""
        kept = None if self.kept is None else hashlib.sha256(self.kept.tobytes()).hexdigest()
        return {
            "tokenizer": self.words.fingerprint,
            "minn": self.minn,
            "maxn": self.maxn,
            "word_ngrams": self.word_ngrams,
            "buckets": self.buckets,
            "kept": kept,
            "max_length": self.max_length,
        }

    def keep(self, batch: TokenBatch, *, min_frequency: int = 1) -> tuple[HashedNgrams, TokenBatch]:
        """Number only the buckets that occur `min_frequency` times in a batch that this source
        encoded.

        Returns the source that encodes so, and the batch in its ids. A bucket that no training text
        fills has nothing to say: without it an id table is as large as the training data needs,
        whatever `buckets` is.

        >>> from textkit import tokenizers
        >>> words = tokenizers.create("whitespace")
        >>> source = HashedNgrams(words, minn=0, maxn=0, word_ngrams=2, buckets=1000)
        >>> source, batch = source.keep(source.encode(["a b c", "a b"]))
        >>> source.n_ids, batch.ids.tolist() == source.encode(["a b c", "a b"]).ids.tolist()
        (4, True)
        """
        source = self.keep_counted(
            np.bincount(batch.ids, minlength=self.n_ids), min_frequency=min_frequency
        )
        return source, source.renumber(batch)

    def keep_counted(self, counts: NDArray[np.int64], *, min_frequency: int = 1) -> HashedNgrams:
        """Do the same with the counts of all ids, (n_ids,), where there is too much text for one
        batch.
        """
        if self.kept is not None:
            raise UsageError("this source has its buckets chosen already")
        used = counts[self._n_words :] >= max(min_frequency, 1)
        return replace(self, kept=np.flatnonzero(used).astype(np.int32))

    def renumber(self, batch: TokenBatch) -> TokenBatch:
        """Turn ids of buckets into their places among those kept, and leave the others out."""
        ids = self._places[batch.ids]
        stays = ids >= 0
        return replace(
            batch, ids=ids[stays], offsets=offsets_of(stays.astype(np.int64))[batch.offsets]
        )

    def _word_buckets(
        self, hashes: NDArray[np.uint64], words: TokenBatch
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Hash runs of 2 to word_ngrams words, in fastText's 64-bit arithmetic and order: ids,
        and counts by row.
        """
        lengths = words.lengths
        left = (
            np.repeat(words.offsets[1:], lengths) - np.arange(len(hashes)) - 1
        )  # words after each in its row
        columns = np.empty((len(hashes), self.word_ngrams - 1), dtype=np.int32)
        running = hashes
        for n in range(1, self.word_ngrams):
            running = running[: max(len(hashes) - n, 0)] * _WORD_PRIME + hashes[n:]
            columns[: len(running), n - 1] = (running % np.uint64(self.buckets)).astype(np.int32)
        ids = columns[left[:, None] >= np.arange(1, self.word_ngrams)] + np.int32(self._n_words)
        ends = offsets_of(np.minimum(left, self.word_ngrams - 1))
        return ids, ends[words.offsets[1:]] - ends[words.offsets[:-1]]


def _places_of(kept: NDArray[np.int32], n_words: int, buckets: int) -> NDArray[np.int32]:
    """Give the new id of every id, -1 for buckets that are not kept: (n_words + buckets,)."""
    places = np.full(n_words + buckets, -1, dtype=np.int32)
    places[:n_words] = np.arange(n_words)
    places[n_words + kept] = n_words + np.arange(len(kept))
    return places


@dataclass(frozen=True)
class _Learnt:
    """What the first words of some numbers are hashed to; more of them make another one.

    hashes: (n_words,) uint64, fastText's hash as a signed 32-bit number. grams: (n_grams,) int32
    ids of the character n-grams, word after word; offsets: (n_words + 1,) int64.
    """

    numbers: Numbers = field(default_factory=Numbers)
    hashes: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    grams: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    offsets: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))


class _WordTable:
    """Words that were hashed before, which one thread at a time adds to."""

    def __init__(self, source: HashedNgrams) -> None:
        self._words, self._minn, self._maxn, self._buckets = (
            source.words,
            source.minn,
            source.maxn,
            source.buckets,
        )
        self._n_words = source.words.n_ids
        self._learning = SharedLock()
        self._learnt = _Learnt()

    def number(self, texts: Sequence[str], words: TokenBatch) -> tuple[NDArray[np.int64], _Learnt]:
        """Give the number of each word of a batch, (n_words,), and what these numbers stand for."""
        assert words.spans is not None
        # Two flat lists: a list of pairs takes five times as long, most of it for the garbage
        # collector.
        edges = zip(words.spans[:, 0].tolist(), words.spans[:, 1].tolist(), strict=True)
        found = [
            text[start:end]
            for text, n in zip(texts, words.lengths.tolist(), strict=True)
            for start, end in islice(edges, n)
        ]
        with self._learning:
            learnt = self._learnt if len(self._learnt.numbers) <= _CACHE_WORDS else _Learnt()
            known = learnt.numbers
            numbers = np.fromiter(map(known.__getitem__, found), dtype=np.int64, count=len(found))
            for first in range(len(learnt.hashes), len(known), _HASHED_WORDS):
                learnt = self._learn(learnt, list(islice(known, first, first + _HASHED_WORDS)))
            self._learnt = learnt
            return numbers, learnt

    def _learn(self, learnt: _Learnt, words: list[str]) -> _Learnt:
        """Hash the next words and their n-grams, all at once."""
        packed = ByteWords.of([self._words.normalize(word) for word in words])
        # fastText's hash is added up as a signed number.
        signed = hash_words(packed).view(np.int32).astype(np.int64)
        hashes = np.concatenate([learnt.hashes, signed.view(np.uint64)])
        if not self._maxn:
            return replace(learnt, hashes=hashes, offsets=np.zeros(len(hashes) + 1, np.int64))
        owners, grams = hash_ngrams(packed, self._minn, self._maxn)
        ids = (grams % np.uint32(self._buckets)).astype(np.int32) + np.int32(self._n_words)
        ends = learnt.offsets[-1] + offsets_of(np.bincount(owners, minlength=len(words)))
        return replace(
            learnt,
            hashes=hashes,
            grams=np.concatenate([learnt.grams, ids]),
            offsets=np.concatenate([learnt.offsets, ends[1:]]),
        )


def hash_bytes(data: bytes) -> int:
    """Hash bytes as fastText does: FNV-1a with each byte as a signed char, 32 bits unsigned.

    >>> hash_bytes(b"low")
    1330735745
    """
    value = _FNV_BASIS
    for byte in data:
        value = ((value ^ (byte if byte < 0x80 else byte | 0xFFFFFF00)) * _FNV_PRIME) & 0xFFFFFFFF
    return value


def hash_words(words: ByteWords) -> NDArray[np.uint32]:
    """Hash many words as `hash_bytes` does, byte column by byte column: (n_words,) uint32.

    >>> hash_words(ByteWords.of(["low", ""])).tolist()
    [1330735745, 2166136261]
    """
    lengths = np.diff(words.offsets)
    signed = words.data.view(np.int8).astype(np.int32).view(np.uint32)
    hashes = np.full(len(words), _FNV_BASIS, np.uint32)
    alive = np.flatnonzero(lengths <= _LONG_BYTES)
    for column in range(int(lengths[alive].max(initial=0))):
        alive = alive[lengths[alive] > column]
        hashes[alive] = (hashes[alive] ^ signed[words.offsets[alive] + column]) * np.uint32(
            _FNV_PRIME
        )
    for number in np.flatnonzero(lengths > _LONG_BYTES).tolist():
        hashes[number] = hash_bytes(
            words.data[words.offsets[number] : words.offsets[number + 1]].tobytes()
        )
    return hashes
