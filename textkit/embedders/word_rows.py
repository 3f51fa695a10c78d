"""Rows that are words, each looked up whole in vectors: the embedder of lists of words.

In: a spec of vectors. Out: a TextEmbedder whose texts are words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from textkit.embedders.backend import TextVectors, content_hash, not_fitted
from textkit.embedders.embedder import TextEmbedder, find_kind
from textkit.errors import UsageError
from textkit.vectors.table import Unknown
from textkit.vectors.vectors import Vectors


@dataclass(frozen=True)
class WordRows:
    """Rows that are words, each looked up whole.

    What is unknown follows a policy of `Vectors.lookup`.
    """

    parallel: ClassVar[bool] = False
    vectors: Vectors
    unknown: Unknown
    notes: tuple[str, ...] = ()

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return self.vectors.dim

    def embed(self, texts: Sequence[str]) -> TextVectors:
        """Give the vectors of words.

        >>> vectors = Vectors(["king"], np.ones((1, 2), np.float32))
        >>> WordRows(vectors, "zero").embed(["king", "emperor"]).vectors.tolist()
        [[1.0, 1.0], [0.0, 0.0]]
        """
        return TextVectors(self.vectors.lookup(texts, self.unknown), np.zeros(len(texts), np.int32))

    def fit(self, texts: Iterable[str], *, n_components: int = 1) -> WordRows:
        """Refuse: words are looked up as they stand."""
        raise not_fitted()

    def describe(self) -> dict[str, object]:
        """Say all that decides the vectors."""
        return {"vectors": content_hash(self.vectors), "unknown": self.unknown}


def open_words(spec: str, *, unknown: Unknown | None = None) -> TextEmbedder:
    """Open vectors whose words are the rows.

    spec: as `Vectors.open` takes it. unknown: a policy of `Vectors.lookup`, by default "ngram" for
    vectors with n-grams (fastText's), else "zero".

    >>> Vectors(["king"], np.ones((1, 2), np.float32)).save("v")
    >>> open_words("v").encode(["king", "the king"]).tolist()
    [[1.0, 1.0], [0.0, 0.0]]
    """
    kind, place = find_kind(spec)
    if kind != "vectors":
        raise UsageError(f"--words looks words up in vectors, and this is a model: {spec}")
    vectors = Vectors.open(place)
    policy: Unknown = "zero" if vectors.ngrams is None else "ngram"
    return TextEmbedder(WordRows(vectors, unknown or policy, tuple(vectors.notes)))
