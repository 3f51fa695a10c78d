"""Word lists that are looked up where they lie: an index of words as flat arrays, no dict, nothing
to build at opening.

In: words, or the arrays of a saved index. Out: the number of each word, -1 where it is unknown, for
many words at once.

The words stand as one run of UTF-8 with offsets. Their 64-bit hashes are sorted, so a look-up is a
binary search and one comparison of bytes. A seed is chosen at building such that no two words share
a hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from textkit.errors import ArtifactError, UsageError
from textkit.io.tables import take_texts

Int64 = npt.NDArray[np.int64]
Uint64 = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]

# FNV-1a, 64 bits, and the finaliser of SplitMix64, which spreads it over all bits.
_OFFSET, _PRIME = 0xCBF29CE484222325, 0x100000001B3
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, None))
_MASK = 0xFFFFFFFFFFFFFFFF
# Longer words are hashed by BLAKE2b one by one: a word of a megabyte must not cost a million numpy
# calls.
_LONG_BYTES = 64
_SEEDS = 16
_DECODE_WORDS = 4096


@dataclass(frozen=True)
class ByteWords:
    """Words as one run of UTF-8 bytes and offsets (n_words + 1,) from 0."""

    data: Bytes
    offsets: Int64

    @classmethod
    def of(cls, words: Iterable[str]) -> ByteWords:
        """Encode words; a lone surrogate is kept as its three bytes.

        >>> ByteWords.of(["a", "bc"]).offsets.tolist()
        [0, 1, 3]
        """
        listed = list(words)
        try:
            joined = "".join(listed)
        except TypeError as err:
            raise UsageError(f"expected words, found something that is no str: {err}") from err
        if not joined.isascii():
            encoded = [word.encode("utf-8", "surrogatepass") for word in listed]
            return cls.of_bytes(encoded)
        return cls(
            np.frombuffer(joined.encode(), np.uint8), _offsets(map(len, listed), len(listed))
        )

    @classmethod
    def of_bytes(cls, words: Sequence[bytes]) -> ByteWords:
        """Join words that are UTF-8 already."""
        return cls(np.frombuffer(b"".join(words), np.uint8), _offsets(map(len, words), len(words)))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, numbers: Int64) -> ByteWords:
        """Give the words of these numbers, in this order."""
        lengths = self.offsets[numbers + 1] - self.offsets[numbers]
        offsets = np.zeros(len(numbers) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        positions = np.repeat(self.offsets[numbers] - offsets[:-1], lengths) + np.arange(
            offsets[-1]
        )
        return ByteWords(self.data[positions], offsets)

    def hashes(self, seed: int) -> Uint64:
        """Hash every word: (n_words,) uint64."""
        lengths = np.diff(self.offsets)
        # Columns of bytes over the words still long enough: longest first, so that those are a
        # prefix.
        order = np.argsort(-np.minimum(lengths, _LONG_BYTES + 1).astype(np.int16), kind="stable")
        sorted_lengths = lengths[order]
        starts = self.offsets[:-1][order]
        n_long = int(np.searchsorted(-sorted_lengths, -_LONG_BYTES, side="left"))
        state = np.full(len(self), (_OFFSET ^ (seed * _PRIME)) & _MASK, np.uint64)
        longest = int(sorted_lengths[n_long]) if n_long < len(self) else 0
        prime = np.uint64(_PRIME)
        stops = np.searchsorted(-sorted_lengths, -np.arange(longest), side="left")
        for column in range(longest):
            part = slice(n_long, int(stops[column]))
            state[part] ^= self.data[starts[part] + column]
            state[part] *= prime
        for at in range(n_long):
            start = int(starts[at])
            state[at] = _hash_long(
                self.data[start : start + int(sorted_lengths[at])].tobytes(), seed
            )
        for shift, factor in _MIX:
            state ^= state >> np.uint64(shift)
            if factor is not None:
                state *= np.uint64(factor)
        hashes = np.empty(len(self), np.uint64)
        hashes[order] = state
        return hashes


class WordIndex(Sequence[str]):
    """A sequence of different words that finds the number of each; its arrays may be memory-mapped.

    >>> index = WordIndex.build(ByteWords.of(["pride", "vanity"]))
    >>> index.find(["vanity", "envy"]).tolist(), list(index)
    ([1, -1], ['pride', 'vanity'])
    """

    def __init__(
        self, words: ByteWords, *, hashes: Uint64, numbers: npt.NDArray[np.int32], seed: int
    ) -> None:
        self.words, self.hashes, self.numbers, self.seed = words, hashes, numbers, seed

    @classmethod
    def build(cls, words: ByteWords) -> WordIndex:
        """Index words that are all different; UsageError names the first that is not."""
        index, kept = cls.build_kept(words)
        if len(kept) < len(words):
            first = int(np.flatnonzero(np.diff(np.append(kept, len(words)), prepend=-1) > 1)[0])
            again = int(kept[first - 1]) + 1 if first else 0
            raise UsageError(
                f"word {again} is there twice: {_decode(words, again)!r}; words must be different"
            )
        return index

    @classmethod
    def build_kept(cls, words: ByteWords) -> tuple[WordIndex, Int64]:
        """Index words of which the first of each counts.

        Gives also the numbers of those kept, rising.
        """
        for seed in range(_SEEDS):
            hashes = words.hashes(seed)
            order = np.argsort(hashes, kind="stable")
            same = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
            if not len(same):
                return cls(
                    words, hashes=hashes[order], numbers=order.astype(np.int32), seed=seed
                ), np.arange(len(words))
            if not _equal(words, order[same], words, order[same + 1]).all():
                continue  # two words share a hash: another seed
            keep = np.ones(len(words), bool)
            keep[order[same + 1]] = False
            kept = np.flatnonzero(keep)
            return cls.build_kept(words.take(kept))[0], kept
        raise ArtifactError("words were made to share hashes; textkit does not read such a list")

    def __len__(self) -> int:
        return len(self.words)

    @overload
    def __getitem__(self, number: int) -> str: ...
    @overload
    def __getitem__(self, number: slice) -> list[str]: ...
    def __getitem__(self, number: int | slice) -> str | list[str]:
        if isinstance(number, slice):
            return [_decode(self.words, i) for i in range(*number.indices(len(self)))]
        found = int(number) + (len(self) if number < 0 else 0)
        if not 0 <= found < len(self):
            raise IndexError(f"word {number} of {len(self):,}")
        return _decode(self.words, found)

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), _DECODE_WORDS):
            yield from self[first : first + _DECODE_WORDS]

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and self.find_one(word) >= 0

    def __repr__(self) -> str:
        return f"WordIndex({len(self):,} words)"

    def find(self, words: Iterable[str]) -> Int64:
        """Give the number of each word, -1 where it is unknown: (n,) int64."""
        wanted = ByteWords.of(take_texts(words, what="words"))
        if not len(self):
            return np.full(len(wanted), -1, np.int64)
        hashes = wanted.hashes(self.seed)
        at = np.minimum(np.searchsorted(self.hashes, hashes), len(self) - 1)
        numbers = self.numbers[at].astype(np.int64)
        numbers[self.hashes[at] != hashes] = -1
        likely = np.flatnonzero(numbers >= 0)
        wrong = likely[~_equal(wanted, likely, self.words, numbers[likely])]
        numbers[wrong] = -1
        return numbers

    def find_one(self, word: str) -> int:
        """Give the number of one word, -1 where it is unknown: ten times faster than a batch of
        one.
        """
        data = word.encode("utf-8", "surrogatepass")
        state = (_OFFSET ^ (self.seed * _PRIME)) & _MASK
        if len(data) > _LONG_BYTES:
            state = _hash_long(data, self.seed)
        else:
            for byte in data:
                state = ((state ^ byte) * _PRIME) & _MASK
        for shift, factor in _MIX:
            state ^= state >> shift
            state = state if factor is None else (state * factor) & _MASK
        at = int(np.searchsorted(self.hashes, np.uint64(state)))
        if at == len(self) or int(self.hashes[at]) != state:
            return -1
        number = int(self.numbers[at])
        start, stop = self.words.offsets[number : number + 2].tolist()
        return number if self.words.data[start:stop].tobytes() == data else -1

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Name the arrays as they are saved."""
        return {
            "word_hashes": self.hashes,
            "word_offsets": self.words.offsets,
            "word_numbers": self.numbers,
            "word_bytes": self.words.data,
        }

    @classmethod
    def from_arrays(
        cls, arrays: dict[str, npt.NDArray[Any]], *, seed: int, where: str
    ) -> WordIndex:
        """Make an index of saved arrays; ArtifactError where they cannot be one."""
        wanted = {
            "word_hashes": "<u8",
            "word_offsets": "<i8",
            "word_numbers": "<i4",
            "word_bytes": "|u1",
        }
        for name, dtype in wanted.items():
            if name not in arrays or arrays[name].dtype.str != dtype or arrays[name].ndim != 1:
                raise ArtifactError(
                    f"no {dtype} array '{name}'; convert the vectors again", where=where
                )
        offsets, n_words = arrays["word_offsets"], len(arrays["word_offsets"]) - 1
        fits = len(arrays["word_hashes"]) == len(arrays["word_numbers"]) == n_words >= 0
        if not fits or int(offsets[0]) != 0 or int(offsets[-1]) != len(arrays["word_bytes"]):
            raise ArtifactError(
                "the arrays of the word index do not fit together; convert the vectors again",
                where=where,
            )
        if (np.diff(offsets) < 0).any() or (
            n_words
            and not 0 <= arrays["word_numbers"].min() <= arrays["word_numbers"].max() < n_words
        ):
            raise ArtifactError("the word index is damaged; convert the vectors again", where=where)
        words = ByteWords(arrays["word_bytes"], offsets)
        return cls(words, hashes=arrays["word_hashes"], numbers=arrays["word_numbers"], seed=seed)


