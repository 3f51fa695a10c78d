"""Word tokenizers: `word` (also called `unicode`: UAX 29), `whitespace`, and `regex` with the
user's own pattern.

In: texts to learn from, or a word list. Out: a PipelineTokenizer. The first two are
no more than a pattern.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from textkit.tokenizers.lookup import (
    create_lookup,
    find_lookup,
    learn_lookup,
    pattern_kind,
    train_lookup,
)
from textkit.tokenizers.patterns import cutter, portable
from textkit.tokenizers.pipeline import PipelineTokenizer
from textkit.tokenizers.protocol import Kind
from textkit.tokenizers.unicode_breaks import NOT_SPACE, WORDS_ONLY


def train_regex(
    texts: Iterable[str],
    *,
    pattern: str,
    size: int = 30_000,
    min_frequency: int = 1,
    lowercase: bool = False,
    form: str | None = None,
    strip_accents: bool = False,
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
    options: dict[str, Any] = {"lowercase": lowercase, "form": form, "strip_accents": strip_accents}
    return train_lookup(
        "regex",
        check_pattern(pattern),
        None,
        texts,
        size=size,
        min_frequency=min_frequency,
        **options,
    )


def find_regex(*, pattern: str, **options: Any) -> Callable[[str], list[str]]:
    """Give the function that finds the matches of a pattern in a normalised text."""
    return find_lookup(check_pattern(pattern), **options)


def learn_regex(
    counts: Iterable[tuple[str, int]], *, pattern: str, **options: Any
) -> PipelineTokenizer:
    """Take the most frequent of counted matches; options are those of train_regex."""
    return learn_lookup("regex", check_pattern(pattern), None, counts, **options)


def create_regex(
    *,
    pattern: str,
    vocabulary: Sequence[str] = (),
    lowercase: bool = False,
    form: str | None = None,
    strip_accents: bool = False,
) -> PipelineTokenizer:
    """Make a tokenizer whose tokens are the matches of a pattern."""
    options: dict[str, Any] = {"lowercase": lowercase, "form": form, "strip_accents": strip_accents}
    return create_lookup("regex", check_pattern(pattern), None, vocabulary=vocabulary, **options)


def check_pattern(pattern: str) -> str:
    r"""Give the form of a pattern that every engine reads alike; refuse one that cannot be run.

    >>> check_pattern(r"(\d)\1")
    Traceback (most recent call last):
    textkit.errors.UsageError: pattern '(\\d)\\1' has a reference back to a group, which a ...
    """
    written = portable(pattern)
    cutter(written)
    return written


WORD = pattern_kind("word", WORDS_ONLY)
WHITESPACE = pattern_kind("whitespace", NOT_SPACE)
REGEX = Kind(train=train_regex, create=create_regex, pieces=find_regex, learn=learn_regex)
