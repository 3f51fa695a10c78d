"""The segments are the Unicode standard's: its own test files, from both regex engines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tokenizers import Regex, pre_tokenizers

from textkit.tokenizers import unicode_breaks as breaks


def read_cases(path: Path) -> list[list[str]]:
    """Give the segments of each line of a Unicode break test."""
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    marked = [line.strip("÷ ").split("÷") for line in lines if line]
    return [["".join(chr(int(code, 16)) for code in part.split() if code != "×") for part in parts] for parts in marked]


@pytest.mark.parametrize(("name", "pattern"), [("Word", breaks.WORDS), ("Grapheme", breaks.GRAPHEMES)])
def test_every_case_of_the_standard(name: str, pattern: str, shared: Path) -> None:
    cases = read_cases(shared / f"conformance/{name}BreakTest-{breaks.UNICODE_VERSION}.txt")
    assert len(cases) > 500
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    for segments in cases:
        text = "".join(segments)
        assert re.findall(pattern, text) == segments, segments
        assert [piece for piece, _ in split.pre_tokenize_str(text)] == segments, segments


@pytest.mark.parametrize(
    "text",
    [
        "a'א'",
        "א'b",
        'א"ב"',
        "ab_カタ",
        "カab",
        "x \u0308y",
        "\t\u0308z",
        "\u202f",
        "a\u202fb",
        "\u202f\u202f\u0308",
        "3.a 3.1,5",
    ],
)
def test_words_alone_are_the_segments_that_are_no_space(text: str) -> None:
    segments = [(match[0], match.span()) for match in re.finditer(breaks.WORDS, text)]
    kept = [segment for segment in segments if not re.fullmatch(f"{breaks.SPACE}+", segment[0])]
    assert [(match[0], match.span()) for match in re.finditer(breaks.WORDS_ONLY, text)] == kept


def test_an_emoji_family_and_a_flag_are_one_grapheme() -> None:
    assert re.findall(breaks.GRAPHEMES, "👨‍👩‍👧🇩🇪e\u0301\r\n") == ["👨‍👩‍👧", "🇩🇪", "e\u0301", "\r\n"]


@pytest.mark.parametrize("unit", ["a", "א'", "'", "_", "\u0308", "\u200d🙂", "🇩", "1.", " ", "a.", "カ", "\u1100"])
@pytest.mark.parametrize(
    "pattern", [breaks.WORDS, breaks.WORDS_ONLY, breaks.GRAPHEMES], ids=["all", "only", "graphemes"]
)
def test_a_long_run_of_anything_is_tiled(unit: str, pattern: str) -> None:
    """A pattern that backtracks over a run would not end within the life of this test."""
    text = unit * 20_000
    matched = "".join(re.findall(pattern, text))
    assert matched == text or (pattern == breaks.WORDS_ONLY and unit == " " and matched == "")
