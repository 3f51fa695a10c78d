"""Three ways to cut a word by chance.

In: the pieces of a word as a tokenizer names them. Out: other pieces that spell the same word.

1. BPE-dropout (Provilkov et al. 2020): before each merge every possible merge is left out with the
   probability `dropout`; where none is left, the word stays as it is.
2. MaxMatch-dropout (Hiraoka 2022) for WordPiece: each match but the shortest is passed over with
   the probability `dropout`, and the next shorter one is taken.
3. Sampling from a unigram model (Kudo 2018): a segmentation x is drawn with a probability in
   proportion to P(x) ** alpha, of all of them by forward filtering and backward sampling, or of
   the `nbest` likeliest.
"""

from __future__ import annotations

import heapq
import itertools
import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

# The ways through so many words are kept, of words of so many characters: those of a long text
# would fill the memory.
KEPT_WORDS, KEPT_CHARACTERS = 1 << 16, 64


# A segmentation as its last piece and what stands before it.
_Chain = tuple["_Chain | None", str]


class Cut(Protocol):
    """What cuts a word, given as pieces, into pieces by chance."""

    def __call__(self, pieces: Sequence[str], random: np.random.Generator) -> list[str]: ...


class BpeDropout:
    """Merges with some left out.

    prefix, suffix: what marks a symbol that goes on with a word, and one that ends it.

    >>> cut = BpeDropout([("l", "o"), ("lo", "w")], 0.0)
    >>> cut(["lo", "w"], np.random.default_rng(0))
    ['low']
    """

    def __init__(
        self, merges: list[tuple[str, str]], dropout: float, *, prefix: str = "", suffix: str = ""
    ) -> None:
        self._ranks = {pair: rank for rank, pair in reversed([*enumerate(merges)])}
        self._dropout, self._prefix, self._suffix = dropout, prefix, suffix

    def __call__(self, pieces: Sequence[str], random: np.random.Generator) -> list[str]:
        symbols = list(itertools.chain.from_iterable(map(self._symbols, pieces)))

        def rank(left: str, right: str) -> int | None:
            return self._ranks.get((left, right))

        def join(left: str, right: str) -> str:
            return left + right.removeprefix(self._prefix)

        return merge(symbols, rank, join, dropout=self._dropout, random=random, again=True)

    def _symbols(self, piece: str) -> list[str]:
        """Give the symbols that merges made a piece of."""
        head = self._prefix if piece.startswith(self._prefix) else ""
        tail = self._suffix if piece.endswith(self._suffix) else ""
        characters = piece[len(head) : len(piece) - len(tail)]
        if not characters:
            return [piece]
        symbols = [self._prefix + character for character in characters]
        symbols[0] = head + characters[0]
        symbols[-1] += tail
        return symbols


def merge(
    symbols: list[str],
    rank: Callable[[str, str], float | None],
    join: Callable[[str, str], str],
    *,
    dropout: float,
    random: np.random.Generator,
    again: bool,
) -> list[str]:
    """Merge neighbours, the lowest rank first and of equal ones the leftmost; a merge is passed
    over with the probability `dropout`, until another was done if `again`, or for good.

    >>> merge(["a", "b"], lambda *pair: 0, str.__add__, dropout=0, random=None, again=True)
    ['ab']
    """
    following = [*range(1, len(symbols)), -1]
    before = [*range(-1, len(symbols) - 1)]
    waiting: list[tuple[float, int, str, str]] = []
    passed: list[tuple[float, int, str, str]] = []

    def offer(at: int) -> None:
        if at >= 0 and following[at] >= 0:
            left, right = symbols[at], symbols[following[at]]
            found = rank(left, right)
            if found is not None:
                heapq.heappush(waiting, (found, at, left, right))

    for at in range(len(symbols)):
        offer(at)
    while waiting:
        found = heapq.heappop(waiting)
        _, at, left, right = found
        other = following[at]
        if symbols[at] != left or other < 0 or symbols[other] != right:
            continue
        if dropout and random.random() < dropout:
            passed.append(found)
            continue
        symbols[at], symbols[other] = join(left, right), ""
        following[at] = following[other]
        if following[at] >= 0:
            before[following[at]] = at
        if again:
            for held in passed:
                heapq.heappush(waiting, held)
            passed.clear()
        offer(before[at])
        offer(at)
    return [symbol for symbol in symbols if symbol]


