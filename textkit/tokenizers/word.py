"""Word tokenizers: `word` (also called `unicode`: UAX 29), `whitespace`, and `regex` with the user's own pattern.

In: texts to learn from, or a word list. Out: a PipelineTokenizer. The first two are
no more than a pattern.
"""

from __future__ import annotations

import re
import re._parser as regex_parser  # type: ignore[import-not-found]
from collections.abc import Iterable, Sequence
from typing import Any

from textkit.errors import UsageError
from textkit.tokenizers.base import Kind, PipelineTokenizer
from textkit.tokenizers.engines import NOT_SPACE
from textkit.tokenizers.lookup import create_lookup, pattern_kind, train_lookup
from textkit.tokenizers.unicode_breaks import WORDS_ONLY


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
    """Learn the most frequent matches of a pattern; what it does not match is no token.

    >>> tok = train_regex(["a-b c"], pattern=r"[a-z]+")
    >>> tok.encode(["b-a"], spans=True).spans.tolist()
    [[0, 1], [2, 3]]
    """
    options: dict[str, Any] = {"lowercase": lowercase, "form": form, "strip_accents": strip_accents}
    return train_lookup("regex", check_pattern(pattern), None, texts, size=size, min_frequency=min_frequency, **options)


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
    """Refuse a pattern that does not compile, that can match nothing, or whose time can explode.

    A repeat inside a repeat, as (a+)+, can take exponential time on a text that fails to match; a possessive inner
    repeat, (a++)+, says the same in linear time.

    >>> check_pattern("(a+)+")
    Traceback (most recent call last):
    textkit.errors.UsageError: pattern '(a+)+' repeats a repeat, which can take exponential time; write it flat, ...
    """
    try:
        tree = regex_parser.parse(pattern)
    except re.error as err:
        raise UsageError(f"pattern {pattern!r} is no regular expression: {err}") from err
    if re.fullmatch(pattern, "") is not None:
        raise UsageError(f"pattern {pattern!r} matches the empty text; every token needs a character")
    if _repeats_a_repeat(tree, inside=False):
        raise UsageError(
            f"pattern {pattern!r} repeats a repeat, which can take exponential time; write it flat, or"
            " possessive as (a++)+"
        )
    return pattern


def _repeats_a_repeat(tree: Any, *, inside: bool) -> bool:
    """Look for an unbounded backtracking repeat within an unbounded one."""
    for operation, argument in tree:
        name = str(operation)
        children: list[tuple[Any, bool]] = []
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            unbounded = argument[1] is regex_parser.MAXREPEAT
            if unbounded and inside:
                return True
            children = [(argument[2], inside or unbounded)]
        elif name == "POSSESSIVE_REPEAT":
            children = [(argument[2], False)]
        elif name == "SUBPATTERN":
            children = [(argument[3], inside)]
        elif name == "BRANCH":
            children = [(branch, inside) for branch in argument[1]]
        elif name in ("ASSERT", "ASSERT_NOT"):
            children = [(argument[1], False)]
        elif name == "ATOMIC_GROUP":
            children = [(argument, False)]
        if any(_repeats_a_repeat(child, inside=within) for child, within in children):
            return True
    return False


WORD = pattern_kind("word", WORDS_ONLY)
WHITESPACE = pattern_kind("whitespace", NOT_SPACE)
REGEX = Kind(train=train_regex, create=create_regex)