def _offsets(lengths: Iterable[int], n_words: int) -> Int64:
    offsets = np.zeros(n_words + 1, np.int64)
    np.cumsum(np.fromiter(lengths, np.int64, n_words), out=offsets[1:])
    return offsets


def _decode(words: ByteWords, number: int) -> str:
    start, stop = words.offsets[number : number + 2].tolist()
    return words.data[start:stop].tobytes().decode("utf-8", "replace")


def _hash_long(data: bytes, seed: int) -> int:
    digest = hashlib.blake2b(data, digest_size=8, key=bytes([seed])).digest()
    return int.from_bytes(digest, "little")


def _equal(a: ByteWords, a_numbers: Int64, b: ByteWords, b_numbers: Int64) -> npt.NDArray[np.bool_]:
    """Compare words a[i] with words b[j] pair by pair: (n,) bool."""
    a_starts, b_starts = a.offsets[a_numbers], b.offsets[b_numbers]
    lengths = a.offsets[a_numbers + 1] - a_starts
    equal = lengths == b.offsets[b_numbers + 1] - b_starts
    lengths = np.where(equal, lengths, 0)
    first = np.cumsum(lengths) - lengths
    steps = np.arange(int(lengths.sum()))
    differ = (
        a.data[np.repeat(a_starts - first, lengths) + steps]
        != b.data[np.repeat(b_starts - first, lengths) + steps]
    )
    pairs = np.repeat(np.arange(len(lengths)), lengths)
    equal[pairs[differ]] = False
    return np.asarray(equal)
