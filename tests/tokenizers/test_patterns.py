"""A user's pattern means the same to Python's re, to tokenizers' Oniguruma and to `regex`, and
cannot run away.
"""

from __future__ import annotations

import random
import re
import warnings
from typing import Any

import pytest
import regex
from tokenizers import Regex, pre_tokenizers

from textkit import tokenizers
from textkit.errors import LimitError, MissingExtraError, UsageError
from textkit.features.ngrams import HashedNgrams
from textkit.tokenizers import PipelineTokenizer, patterns

ATOMS = [
    "a",
    "b",
    "ab",
    "'",
    r"\w",
    r"\W",
    r"\d",
    r"\s",
    r"\S",
    ".",
    "[a-c]",
    "[^a-c]",
    r"[\w']",
    r"[^\W\d_]",
    "é",
]
ATOMS += [
    "ß",
    "ſ",
    "[ÿ-Ā]",
    "İ",
    "Σ",
    r"\.",
    r"\-",
    "[-&]",
    "[]x]",
    "[[a]",
    "[a&&b]",
    "[a~~]",
    r"\n",
    r"\x00",
    "🙂",
]
ANCHORS = [
    r"\b",
    r"\B",
    "^",
    "$",
    r"\A",
    r"\Z",
    "(?=a)",
    "(?!a)",
    "(?<=a)",
    "(?<!b)",
    r"(?!\w)",
    "(?:^|b)",
    "(?=$)",
]
COUNTS = [
    "+",
    "*",
    "?",
    "{2}",
    "{1,3}",
    "{,2}",
    "+?",
    "*?",
    "??",
    "{2}?",
    "{1,2}?",
    "++",
    "*+",
    "?+",
    "{2}+",
]
CHARACTERS = "aabbcAB'  \n\r\t.é\u0301ßẞſsKkİıiΣσς_1²٣-&]x[~\x00🙂🇦ÿĀ\u2028\x85"


def random_pattern(generator: random.Random, depth: int = 0) -> str:
    def inner() -> str:
        return random_pattern(generator, depth + 1)

    chance = generator.random()
    if depth > 3 or chance < 0.4:
        return generator.choice(ATOMS)
    if chance < 0.47:
        return generator.choice(ANCHORS)
    if chance < 0.65:
        return inner() + inner()
    if chance < 0.78:
        return f"(?:{inner()}|{inner()})"
    if chance < 0.86:
        return f"{generator.choice(['(', '(?i:', '(?s:', '(?a:', '(?>'])}{inner()})"
    return f"(?:{inner()}){generator.choice(COUNTS)}"


@pytest.mark.slow
def test_four_engines_find_the_same_matches_of_random_patterns() -> None:
    generator = random.Random(3)
    n_checked = 0
    while n_checked < 60:
        pattern = generator.choice(["", "", "(?i)", "(?m)", "(?s)"]) + random_pattern(generator)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            original = re.compile(pattern)
        try:
            written = patterns.portable(pattern)
        except UsageError:
            continue
        n_checked += 1
        assert patterns.is_portable(written), pattern
        split = pre_tokenizers.Split(Regex(written), "removed", invert=True)
        cut = patterns.cutter(written).cut
        for _ in range(10):
            text = "".join(generator.choice(CHARACTERS) for _ in range(generator.randrange(12)))
            expected = [match.span() for match in original.finditer(text) if match[0]]
            assert [match.span() for match in re.finditer(written, text)] == expected, (
                pattern,
                text,
            )
            assert [match.span() for match in regex.finditer(written, text)] == expected, (
                pattern,
                text,
            )
            assert [span for _, span in split.pre_tokenize_str(text)] == expected, (pattern, text)
            parts = cut(text)
            assert "".join(parts) == text
            assert parts[1::2] == [text[start:end] for start, end in expected], (pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (r"\p{L}+|\p{N}", "añ½x", ["añ", "½", "x"]),
        (r"[\p{Lu}_]+\P{L}", "AÉ_1a", ["AÉ_1"]),
        (r"\pL[^\p{L}]", "a1bb", ["a1"]),
        (r"\p{^Lu}+", "aBc", ["a", "c"]),
        (r"^\w+", "ab\ncd", ["ab"]),
        (r"(?m)^\w+", "ab\ncd", ["ab", "cd"]),
        (r"(?m).+", "ab\ncd", ["ab", "cd"]),
        (r"(?P<word>a)(b)", "abab", ["ab", "ab"]),
        (r"(?x) a  b # both", "ab a b", ["ab"]),
        (r"(?i)straße", "STRAßE STRAẞE", ["STRAßE", "STRAẞE"]),
        (r"\w+", "हिन्दी", ["ह", "न", "द"]),  # as Python's re: a mark is no \w
    ],
)
def test_a_pattern_means_what_it_means_in_python(
    pattern: str, text: str, expected: list[str]
) -> None:
    tokenizer = tokenizers.train("regex", [text], pattern=pattern)
    assert isinstance(tokenizer, PipelineTokenizer)
    batch = tokenizer.encode([text], spans=True)
    assert [text[start:end] for start, end in batch.row_spans(0).tolist()] == expected
    assert tokenizer.tokens(batch[0]) == expected  # what training found is what encoding looks up
    assert tokenizer.engine_for([text], spans=True) in ("native", "table"), tokenizer.engine_notes


