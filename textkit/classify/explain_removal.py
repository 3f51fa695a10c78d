"""Texts without some of their words: occlusion, the smallest change that flips a label, and whether
an explanation is faithful.

In: a function from texts to numbers, a text, its words. Nothing here knows what kind of model it
is: it asks for the logits of changed texts.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from textkit.batch import cut_rows
from textkit.evaluation.explanations import Explanation, Faithfulness
from textkit.tokenizers.unicode_breaks import WORDS_ONLY

Span = tuple[int, int]
Logits = Callable[[Sequence[str]], NDArray[np.float32]]

# Beyond so many words, neighbours are taken away together: the work grows with their square.
MAX_PARTS = 256
# Characters of changed texts that are held at a time.
_HELD_CHARACTERS = 1 << 22
_POINTS = 11


@cache
def _pattern() -> re.Pattern[str]:
    return re.compile(WORDS_ONLY)


def find_words(text: str) -> list[Span]:
    """Find the words of a text: (start, end) of each segment that is no white space.

    >>> find_words("Don't stop!")
    [(0, 5), (6, 10), (10, 11)]
    """
    return [match.span() for match in _pattern().finditer(text) if match.end() > match.start()]


def remove(text: str, words: Sequence[Span], removed: Collection[int]) -> str:
    """Cut some words, by their number, out of a text; all else stays.

    >>> remove("a good film", find_words("a good film"), [1])
    'a  film'
    """
    kept, position = [], 0
    for i in sorted(removed):
        start, end = words[i]
        kept.append(text[position:start])
        position = end
    return "".join([*kept, text[position:]])


def score_without(
    score: Callable[[Sequence[str]], NDArray[np.float64]],
    text: str,
    words: Sequence[Span],
    sets: Sequence[Collection[int]],
) -> NDArray[np.float64]:
    """Score a text without each of some sets of words; few changed texts are held at a time."""
    n_rows = max(1, _HELD_CHARACTERS // max(len(text), 1))
    parts = [
        score([remove(text, words, removed) for removed in chunk])
        for chunk in cut_rows(sets, n_rows=n_rows)
    ]
    return np.concatenate(parts) if parts else score([])


def cut_parts(n_words: int) -> list[range]:
    """Cut words into at most MAX_PARTS runs of neighbours, mostly one word each.

    >>> cut_parts(3)
    [range(0, 1), range(1, 2), range(2, 3)]
    """
    edges = np.linspace(0, n_words, min(n_words, MAX_PARTS) + 1).astype(int).tolist()
    return [range(a, b) for a, b in itertools.pairwise(edges)]


def occlude(
    score: Callable[[Sequence[str]], NDArray[np.float64]], text: str, words: Sequence[Span]
) -> tuple[NDArray[np.float64], float, float]:
    """Give what each word is worth: (n_words,) the text's score less that without the word; and the
    score of the text, and of the text without any word.
    """
    parts = cut_parts(len(words))
    values = score_without(score, text, words, [(), range(len(words)), *parts])
    worth = np.zeros(len(words))
    for part, value in zip(parts, values[2:], strict=True):
        worth[part.start : part.stop] = (values[0] - value) / len(part)
    return worth, float(values[0]), float(values[1])


def find_flip(
    predict: Callable[[Sequence[str]], NDArray[np.float64]],
    text: str,
    words: Sequence[Span],
    order: Sequence[int],
) -> tuple[int, ...] | None:
    """Find a small set of words without which `predict` is no longer above 0, greedily.

    1. If one word is enough, take the one that changes most: no smaller set exists.
    2. Else take words away in the given order until the label flips.
    3. Then put back each word that is not needed for it.

    None where the label stays without any word of the first MAX_PARTS of the order.
    """
    order = list(order)[:MAX_PARTS]
    if not order:
        return None
    singles = score_without(predict, text, words, [(i,) for i in order])
    if singles.min() <= 0:
        return (order[int(singles.argmin())],)
    prefixes = score_without(predict, text, words, [order[: n + 1] for n in range(len(order))])
    flipped = np.flatnonzero(prefixes <= 0)
    if not len(flipped):
        return None
    chosen = order[: int(flipped[0]) + 1]
    for word in list(chosen):
        others = [i for i in chosen if i != word]
        if score_without(predict, text, words, [others])[0] <= 0:
            chosen = others
    return tuple(sorted(chosen))


def measure_faithfulness(
    explanations: Sequence[Explanation],
    probability: Callable[[Sequence[str], Explanation], NDArray[np.float64]],
    *,
    seed: int = 0,
    step: Callable[[int], None] = lambda done: None,
) -> Faithfulness:
    """Take words away, and put them in, in the order of the explanations and in a random one.

    probability: gives that of an explanation's label for texts. Texts with fewer than 2 words have
    one order alone and are left out.
    """
    shares = np.linspace(0, 1, _POINTS)
    curves: list[NDArray[np.float64]] = []
    for number, explanation in enumerate(explanations):
        step(number + 1)
        words = [(word.start, word.end) for word in explanation.words]
        n = len(words)
        if n < 2:
            continue
        generator = np.random.default_rng([seed, number])
        sets: list[list[int]] = []
        for order in (explanation.order(), generator.permutation(n).tolist()):
            counts = np.round(shares * n).astype(int).tolist()
            sets += [order[:count] for count in counts] + [order[count:] for count in counts]
        curves.append(
            score_without(
                lambda texts, of=explanation: probability(texts, of),  # type: ignore[misc]
                explanation.text,
                words,
                sets,
            ).reshape(4, _POINTS)
        )
    stacked = np.stack(curves, axis=1) if curves else np.zeros((4, 0, _POINTS))
    deletion, insertion, random_deletion, random_insertion = stacked
    return Faithfulness(shares, deletion, random_deletion, insertion, random_insertion)
