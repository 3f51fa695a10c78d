"""The segments are the Unicode standard's: its own test files, from both regex engines."""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path

import pytest
from tokenizers import Regex, pre_tokenizers

from textkit.tokenizers import unicode_breaks as breaks
from textkit.tokenizers.unicode_tables import UNICODE_VERSION
from textkit.tokenizers.unicode_tables.graphemes import PICTOGRAPHIC
from textkit.tokenizers.unicode_tables.words import WORD


def read_cases(path: Path) -> list[list[str]]:
    """Give the segments of each line of a Unicode break test."""
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    marked = [line.strip("÷ ").split("÷") for line in lines if line]
    return [
        ["".join(chr(int(code, 16)) for code in part.split() if code != "×") for part in parts]
        for parts in marked
    ]


@pytest.mark.parametrize(
    ("name", "pattern"), [("Word", breaks.WORDS), ("Grapheme", breaks.GRAPHEMES)]
)
def test_every_case_of_the_standard(name: str, pattern: str, shared: Path) -> None:
    cases = read_cases(shared / f"conformance/{name}BreakTest-{UNICODE_VERSION}.txt")
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
    assert re.findall(breaks.GRAPHEMES, "👨‍👩‍👧🇩🇪e\u0301\r\n") == [
        "👨‍👩‍👧",
        "🇩🇪",
        "e\u0301",
        "\r\n",
    ]


@pytest.mark.parametrize(
    "unit", ["a", "א'", "'", "_", "\u0308", "\u200d🙂", "🇩", "1.", " ", "a.", "カ", "\u1100"]
)
@pytest.mark.parametrize(
    "pattern", [breaks.WORDS, breaks.WORDS_ONLY, breaks.GRAPHEMES], ids=["all", "only", "graphemes"]
)
def test_a_long_run_of_anything_is_tiled(unit: str, pattern: str) -> None:
    """A pattern that backtracks over a run would not end within the life of this test."""
    text = unit * 20_000
    matched = "".join(re.findall(pattern, text))
    assert matched == text or (pattern == breaks.WORDS_ONLY and unit == " " and matched == "")


# One character or more of every class of the word rules; Ⓜ is a letter and a pictograph, U+202F a
# space and connector.
ALPHABET = "aż\u05d0カ1٣_\u202f:.',;\"’ \u3000\r\n\u0085\u0308\u200d\u00ad🇩🙂Ⓜ©中!"
IGNORED = {"Extend", "Format", "ZWJ"}
LINE_ENDS = {"CR", "LF", "Newline"}
LETTERS = {"ALetter", "Hebrew_Letter"}
MIDDLES = {"MidNumLet", "Single_Quote"}


def class_of(character: str) -> str:
    return next(
        (name for name, members in WORD.items() if re.match(f"[{members}]", character)), "Other"
    )


def is_joined(classes: list[str], text: str, i: int) -> bool:
    """Say whether UAX 29 forbids a break before character i, rule after rule as the standard has
    them.
    """
    before, after = classes[i - 1], classes[i]
    if before in LINE_ENDS or after in LINE_ENDS:
        return (before, after) == ("CR", "LF")  # WB3, WB3a, WB3b
    if before == "ZWJ" and re.match(f"[{PICTOGRAPHIC}]", text[i]):
        return True  # WB3c
    if before == after == "WSegSpace" or after in IGNORED:
        return True  # WB3d, WB4
    left = [
        k for k in range(i) if classes[k] not in IGNORED or k == 0 or classes[k - 1] in LINE_ENDS
    ]
    right = [name for name in classes[i:] if name not in IGNORED]
    one, two = classes[left[-1]], classes[left[-2]] if len(left) > 1 else ""
    behind = right[1] if len(right) > 1 else ""
    flags = 0
    for k in reversed(left):
        if classes[k] != "Regional_Indicator":
            break
        flags += 1
    words = {*LETTERS, "Numeric", "Katakana", "ExtendNumLet"}
    return (
        (one in LETTERS and after in LETTERS)  # WB5
        or (one in LETTERS and after in {"MidLetter", *MIDDLES} and behind in LETTERS)  # WB6
        or (two in LETTERS and one in {"MidLetter", *MIDDLES} and after in LETTERS)  # WB7
        or (one == "Hebrew_Letter" and after == "Single_Quote")  # WB7a
        or (
            one == "Hebrew_Letter" and after == "Double_Quote" and behind == "Hebrew_Letter"
        )  # WB7b
        or (two == "Hebrew_Letter" and one == "Double_Quote" and after == "Hebrew_Letter")  # WB7c
        or (one in {"Numeric", *LETTERS} and after == "Numeric")  # WB8, WB9
        or (one == "Numeric" and after in LETTERS)  # WB10
        or (two == "Numeric" and one in {"MidNum", *MIDDLES} and after == "Numeric")  # WB11
        or (one == "Numeric" and after in {"MidNum", *MIDDLES} and behind == "Numeric")  # WB12
        or (one == after == "Katakana")  # WB13
        or (one in words and after == "ExtendNumLet")  # WB13a
        or (one == "ExtendNumLet" and after in words)  # WB13b
        or (one == after == "Regional_Indicator" and flags % 2 == 1)  # WB15, WB16
    )


def test_words_are_those_of_the_rules_written_plainly() -> None:
    generator = random.Random(29)
    split = pre_tokenizers.Split(Regex(breaks.WORDS), "isolated")
    for _ in range(6_000):
        text = "".join(generator.choices(ALPHABET, k=generator.randrange(1, 9)))
        classes = [class_of(character) for character in text]
        cuts = [0, *(i for i in range(1, len(text)) if not is_joined(classes, text, i)), len(text)]
        expected = [text[start:end] for start, end in itertools.pairwise(cuts)]
        assert re.findall(breaks.WORDS, text) == expected, text
        assert [piece for piece, _ in split.pre_tokenize_str(text)] == expected, text
        kept = [piece for piece in expected if not re.fullmatch(f"{breaks.SPACE}+", piece)]
        assert re.findall(breaks.WORDS_ONLY, text) == kept, text
