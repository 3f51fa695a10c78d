"""The words by which texts are found: the same for a query, for a text, and for what is marked.

In: a text. Out: its terms in order, or each with its place in the caller's own text.

1. The text is cut at the word boundaries of Unicode (UAX 29); what holds no letter, digit or emoji
   is no term.
2. A term is folded: compatibility forms and case (NFKC, case folding), Arabic and Hebrew vowel
   points, and an English 's at its end. Nothing is stemmed, no word is left out.
3. Han, Hiragana, Thai, Lao, Khmer and Myanmar have no spaces between words: there each two
   neighbours are a term, and one that stands alone.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import NamedTuple

from textkit.tokenizers.unicode_breaks import ASCII_WORDS, WORDS_ONLY
from textkit.tokenizers.unicode_tables.graphemes import PICTOGRAPHIC
from textkit.tokenizers.unicode_tables.words import WORD

# Different words that are remembered folded.
_REMEMBERED = 1 << 17
# Scripts that are written without spaces, less their digits, which run on by themselves.
_SPACELESS = (
    "\u0e01-\u0e4f\u0e80-\u0ecf\u0edc-\u0edf\u1000-\u103f\u1050-\u108f\u109e-\u109f\u1780-\u17dd"
    "\u3005\u3007\u3041-\u309f\u2e80-\u2fdf\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_find = re.compile(WORDS_ONLY).findall
# The words of ASCII text alone, without the space and the marks between them.
_ASCII = re.compile(ASCII_WORDS.partition("| ++")[0])
_find_ascii, _places_ascii = _ASCII.findall, _ASCII.finditer
_places = re.compile(WORDS_ONLY).finditer
_is_spaceless = re.compile(f"[{_SPACELESS}]").match
_has_spaceless = re.compile(f"[{_SPACELESS}]").search
_is_term = re.compile(rf"[^\W_]|[{PICTOGRAPHIC}{WORD['Regional_Indicator']}]").search
# Vowel points and signs that a text may have or leave out, the Arabic tatweel, soft hyphens, and
# what chooses between the looks of one emoji.
_LEFT_OUT = re.compile(
    "[\u00ad\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f"
    "\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\ufe0e\ufe0f]"
)


class Place(NamedTuple):
    """A term and where it stands, text[start:end]."""

    term: str
    start: int
    end: int


def find_terms(text: str) -> list[str]:
    """Give the terms of a text, in order.

    >>> find_terms("The King's 3.14 🙂, 自然语")
    ['the', 'king', '3.14', '🙂', '自然', '然语']
    """
    if text.isascii():
        lowered = text.lower()
        pieces: list[str] = _find_ascii(lowered)
        # What `fold` changes in ASCII beside case, or finds to be no term.
        odd = "'s" in lowered or "_" in lowered
        return [term for term in map(fold, pieces) if term] if odd else pieces
    if not _has_spaceless(text):
        return [term for term in map(fold, _find(text)) if term]
    return [place.term for place in find_places(text)]


def find_places(text: str) -> Iterator[Place]:
    """Give the terms of a text with their places, in order; those of two neighbours overlap.

    >>> [text[start:end] for text in ["Ünïcode e-mail"] for _, start, end in find_places(text)]
    ['Ünïcode', 'e', 'mail']
    """
    if not _has_spaceless(text):
        found = _places_ascii(text) if text.isascii() else _places(text)
        for match in found:
            term = fold(match[0])
            if term:
                yield Place(term, match.start(), match.end())
        return
    run: list[Place] = []
    for match in _places(text):
        piece, start = match[0], match.start()
        if run and run[-1].end != start:
            yield from _pairs(run)
            run = []
        if _is_spaceless(piece):
            run.append(Place(fold(piece), start, match.end()))
            continue
        yield from _pairs(run)
        run = []
        term = fold(piece)
        if term:
            yield Place(term, start, match.end())
    yield from _pairs(run)


def find_marked(text: str, terms: Collection[str]) -> list[Place]:
    """Give the places of some terms in a text: what `find_places` gives of them, a few times
    faster.

    >>> find_marked("A king", {"king"})
    [Place(term='king', start=2, end=6)]
    """
    if _has_spaceless(text):
        return [place for place in find_places(text) if place.term in terms]
    found = _places_ascii(text) if text.isascii() else _places(text)
    return [Place(fold(m[0]), m.start(), m.end()) for m in found if fold(m[0]) in terms]


def _pairs(run: list[Place]) -> Iterator[Place]:
    """Give each two neighbours of a run as one; one alone as it is."""
    good = [place for place in run if place.term]
    if len(good) == 1:
        yield good[0]
    for one, other in itertools.pairwise(good):
        yield Place(one.term + other.term, one.start, other.end)


@lru_cache(_REMEMBERED)
def fold(word: str) -> str:
    """Fold what may differ in a word that means the same; nothing for what is no term.

    >>> fold("KING’S"), fold("Straße"), fold("ﬁne"), fold("عَلَيْكُم"), fold(".")
    ('king', 'strasse', 'fine', 'عليكم', '')
    """
    if not _is_term(word):
        return ""
    folded = unicodedata.normalize("NFKC", word).casefold()
    if not folded.isascii():
        folded = unicodedata.normalize("NFKC", _LEFT_OUT.sub("", folded)).replace("’", "'")
    return folded.removesuffix("'s") or folded
