"""TextEncoder: what turns texts into the ids that a network reads, whatever it is made of.

In: texts. Out: a TokenBatch, a row a text. A tokenizer with its cut, a template round it, hashed
n-grams and a classifier's whole TextInput are all of this kind, so that whoever encodes texts asks
none of them what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from textkit.batch import TokenBatch
from textkit.errors import UsageError
from textkit.tokenizers import Tokenizer


@runtime_checkable
class TextEncoder(Protocol):
    """Texts -> ids, purely: the same texts give the same ids, and encoding changes nothing."""

    @property
    def n_ids(self) -> int:
        """Number of ids that rows may hold: all are below it."""

    def encode(self, texts: Sequence[str]) -> TokenBatch:
        """Turn texts into ids, one row a text; what is cut is counted in `truncated`."""

    def describe(self) -> dict[str, object]:
        """Give all that decides the ids as plain values for JSON; equal ones mean equal ids."""


@dataclass(frozen=True)
class BoundTokenizer:
    """A tokenizer with the length at which it cuts; None cuts nothing.

    >>> from textkit import tokenizers
    >>> words = tokenizers.create("word", vocabulary=["good", "film"])
    >>> encoder = BoundTokenizer(words, max_length=2)
    >>> encoder.encode(["good good film"]).truncated.tolist(), encoder.n_ids
    ([1], 4)
    """

    tokenizer: Tokenizer
    max_length: int | None = None

    @property
    def n_ids(self) -> int:
        """Number of the tokenizer's ids."""
        return self.tokenizer.n_ids

    def encode(self, texts: Sequence[str]) -> TokenBatch:
        """Tokenize texts, one row a text."""
        return self.tokenizer.encode(texts, max_length=self.max_length)

    def describe(self) -> dict[str, object]:
        """Give the tokenizer's fingerprint and the cut."""
        return {"tokenizer": self.tokenizer.fingerprint, "max_length": self.max_length}


def bind(source: Tokenizer | TextEncoder, *, max_length: int | None = None) -> TextEncoder:
    """Take a tokenizer with its cut, or another TextEncoder as it is, whose cut is its own.

    Raises UsageError for a max_length beside such a one.
    """
    if not isinstance(source, TextEncoder):
        return BoundTokenizer(source, max_length)
    if max_length is not None:
        kind = type(source).__name__
        raise UsageError(f"a {kind} has a max_length of its own; leave out max_length")
    return source
