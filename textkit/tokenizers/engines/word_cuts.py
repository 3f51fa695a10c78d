"""Where a text may be cut into words that are tokenized one by one, and for which tokenizers.

In: a text, or a tokenizer.json. Out: the text's words, each but the first with the space before it,
or None where the cut is not sure; whether the ids of a text are those of its words.
"""

from __future__ import annotations

import re

from textkit.tokenizers import patterns
from textkit.tokenizers.description import Description, Step, steps_of
from textkit.tokenizers.splitters import AT_THE_ENDS, QWEN, SPLITS
from textkit.tokenizers.unicode_breaks import NOT_SPACE, WORDS_ONLY
from textkit.tokenizers.unicode_tables.graphemes import GRAPHEME

# A word ends before a space, unless the character before that space is one of these: white space,
# controls and format characters, and what sentencepiece's tables make a space of.
_UNSURE = (
    r"\s\x00-\x1f\x7f-\x9f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u08e2\u180e"
    r"\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\u2581\ufeff\ufff0-\uffff"
)


def _words_pattern(unsure: str) -> str:
    inner = f"(?! )[{unsure}][{unsure}]*+"
    return f"[{unsure}]*+[^{unsure}]++(?:{inner}[^{unsure}]++)*+(?:{inner})?|[{unsure}]++"


_WORDS = re.compile(_words_pattern(_UNSURE)).findall
_WORDS_ASCII = re.compile(_words_pattern(r"\x00- \x7f")).findall
ENDS_SURELY = re.compile(rf"[^{_UNSURE}]\Z").search
# A table of sentencepiece may take marks with the white space before them, which then stands before
# the next space. The reference knows marks of later years than our tables: whatever is no letter,
# digit or common sign may be one.
_NO_MARKS = r"\w!-~\u00a1-\u02ff\u2010-\u20cf\u2100-\u2bff\u3000-\u303f\uff01-\uffee"
_MARKED_SPACE = re.compile(
    rf"(?! )[{_UNSURE}](?:[{GRAPHEME['Extend']}{GRAPHEME['SpacingMark']}]|[^{_NO_MARKS}{_UNSURE}])"
).search
_BEYOND = re.compile(r"[^\0-\uffff]").search

_SPLITTERS_WITHOUT_SPACES = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}
_SPLITTERS_AT_SPACES = {*_SPLITTERS_WITHOUT_SPACES, "Metaspace"}
_PATTERNS_AT_SPACES = {*SPLITS.values(), QWEN, WORDS_ONLY, NOT_SPACE}
# These take characters away or put spaces in.
_REMOVERS = {"StripAccents", "BertNormalizer", "Precompiled"}
_LOCAL_NORMALIZERS = {"Lowercase", "NFC", "NFD", "NFKC", "NFKD", *_REMOVERS}
_LOCAL_NORMALIZERS |= {"Strip", "Prepend"}  # at the ends of a text, which WordTableEngine minds
# As it is written, and as it was.
_AT_THE_ENDS = {AT_THE_ENDS, r"\A +| +\z"}
_SPACE_PATTERNS = {" {2,}", r"\s+", *_AT_THE_ENDS}
# Marks a first word that starts with a space, to tell it from one that follows; texts here hold no
# lone surrogates.
FIRST = "\udfff"


def split_words(text: str) -> list[str] | None:
    """Cut a text before the spaces where every splitter cuts; None where that is not sure.

    Every word but the first starts with a space; the first does not: it is marked with FIRST where
    the text does.

    >>> split_words("To be,  or not")
    ['To', ' be,', '  or', ' not']
    >>> split_words("To be,\\n or not")
    ['To', ' be,\\n or', ' not']
    """
    if text.startswith(" "):
        words = split_words(text[1:].lstrip(" "))
        if words is not None:
            spaces = " " * (len(text) - sum(map(len, words)))
            words[:1] = [FIRST + spaces + "".join(words[:1])]
        return words
    if text.isprintable() and "  " not in text and "\u2581" not in text and "\ufffd" not in text:
        # No character but the space is white or unsure here.
        return text.replace(" ", "\n ").split("\n")
    if text.isascii():
        return _WORDS_ASCII(text)
    return None if _BEYOND(text) or _MARKED_SPACE(text) else _WORDS(text)


def is_cut_at_spaces(description: Description) -> bool:
    """Tell whether the ids of a text are those of its words, by what stands in the tokenizer.json.

    >>> splitter = {"type": "WhitespaceSplit"}
    >>> is_cut_at_spaces({"normalizer": None, "pre_tokenizer": splitter, "model": {}})
    True
    """
    if description["model"].get("dropout"):
        return False
    normalizers = steps_of(description["normalizer"])
    if not all(step["type"] in _LOCAL_NORMALIZERS or _joins_spaces(step) for step in normalizers):
        return False
    splitters = steps_of(description["pre_tokenizer"])
    if not splitters or not _splits_at_spaces(splitters[0]):
        return False
    # Where spaces become something else, only a Metaspace that takes the same for a space cuts.
    replaced = [step for step in normalizers if step["type"] == "Replace"]
    others = {
        step.get("content", "")
        for step in replaced
        if not step.get("content", "").startswith(" ")
        and step.get("pattern", {}).get("Regex") not in _AT_THE_ENDS
    }
    return not others or (
        splitters[0]["type"] == "Metaspace" and others == {splitters[0].get("replacement")}
    )


def may_end_in_space(description: Description) -> bool:
    """Tell whether a splitter that reads spaces may see one where the end of a word was."""
    splitter = steps_of(description["pre_tokenizer"])[0]
    steps = {step["type"] for step in steps_of(description["normalizer"])}
    return splitter["type"] not in _SPLITTERS_WITHOUT_SPACES and not steps.isdisjoint(_REMOVERS)


def _joins_spaces(step: Step) -> bool:
    """Tell whether a normaliser replaces nothing but white space, which stands in one word."""
    pattern = step.get("pattern", {})
    return step["type"] == "Replace" and (
        pattern.get("Regex") in _SPACE_PATTERNS or not pattern.get("String", "x").strip(" ")
    )


def _splits_at_spaces(step: Step) -> bool:
    if step["type"] == "ByteLevel":
        return bool(step.get("use_regex", True))
    if step["type"] == "Metaspace":
        return bool(step.get("split", True))
    if step["type"] == "Split":
        behavior, pattern = step.get("behavior"), step.get("pattern", {}).get("Regex")
        tiles = (behavior, step.get("invert")) == ("Isolated", False)
        if (behavior, step.get("invert")) != ("Removed", True) and not tiles:
            return False
        return pattern in _PATTERNS_AT_SPACES or (not tiles and _is_within_words(pattern))
    return step["type"] in _SPLITTERS_AT_SPACES


def _is_within_words(pattern: str | None) -> bool:
    return (
        pattern is not None and patterns.is_portable(pattern) and not patterns.reads_spaces(pattern)
    )
