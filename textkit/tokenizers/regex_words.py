"""The `regex` kind: tokens are the matches of the user's own pattern.

In: a pattern, and texts to learn from or a list of matches. Out: a PipelineTokenizer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from textkit.tokenizers.lookup import Lookup
from textkit.tokenizers.patterns import cutter, portable
from textkit.tokenizers.pipeline import PipelineTokenizer
from textkit.tokenizers.protocol import Kind
from textkit.tokenizers.splitters import AS_IT_STANDS, Normalization


def train_regex(
    texts: Iterable[str],
    *,
    pattern: str,
    size: int = 30_000,
    min_frequency: int = 1,
    normalization: Normalization = AS_IT_STANDS,
) -> PipelineTokenizer:
    r"""Learn the most frequent matches of a pattern; what it does not match is no token.

    pattern: as Python's `re` reads it, and \p{L} with the other general categories; no reference
    back to a group. It is kept in the form that `patterns.portable` writes, so that every tool
    finds the same matches. One that may read far ahead and then fail has a time limit for each
    text, and needs the extra `regex`.

    >>> tok = train_regex(["a-b c"], pattern=r"[a-z]+")
    >>> tok.encode(["b-a"], spans=True).spans.tolist()
    [[0, 1], [2, 3]]
    """
    matches = _matches(pattern)
    return matches.train(texts, size=size, min_frequency=min_frequency, normalization=normalization)


def find_regex(
    *, pattern: str, normalization: Normalization = AS_IT_STANDS
) -> Callable[[str], list[str]]:
    """Give the function that finds the matches of a pattern in a normalised text."""
    return _matches(pattern).pieces(normalization=normalization)


def learn_regex(
    counts: Iterable[tuple[str, int]],
    *,
    pattern: str,
    size: int = 30_000,
    min_frequency: int = 1,
    normalization: Normalization = AS_IT_STANDS,
) -> PipelineTokenizer:
    """Take the most frequent of counted matches."""
    matches = _matches(pattern)
    return matches.learn(
        counts, size=size, min_frequency=min_frequency, normalization=normalization
    )


def create_regex(
    *,
    pattern: str,
    vocabulary: Sequence[str] = (),
    normalization: Normalization = AS_IT_STANDS,
) -> PipelineTokenizer:
    """Make a tokenizer whose tokens are the matches of a pattern."""
    return _matches(pattern).create(vocabulary=vocabulary, normalization=normalization)


def _matches(pattern: str) -> Lookup:
    return Lookup("regex", check_pattern(pattern))


def check_pattern(pattern: str) -> str:
    r"""Give the form of a pattern that every engine reads alike; refuse one that cannot be run.

    >>> check_pattern(r"(\d)\1")
    Traceback (most recent call last):
    textkit.errors.UsageError: pattern '(\\d)\\1' has a reference back to a group, which a ...
    """
    written = portable(pattern)
    cutter(written)
    return written


REGEX = Kind(train=train_regex, create=create_regex, pieces=find_regex, learn=learn_regex)
