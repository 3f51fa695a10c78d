"""Hashed n-grams: words, their character n-grams and word n-grams as ids without a vocabulary, after fastText.

In: texts and a word tokenizer. Out: a TokenBatch of ids for a bag encoder: word ids first, then buckets. The hashes are
fastText's (FNV-1a over UTF-8, bytes as signed chars; Bojanowski et al. 2017, Joulin et al. 2017), so buckets agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch, offsets_of
from textkit.errors import UsageError
from textkit.tokenizers.base import Tokenizer, check_texts
from textkit.tokenizers.native_engine import CACHE_PIECES
from textkit.tokenizers.spans import replace_surrogates

_FNV_BASIS, _FNV_PRIME = 2166136261, 16777619
_WORD_PRIME = np.uint64(116049371)


@dataclass(frozen=True)
class HashedNgrams:
    """Turn texts into the ids of words, of character n-grams minn to maxn of `<word>`, and of word 2- to n-grams.

    Ids below len(vocabulary) are the tokenizer's words; bucket b is len(vocabulary) + b. A word that the vocabulary
    lacks gives its n-grams alone. minn = maxn = 0 leaves characters out, word_ngrams = 1 leaves word n-grams out.

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
    _known: dict[tuple[str, int], tuple[int, NDArray[np.int32]]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if not 0 <= self.minn <= self.maxn or (self.maxn and not self.minn):
            raise UsageError(f"minn = {self.minn}, maxn = {self.maxn}; expected 1 <= minn <= maxn, or both 0")
        if self.word_ngrams < 1 or self.buckets < 1:
            raise UsageError(f"word_ngrams = {self.word_ngrams}, buckets = {self.buckets}; expected at least 1 each")

    @property
    def n_ids(self) -> int:
        """Number of ids: words and buckets."""
        return len(self.words.vocabulary) + self.buckets

    def encode(self, texts: Sequence[str]) -> TokenBatch:
        """Give the ids of each text: word after word with its character n-grams, then the word n-grams."""
        clean, n_replaced = replace_surrogates(check_texts(texts), errors="replace")
        clean = [self.words.normalize(text) for text in clean]
        batch = self.words.encode(clean, spans=True)
        rows, lengths = [], np.zeros(len(texts), dtype=np.int64)
        for row, text in enumerate(clean):
            spans = batch.row_spans(row).tolist()
            found = [self._word(text[start:end], i) for (start, end), i in zip(spans, batch[row].tolist(), strict=True)]
            parts = [ids for _, ids in found]
            if self.word_ngrams > 1:
                hashes = np.array([hash_ for hash_, _ in found], dtype=np.int64)
                parts.append(self._word_buckets(hashes))
            rows += parts
            lengths[row] = sum(map(len, parts))
        ids = np.concatenate(rows) if rows else np.zeros(0, np.int32)
        return TokenBatch(ids, offsets_of(lengths), None, np.zeros(len(texts), np.int32), n_replaced=n_replaced)

    def _word(self, word: str, first: int) -> tuple[int, NDArray[np.int32]]:
        """Give a word's signed 32-bit hash and its ids, learnt once; `first` is the tokenizer's own id."""
        key = (word, first)
        if key not in self._known:
            if len(self._known) >= CACHE_PIECES:
                self._known.clear()
            ids = [] if first == self.words.unknown_id else [first]
            start = len(self.words.vocabulary)
            ids += [start + hash_bytes(gram) % self.buckets for gram in character_ngrams(word, self.minn, self.maxn)]
            hash_ = hash_bytes(word.encode("utf-8"))
            self._known[key] = (hash_ - (hash_ >> 31 << 32), np.array(ids, dtype=np.int32))
        return self._known[key]

    def _word_buckets(self, hashes: NDArray[np.int64]) -> NDArray[np.int32]:
        """Hash runs of 2 to word_ngrams words, in fastText's 64-bit arithmetic and order."""
        unsigned = hashes.astype(np.uint64)
        running = unsigned.copy()
        columns = np.full((len(hashes), self.word_ngrams - 1), -1, dtype=np.int64)
        start = len(self.words.vocabulary)
        for n in range(1, self.word_ngrams):
            if len(hashes) <= n:
                break
            running = running[:-1] * _WORD_PRIME + unsigned[n:]
            columns[: len(running), n - 1] = (running % np.uint64(self.buckets)).astype(np.int64) + start
        flat = columns.reshape(-1)
        return flat[flat >= 0].astype(np.int32)


def character_ngrams(word: str, minn: int, maxn: int) -> list[bytes]:
    """Give the UTF-8 of the n-grams of `<word>`, by start and then by length; single `<` and `>` are left out.

    >>> character_ngrams("low", 3, 3)
    [b'<lo', b'low', b'ow>']
    """
    marked = f"<{word}>"
    n = len(marked)
    return [
        marked[start : start + size].encode("utf-8")
        for start in range(n)
        for size in range(max(minn, 1), min(maxn, n - start) + 1)
        if not (size == 1 and (start == 0 or start + size == n))
    ]


def hash_bytes(data: bytes) -> int:
    """Hash bytes as fastText does: FNV-1a with each byte as a signed char, 32 bits unsigned.

    >>> hash_bytes(b"low")
    1330735745
    """
    value = _FNV_BASIS
    for byte in data:
        value = ((value ^ (byte if byte < 0x80 else byte | 0xFFFFFF00)) * _FNV_PRIME) & 0xFFFFFFFF
    return value
