"""Other ways to cut the same text, drawn by chance, for a network that learns to read them all.

In: the ids that a tokenizer gives, word by word. Out: ids that spell the same words. Two ways:

1. BPE-dropout (Provilkov et al. 2020): before each merge every possible merge is left out with the
   probability `dropout`; where none is left, the word stays as it is.
2. Sampling from a unigram model (Kudo 2018): a segmentation x is drawn with a probability in
   proportion to P(x) ** alpha, of all of them by forward filtering and backward sampling, or of
   the `nbest` likeliest.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch, offsets_of
from textkit.errors import UsageError
from textkit.tokenizers.changes import merges_of
from textkit.tokenizers.description import Description


class Cut(Protocol):
    """What cuts a word into tokens by chance."""

    def __call__(self, word: str, random: np.random.Generator) -> list[str]: ...


def cut_of(
    description: Description, *, dropout: float | None, alpha: float | None, nbest: int | None
) -> Cut:
    """Give what samples for a model; UsageError where it has no such options."""
    model = description["model"]
    for name, value, highest in (("dropout", dropout, 1.0), ("alpha", alpha, math.inf)):
        if value is not None and not 0 <= value <= highest:
            raise UsageError(f"{name} is {value}, expected 0 to {highest:g}")
    if model["type"] == "BPE":
        if alpha is not None or nbest is not None:
            raise UsageError("alpha and nbest are for unigram tokenizers; BPE takes dropout")
        if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
            raise UsageError("a BPE whose pieces mark the begin or end of words cannot be sampled")
        return BpeDropout(merges_of(model), 0.1 if dropout is None else dropout)
    if model["type"] == "Unigram":
        if dropout is not None:
            raise UsageError("dropout is for BPE tokenizers; unigram takes alpha and nbest")
        if nbest is not None and nbest < 1:
            raise UsageError(f"nbest is {nbest}, expected 1 or more")
        return UnigramCuts(dict(model["vocab"]), 0.1 if alpha is None else alpha, nbest)
    raise UsageError(f"a {model['type']} tokenizer cuts a word in one way: it cannot be sampled")


def resample(
    batch: TokenBatch,
    names: Mapping[int, str],
    vocabulary: Mapping[str, int],
    *,
    cut: Cut,
    fixed: frozenset[int],
    random: np.random.Generator,
) -> TokenBatch:
    """Cut the words of a batch anew; words with an id of `fixed` stay as they are."""
    assert batch.origins is not None and batch.origins.words is not None
    words = batch.origins.words
    ids: list[int] = []
    lengths = []
    for begin, end in zip(batch.offsets[:-1].tolist(), batch.offsets[1:].tolist(), strict=True):
        before = len(ids)
        edges = begin + 1 + np.flatnonzero(np.diff(words[begin:end]))
        for first, last in _pairwise(begin, edges.tolist(), end):
            word = batch.ids[first:last].tolist()
            if fixed.isdisjoint(word):
                drawn = cut("".join(names[i] for i in word), random)
                word = [vocabulary[piece] for piece in drawn]
            ids += word
        lengths.append(len(ids) - before)
    return TokenBatch(
        np.array(ids, dtype=np.int32),
        offsets_of(np.array(lengths, dtype=np.int64)),
        None,
        np.zeros(len(lengths), dtype=np.int32),
        n_replaced=batch.n_replaced,
        pad_id=batch.pad_id,
    )


class BpeDropout:
    """Merges with some left out.

    >>> cut = BpeDropout([("l", "o"), ("lo", "w")], 0.0)
    >>> cut("low", np.random.default_rng(0))
    ['low']
    """

    def __init__(self, merges: list[tuple[str, str]], dropout: float) -> None:
        self._ranks = {pair: rank for rank, pair in reversed([*enumerate(merges)])}
        self._dropout = dropout

    def __call__(self, word: str, random: np.random.Generator) -> list[str]:
        pieces = list(word)
        while len(pieces) > 1:
            ranks = [
                (rank, at)
                for at in range(len(pieces) - 1)
                if (rank := self._ranks.get((pieces[at], pieces[at + 1]))) is not None
            ]
            if self._dropout:
                kept = random.random(len(ranks)) >= self._dropout
                ranks = [pair for pair, keep in zip(ranks, kept, strict=True) if keep]
            if not ranks:
                break
            _, at = min(ranks)
            pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
        return pieces


class UnigramCuts:
    """Segmentations by their probability under a unigram model.

    >>> cut = UnigramCuts({"a": -1.0, "b": -1.0, "ab": -5.0}, 1.0, 1)
    >>> cut("ab", np.random.default_rng(0))
    ['a', 'b']
    """

    def __init__(self, scores: Mapping[str, float], alpha: float, nbest: int | None) -> None:
        self._scores = scores
        self._longest = max(map(len, scores), default=0)
        self._alpha, self._nbest = alpha, nbest

    def __call__(self, word: str, random: np.random.Generator) -> list[str]:
        if self._nbest is not None:
            best = self._best(word, self._nbest)
            weights = self._alpha * np.array([score for score, _ in best])
            return best[_draw(weights, random)][1]
        sums = self._forward(word)
        end, pieces = len(word), []
        while end:
            begins = self._begins(word, end)
            weights = np.array([sums[begin] + self._alpha * score for begin, score in begins])
            begin = begins[_draw(weights, random)][0]
            pieces.append(word[begin:end])
            end = begin
        return pieces[::-1]

    def _begins(self, word: str, end: int) -> list[tuple[int, float]]:
        """Give where the pieces that end here begin, with their scores."""
        return [
            (begin, self._scores[word[begin:end]])
            for begin in range(max(0, end - self._longest), end)
            if word[begin:end] in self._scores
        ]

    def _forward(self, word: str) -> list[float]:
        """Give for each place the log of the sum over all ways to get there."""
        sums = [0.0]
        for end in range(1, len(word) + 1):
            ways = [sums[begin] + self._alpha * score for begin, score in self._begins(word, end)]
            sums.append(float(np.logaddexp.reduce(ways)) if ways else -math.inf)
        return sums

    def _best(self, word: str, n: int) -> list[tuple[float, list[str]]]:
        """Give the n likeliest segmentations, with the logs of their probabilities."""
        best: list[list[tuple[float, list[str]]]] = [[(0.0, [])]]
        for end in range(1, len(word) + 1):
            ways = [
                (before + score, [*pieces, word[begin:end]])
                for begin, score in self._begins(word, end)
                for before, pieces in best[begin]
            ]
            best.append(sorted(ways, key=lambda way: -way[0])[:n])
        return best[-1]


def _pairwise(begin: int, edges: list[int], end: int) -> list[tuple[int, int]]:
    places = [begin, *edges, end]
    return [(a, b) for a, b in itertools.pairwise(places) if a < b]


def _draw(weights: NDArray[np.float64], random: np.random.Generator) -> int:
    """Draw an index by logs of weights."""
    chances = np.exp(weights - weights.max())
    return int(np.searchsorted(np.cumsum(chances), random.random() * chances.sum(), side="right"))