@pytest.mark.parametrize(
    "pattern",
    [
        r"\w+|[^\w\s]",
        r"(?u)\b\w\w+\b",
        r"\d+(?:[.,]\d+)*|https?://\S+|\w+(?:[-']\w+)*",
        r"'s|'t| ?\p{L}+| ?\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        "(a|a)+",
        r"(?m)^#.*$",
    ],
)
def test_patterns_that_cannot_be_slow_are_known(pattern: str) -> None:
    assert patterns.cutter(patterns.portable(pattern)).is_linear


@pytest.mark.parametrize(
    "pattern",
    [
        "[a-z]+@",
        "(a|a)+b",
        "(?:a{1,9}){1,9}b",
        "a++b",
        r"[a-z]+\b",
        r"\S+\b",
        "(?=.*b)a",
        r"x+\s*(?!\S)",
        "a(?:a*b)?",
        "(?:a?){30}a{30}",
        "a{1,99}b",
        r"\w+(?=!)",
    ],
)
def test_patterns_that_might_be_slow_have_a_clock(pattern: str) -> None:
    """Each of these takes quadratic time or worse on some text, or might for all that the check
    knows.
    """
    assert not patterns.cutter(patterns.portable(pattern)).is_linear


@pytest.mark.parametrize("options", [{}, {"form": "nfkc", "lowercase": True}])
def test_a_runaway_pattern_is_stopped(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patterns, "TIME_LIMIT_SECONDS", 0.02)
    tokenizer = tokenizers.create("regex", pattern="(a|a)+b|c", vocabulary=["aab", "c"], **options)
    assert tokenizer.encode(["c aab"]).ids.tolist() == [3, 2]
    for text in (
        "a" * 40,
        "ａ" * 40 + "é",
    ):  # the second needs the reference where it is normalised
        if options or text.isascii():
            with pytest.raises(LimitError, match=r"more than 0.02 s on a text of \d+ characters"):
                tokenizer.encode([text])
            with pytest.raises(LimitError):
                tokenizers.train("regex", [text], pattern="(a|a)+b|c", **options)


def test_a_pattern_that_might_be_slow_needs_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "regex", None)
    with pytest.raises(
        MissingExtraError, match=r"pattern '\[a-z\]\+@', which can read far ahead .* needs it: pip"
    ):
        tokenizers.create("regex", pattern="[a-z]+@")
    assert tokenizers.create("regex", pattern="[a-z]+").kind == "regex"


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "is no regular expression: missing"),
        (r"\p{Latin}", "unknown general category 'Latin'"),
        ("a*", "can match the empty text"),
        (r"\b", "can match the empty text"),
        (r"(a)\1", "a reference back to a group"),
        ("(?:(?=a)|b)+c", "is not one that tokenizers takes"),
    ],
)
def test_what_cannot_be_run_is_one_line(pattern: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        tokenizers.create("regex", pattern=pattern)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_foreign_pattern_keeps_oniguruma_s_meaning() -> None:
    made = tokenizers.create("regex", pattern="[a-z]+", vocabulary=["हिन्दी"])
    assert isinstance(made, PipelineTokenizer)
    foreign = PipelineTokenizer(
        __import__("tokenizers").Tokenizer.from_str(made.json.replace("[a-z]+", r"\\w+")),
        kind="regex",
    )
    assert foreign.encode(["हिन्दी"], spans=True).spans.tolist() == [[0, 6]]
    assert foreign.engine_for(["a"]) == "reference"


def test_text_that_spells_a_special_token_is_unknown_to_a_word_list() -> None:
    for kind, options in (("whitespace", {}), ("regex", {"pattern": r"\S+"})):
        tokenizer = tokenizers.create(kind, vocabulary=["a"], **options)
        assert tokenizer.encode(["[PAD] a [UNK]"]).ids.tolist() == [1, 2, 1]
        assert tokenizer.encode(["[PAD] a [UNK]"], allow_special=True).ids.tolist() == [0, 2, 1]


def test_ngrams_see_the_normalised_words() -> None:
    words = tokenizers.create("whitespace", vocabulary=["low"], lowercase=True)
    source = HashedNgrams(words, minn=2, maxn=3, word_ngrams=2, buckets=1000)
    upper, lower, padding = source.encode(["LOW Wide", "low wide", "[PAD]"])
    assert upper.tolist() == lower.tolist()
    assert words.vocabulary["low"] in upper
    assert 0 not in padding
