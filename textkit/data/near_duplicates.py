"""Near-duplicate texts by MinHash, without keeping the texts: 48 bytes a row, vectorised over many
rows.

In: normalised texts, words with single spaces between. Out: signatures, and the pairs of rows whose
sets of word pairs are alike. After Broder 1997; of each minimum only 8 bits are kept (Li and Koenig
2010), and pairs are looked for only among rows that agree on a whole band of 4 bytes: two texts
alike by 0.8 share one of 12 bands with probability .998.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from textkit.data.scramble import scramble

N_BANDS, _BAND_BYTES = 12, 4
N_HASHES = N_BANDS * _BAND_BYTES
# With fewer word pairs one changed word makes another text, and 6 of 8 pairs ("what type of
# currency is used in china", "... australia": .75) are within the estimate's error of .8.
MIN_PAIRS = 8
# Chinese, Japanese and Korean put no spaces between words: from here on each character is one.
_FIRST_CJK = 0x2E80

# What an estimate of 48 bytes may be too low by: 3.4 standard errors of one of .8.
MARGIN = 0.2

Signatures = NDArray[np.uint8]


def sign(texts: Sequence[str]) -> tuple[Signatures, NDArray[np.bool_]]:
    """Compute signatures (n, 48) uint8, and which rows (n,) have enough words to be compared.

    >>> signatures, usable = sign(["one two three four five six seven eight nine", "one two"])
    >>> signatures.shape, usable.tolist()
    ((2, 48), [True, False])
    """
    pairs, counts = _word_pairs(texts)
    signatures = np.zeros((len(texts), N_HASHES), np.uint8)
    usable = counts >= MIN_PAIRS
    full = np.flatnonzero(counts)
    if len(full):
        starts = (np.cumsum(counts) - counts)[full]
        generator = np.random.default_rng(0x5EED)
        factors = generator.integers(1, 2**63, size=N_HASHES, dtype=np.uint64) * np.uint64(
            2
        ) + np.uint64(1)
        for column, factor in enumerate(factors):
            hashed = ((pairs * factor) >> np.uint64(32)).astype(np.uint32)
            signatures[full, column] = np.minimum.reduceat(hashed, starts).astype(np.uint8)
    return signatures, usable


def alike(
    signatures: Signatures, *, threshold: float, n_before: int = 1
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find pairs (n_pairs, 2) of rows, the first the smaller number, and their estimated likeness
    (n_pairs,).

    In a bundle of many rows each is paired with the first and with the n_before before it, not
    with all.
    The likeness is the Jaccard index of the word pairs, give or take .06.

    >>> text = "one two three four five six seven eight nine ten"
    >>> signatures, _ = sign([text, text, "another text altogether with words in it"])
    >>> pairs, likeness = alike(signatures, threshold=0.8)
    >>> pairs.tolist(), likeness.tolist()
    ([[0, 1]], [1.0])
    """
    found = [np.zeros((0, 2), np.int64)]
    for band in range(N_BANDS):
        here = slice(band * _BAND_BYTES, (band + 1) * _BAND_BYTES)
        keys = np.ascontiguousarray(signatures[:, here]).view(np.uint32)[:, 0]
        order = np.argsort(keys, kind="stable")
        same = keys[order][1:] == keys[order][:-1]
        later = np.flatnonzero(same) + 1
        bundle = np.cumsum(np.concatenate([[0], ~same]))
        firsts = order[np.flatnonzero(np.concatenate([[True], ~same]))] if len(order) else order
        for lag in range(1, n_before + 1):
            near = later[bundle[np.maximum(later - lag, 0)] == bundle[later]]
            near = near[near >= lag]
            found.append(np.stack([order[near - lag], order[near]], axis=1))
        found.append(np.stack([firsts[bundle[later]], order[later]], axis=1))
    pairs = np.unique(np.concatenate(found), axis=0)
    agreement = np.zeros(len(pairs))
    for start in range(0, len(pairs), 1 << 18):
        part = pairs[start : start + (1 << 18)]
        agreement[start : start + len(part)] = (
            signatures[part[:, 0]] == signatures[part[:, 1]]
        ).mean(axis=1)
    likeness = (agreement - 1 / 256) / (1 - 1 / 256)  # one byte in 256 agrees by chance
    chosen = likeness >= threshold
    return pairs[chosen], likeness[chosen]


def list_word_pairs(texts: Sequence[str]) -> list[NDArray[np.uint64]]:
    """Give the set of word pairs of each text, as sorted hashes.

    >>> [len(pairs) for pairs in list_word_pairs(["one two three", "one", "a b a b"])]
    [2, 0, 2]
    """
    pairs, counts = _word_pairs(texts)
    return [np.unique(some) for some in np.split(pairs, np.cumsum(counts)[:-1])] if texts else []


def jaccard(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> float:
    """Give the Jaccard index of two sets, each sorted hashes; 0 where both are empty.

    >>> jaccard(*list_word_pairs(["a b c d", "a b c e"]))
    0.5
    """
    n_both = len(np.intersect1d(one, other, assume_unique=True))
    return n_both / max(len(one) + len(other) - n_both, 1)


def _word_pairs(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hash each two neighbouring words of each text: the hashes, row after row, and how many
    each row has.
    """
    codes = np.frombuffer(" ".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    if not len(codes):
        return np.zeros(0, np.uint64), np.zeros(len(texts), np.int64)
    sizes = np.fromiter(map(len, texts), np.int64, len(texts)) + 1  # and the space after each
    row_starts = np.cumsum(sizes) - sizes
    space, alone = codes == 32, codes >= _FIRST_CJK
    before = np.concatenate([[True], space[:-1] | alone[:-1]])
    starts = np.flatnonzero(~space & (before | alone))
    if not len(starts):
        return np.zeros(0, np.uint64), np.zeros(len(texts), np.int64)
    position = np.arange(len(codes)) - np.repeat(
        np.concatenate([[0], starts]), np.diff(np.concatenate([[0], starts, [len(codes)]]))
    )
    letters = scramble(codes.astype(np.uint64) + (position.astype(np.uint64) << np.uint64(21)))
    letters[space] = 0
    words = scramble(np.add.reduceat(letters, starts))
    row_of = np.searchsorted(row_starts, starts, side="right") - 1
    together = row_of[1:] == row_of[:-1]
    pairs = scramble(words[:-1] * np.uint64(3) + words[1:])[together]
    return pairs, np.bincount(row_of[1:][together], minlength=len(texts))
