"""Word tokenizers: `word` (also called `unicode`: UAX 29), `whitespace`, and `regex` with the user's own pattern.

In: texts to learn from, or a word list. Out: a PipelineTokenizer. One class of kinds differs by its pattern alone, so
each kind is a pattern bound to the two functions here.
"""

from __future__ import annotations

import re
import re._parser as regex_parser  # type: ignore[import-not-found]
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from textkit.errors import UsageError
from textkit.tokenizers.base import Kind, PipelineTokenizer
from textkit.tokenizers.engines import NOT_SPACE
from textkit.tokenizers.lookup import make_lookup, train_lookup
from textkit.tokenizers.normalizers import make_normalizer
from textkit.tokenizers.unicode_breaks import WORDS_ONLY


def _train(
    kind: str,
    token_pattern: str,
    texts: Iterable[str],
    *,
    size: int = 30_000,
    min_frequency: int = 1,
    lowercase: bool = False,
    form: str | None = None,
    strip_accents: bool = False,
) -> PipelineTokenizer:
    """Learn the `size` most frequent words that occur at least `min_frequency` times."""
    return train_lookup(
        texts,
        kind=kind,
        pattern=token_pattern,
        size=size,
        min_frequency=min_frequency,
        lowercase=lowercase,
        form=form,
        strip_accents=strip_accents,
    )


def _create(
    kind: str,
    token_pattern: str,
    *,
    vocabulary: Sequence[str] = (),
    lowercase: bool = False,
    form: str | None = None,
    strip_accents: bool = False,
) -> PipelineTokenizer:
    """Make a tokenizer from a word list; with none it still splits, and every word is unknown."""
    normalizer = make_normalizer(form=form, lowercase=lowercase, strip_accents=strip_accents)
    return make_lookup(vocabulary, kind=kind, pattern=token_pattern, normalizer=normalizer)


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
    return _train("regex", check_pattern(pattern), texts, size=size, min_frequency=min_frequency, **options)


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
    return _create("regex", check_pattern(pattern), vocabulary=vocabulary, **options)


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


WORD = Kind(train=partial(_train, "word", WORDS_ONLY), create=partial(_create, "word", WORDS_ONLY))
WHITESPACE = Kind(train=partial(_train, "whitespace", NOT_SPACE), create=partial(_create, "whitespace", NOT_SPACE))
REGEX = Kind(train=train_regex, create=create_regex)