class MaxMatchDropout:
    """The longest matches of WordPiece, some passed over; a word that leads nowhere stays.

    >>> cut = MaxMatchDropout({"a", "ab", "##b", "##bc", "##c"}, 1.0, prefix="##")
    >>> cut(["ab", "##c"], np.random.default_rng(0))
    ['a', '##b', '##c']
    """

    def __init__(
        self, vocabulary: Mapping[str, int] | set[str], dropout: float, *, prefix: str
    ) -> None:
        self._vocabulary, self._dropout, self._prefix = vocabulary, dropout, prefix
        self._longest = max(map(len, vocabulary), default=0)

    def __call__(self, pieces: Sequence[str], random: np.random.Generator) -> list[str]:
        word = pieces[0] + "".join(piece.removeprefix(self._prefix) for piece in pieces[1:])
        drawn: list[str] = []
        at = 0
        while at < len(word):
            head = self._prefix if at else ""
            ends = range(min(len(word), at + self._longest), at, -1)
            matches = [end for end in ends if head + word[at:end] in self._vocabulary]
            if not matches:
                return list(pieces)
            end = next((e for e in matches[:-1] if random.random() >= self._dropout), matches[-1])
            drawn.append(head + word[at:end])
            at = end
        return drawn


class UnigramCuts:
    """Segmentations by their probability under a unigram model.

    unknown: the score of a character that no piece is of alone; without one, the model has all.

    >>> cut = UnigramCuts({"a": -1.0, "b": -1.0, "ab": -5.0}, 1.0, 1)
    >>> cut(["ab"], np.random.default_rng(0))
    ['a', 'b']
    """

    def __init__(
        self,
        scores: Mapping[str, float],
        alpha: float,
        nbest: int | None,
        *,
        unknown: float | None = None,
    ) -> None:
        self._scores, self._unknown = scores, unknown
        self._longest = max(map(len, scores), default=0)
        self._alpha, self._nbest = alpha, nbest
        self._known: dict[str, list[tuple[list[int], list[float]]]] = {}

    def __call__(self, pieces: Sequence[str], random: np.random.Generator) -> list[str]:
        word = "".join(pieces)
        if self._nbest is not None:
            best = self._best(word, self._nbest)
            highest = max(score for score, _ in best)
            chances = [math.exp(self._alpha * (score - highest)) for score, _ in best]
            _, last = best[_draw([*itertools.accumulate(chances)], random)]
            return _unwound(last)
        ways, end = self._ways(word), len(word)
        drawn: list[str] = []
        while end:
            begins, chances = ways[end - 1]
            begin = begins[_draw(chances, random)]
            drawn.append(word[begin:end])
            end = begin
        return drawn[::-1]

    def _begins(self, word: str, end: int) -> list[tuple[int, float]]:
        """Give where the pieces that end here begin, with their scores."""
        found = [
            (begin, self._scores[word[begin:end]])
            for begin in range(max(0, end - self._longest), end)
            if word[begin:end] in self._scores
        ]
        if self._unknown is not None and word[end - 1] not in self._scores:
            found.append((end - 1, self._unknown))
        return found

    def _ways(self, word: str) -> list[tuple[list[int], list[float]]]:
        """Give for each end where pieces begin, and the sums of their chances."""
        if word in self._known:
            return self._known[word]
        sums, ways = [0.0], []
        for end in range(1, len(word) + 1):
            found = [(b, sums[b] + self._alpha * s) for b, s in self._begins(word, end)]
            highest = max((weight for _, weight in found), default=-math.inf)
            begins = [begin for begin, weight in found if weight > -math.inf]
            chances = [math.exp(weight - highest) for _, weight in found if weight > -math.inf]
            totals = [*itertools.accumulate(chances)]
            ways.append((begins, totals))
            sums.append(highest + math.log(totals[-1]) if totals else -math.inf)
        if len(word) <= KEPT_CHARACTERS and len(self._known) < KEPT_WORDS:
            self._known[word] = ways
        return ways

    def _best(self, word: str, n: int) -> list[tuple[float, _Chain | None]]:
        """Give the n likeliest segmentations, with the logs of their probabilities."""
        best: list[list[tuple[float, _Chain | None]]] = [[(0.0, None)]]
        for end in range(1, len(word) + 1):
            ways: list[tuple[float, _Chain | None]] = [
                (before + score, (chain, word[begin:end]))
                for begin, score in self._begins(word, end)
                for before, chain in best[begin]
            ]
            best.append(sorted(ways, key=lambda way: -way[0])[:n])
        return best[-1]


def _unwound(chain: _Chain | None) -> list[str]:
    pieces: list[str] = []
    while chain is not None:
        chain, piece = chain
        pieces.append(piece)
    return pieces[::-1]


def _draw(totals: list[float], random: np.random.Generator) -> int:
    """Draw an index by the running sums of chances."""
    return min(bisect_right(totals, random.random() * totals[-1]), len(totals) - 1)
