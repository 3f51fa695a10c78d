"""Sentences are the Unicode standard's, by its own test file and by its rules said naively, and
spaCy's."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from tests.tokenizers.test_unicode_breaks import read_cases
from textkit.errors import UsageError
from textkit.tokenizers import sentences
from textkit.tokenizers.unicode_tables import UNICODE_VERSION
from textkit.tokenizers.unicode_tables.sentences import SENTENCE

# A character or two of each class, BMP and beyond, and some of none.
CLASSES = {
    "ATerm": ".\uff0e",
    "CR": "\r",
    "Close": '")\u2019\U0001f676',
    "Extend": "\u0301\U000e0100",
    "Format": "\u00ad\U0001bca0",
    "LF": "\n",
    "Lower": "a\u0561\U00010428",
    "Numeric": "7\u0660\U0001d7ce",
    "OLetter": "\u0e01\u4e00\U00020000",
    "SContinue": ",\u3001",
    "STerm": "?\u3002\U00011047",
    "Sep": "\u2028",
    "Sp": " \u3000",
    "Upper": "A\u0410\U00010400",
    "Other": "\x01%\U0001f600",
}
OF = {char: name for name, chars in CLASSES.items() for char in chars}
LINE_END, TERMINATOR = ("Sep", "CR", "LF"), ("ATerm", "STerm")


def cut(text: str, rules: str = "unicode") -> list[str]:
    return [text[start:end] for start, end in sentences(text, rules=rules)]


def is_border(text: str, at: int) -> bool:
    """Say the rules SB3 to SB998 as the standard has them."""
    kinds = [OF[char] for char in text]
    if (kinds[at - 1], kinds[at]) == ("CR", "LF"):
        return False
    if kinds[at - 1] in LINE_END:
        return True
    if kinds[at] in ("Extend", "Format"):
        return False
    # SB5: what is left of the border with its marks, then the kinds to the right.
    left = [
        kind
        for i, kind in enumerate(kinds[:at])
        if kind not in ("Extend", "Format") or i == 0 or kinds[i - 1] in LINE_END
    ]
    before, right = " ".join(left) + " ", [k for k in kinds[at:] if k not in ("Extend", "Format")]
    following = right[0]
    if left[-1] == "ATerm" and following == "Numeric":
        return False
    if re.search(r"(^| )(Upper|Lower) ATerm $", before) and following == "Upper":
        return False
    if re.search(r"ATerm (Close )*(Sp )*$", before):
        stops = ("OLetter", "Upper", "Lower", *LINE_END, *TERMINATOR)
        if next((kind for kind in right if kind in stops), None) == "Lower":
            return False
    if re.search(r"(ATerm|STerm) (Close )*(Sp )*$", before):
        if following in ("SContinue", *TERMINATOR, "Sp", *LINE_END):
            return False
        return not (following == "Close" and re.search(r"(ATerm|STerm) (Close )*$", before))
    return False


def test_every_case_of_the_standard(shared: Path) -> None:
    cases = read_cases(shared / f"conformance/SentenceBreakTest-{UNICODE_VERSION}.txt")
    assert len(cases) > 500
    for segments in cases:
        assert cut("".join(segments)) == segments, segments


def test_classes_of_the_naive_rules_are_the_tables() -> None:
    for name, chars in CLASSES.items():
        if name != "Other":
            assert re.fullmatch(f"[{SENTENCE[name]}]+", chars), name


def test_random_texts_break_where_the_rules_say() -> None:
    draw = random.Random(0)
    names = [*CLASSES, "ATerm", "ATerm", "STerm", "Sp", "Lower", "Upper"]
    for _ in range(3000):
        kinds = draw.choices(names, k=draw.randrange(1, 12))
        text = "".join(draw.choice(CLASSES[kind]) for kind in kinds)
        borders = [0, *(at for at in range(1, len(text)) if is_border(text, at)), len(text)]
        assert sentences(text).ravel()[::2].tolist() == borders[:-1], ascii(text)
        assert sentences(text)[:, 1].tolist() == borders[1:], ascii(text)


@pytest.mark.parametrize(
    "unit", ["a", "A.", ". ", "!)", "\u0301", "\r", "a. 1", "a. (", "?,", "。"]
)
def test_a_long_run_of_anything_is_tiled(unit: str) -> None:
    """A pattern that backtracks over a run would not end within the life of this test."""
    assert "".join(cut(unit * 20_000)) == unit * 20_000


def test_thai_arabic_hindi_and_japanese() -> None:
    assert cut("هل تسمع؟ نعم.") == ["هل تسمع؟ ", "نعم."]
    assert cut("यह एक है। वह दो है।") == ["यह एक है। ", "वह दो है।"]
    # An opening quote right behind a full stop: so says SB9.
    assert cut("雨だ。「行く？」と言った。") == ["雨だ。「", "行く？」", "と言った。"]
    assert cut("ฝนตก แดดออก") == ["ฝนตก แดดออก"]  # Thai writes no full stop


def test_no_text_has_no_sentence_and_a_lone_surrogate_is_a_character() -> None:
    assert sentences("").shape == (0, 2)
    assert cut("a\ud800. B") == ["a\ud800. ", "B"]


def test_unknown_rules_and_no_text_are_refused() -> None:
    with pytest.raises(UsageError, match=r"unknown sentence rules 'spacey'; did you mean 'spacy'"):
        sentences("a", rules="spacey")
    with pytest.raises(UsageError, match="expected a text, found a list"):
        sentences(["a"])  # type: ignore[arg-type]


@pytest.mark.slow
def test_spacy_sentences_are_its_sentencizers() -> None:
    spacy = pytest.importorskip("spacy")
    pipeline = spacy.blank("en")
    pipeline.add_pipe("sentencizer")
    draw = random.Random(0)
    parts = ["a", "B", ". ", ".", "!?", "。", '"', ")", " ", "\n", "1", "।", "…", "'s", "Dr. "]
    texts = ["", "  ", ".", "a\n\n.b", "Hi.\n\nBye.  ", "It rains.  (Does it?) U.S.A. e.g. no"]
    texts += ["".join(draw.choices(parts, k=draw.randrange(12))) for _ in range(150)]
    for text in texts:
        wanted = [[found.start_char, found.end_char] for found in pipeline(text).sents]
        assert sentences(text, rules="spacy").tolist() == wanted, ascii(text)
    assert cut("Yes. No. " + "'" * 1500, "spacy:en")[0] == "Yes."
    assert cut("a\ud800. B", "spacy") == ["a\ud800.", "B"]
