"""Where the n-grams of a text stand: what a linear model needs to say which words decided.

In: TfidfFeatures and a text. Out: the column of each n-gram that occurs, with the characters of the
caller's own text that it covers, before lower-casing; the spaces round a chunk are no part of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from textkit.features.grams import Int64, Sequences, find
from textkit.features.tfidf import WORDS, TfidfFeatures

_CHUNKS = re.compile(r"\S+")


class GramPlaces:
    """Finds the n-grams of texts, one text at a time.

    >>> from textkit.features.tfidf import TfidfOptions
    >>> features, _ = TfidfFeatures.learn(["good"], TfidfOptions(characters=[]))
    >>> [(column, covered.tolist()) for column, covered in GramPlaces(features).find("A Good film")]
    [(0, [2, 3, 4, 5])]
    """

    def __init__(self, features: TfidfFeatures) -> None:
        self._features = features
        self._symbols = {word: i for i, word in enumerate(features.vocabulary)}

    def find(self, text: str) -> Iterator[tuple[int, Int64]]:
        """Give (column, characters) of every occurrence, words first; an n-gram that lies in a text
        twice is given twice.
        """
        lowered = text.lower() if self._features.lowercase else text
        own = _own_places(text, lowered)
        yield from self._find_words(lowered, own)
        yield from self._find_characters(lowered, own)

    def _find_words(self, lowered: str, own: Int64) -> Iterator[tuple[int, Int64]]:
        table = self._features.words
        if table is None:
            return
        spans = [
            (chunk.start() + word.start(), chunk.start() + word.end(), word.group())
            for chunk in _CHUNKS.finditer(lowered)
            for word in WORDS.finditer(chunk.group())
        ]
        numbers = np.array([self._symbols.get(word, -1) for _, _, word in spans], dtype=np.int64)
        sequences = Sequences(numbers, np.array([0, len(numbers)]))
        for n, (positions, columns) in enumerate(table.locate(sequences), start=1):
            for first, column in zip(positions.tolist(), columns.tolist(), strict=True):
                covered = [own[start:end] for start, end, _ in spans[first : first + n]]
                yield column, np.concatenate(covered)

    def _find_characters(self, lowered: str, own: Int64) -> Iterator[tuple[int, Int64]]:
        table, alphabet = self._features.characters, self._features.alphabet
        if table is None:
            return
        first = self._features.n_word_features
        for chunk in _CHUNKS.finditer(lowered):
            codes = np.array([ord(c) for c in f" {chunk.group()} "], dtype=np.uint32)
            places, known = find(alphabet, codes)
            symbols = np.where(known, places, -1).astype(np.int64)
            sequences = Sequences(symbols, np.array([0, len(symbols)]))
            here = own[chunk.start() : chunk.end()]
            for n, (positions, columns) in enumerate(table.locate(sequences), start=1):
                for at, column in zip(positions.tolist(), columns.tolist(), strict=True):
                    covered = here[max(at - 1, 0) : at - 1 + n]  # position 0 is the space before
                    yield first + column, covered if len(covered) else here[:1]


def _own_places(text: str, lowered: str) -> Int64:
    """Give the character of the text from which each of the lower-cased text came.

    >>> _own_places("İx", "İx".lower()).tolist()
    [0, 0, 1]
    """
    places: NDArray[np.int64] = np.arange(len(text))
    if len(lowered) != len(text):
        places = np.repeat(places, [len(character.lower()) for character in text])
    return places
