"""Sets of characters: as classes of a regular expression that every engine reads alike, and as
masks over all of Unicode.

In: the name of a class of Python's `re`, of a general category, or a mask (0x110000,) bool. Out: a
mask, or the class spelled out.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
SURROGATES = slice(0xD800, 0xE000)
NOTHING, ANYTHING = r"[^\s\S]", r"[\s\S]"
_SPECIAL = frozenset("\\^$.|?*+()[]{}-#&~")
_PROPERTY = re.compile(r"\\(?:[^pP]|([pP])(?:\{(\^?)(\w+)\}|([A-Z])))|\[\^?\]?|\]", re.DOTALL)


def write_class(mask: Mask) -> str:
    """Write a set of code points as a character class that every engine reads alike."""
    inside, outside = ranges(mask), ranges(~mask)
    if not inside or not outside:
        return NOTHING if not inside else ANYTHING
    if len(inside) == 1 and inside[0][0] == inside[0][1]:
        return escape(inside[0][0])
    negate = len(outside) < len(inside) or outside[0][0] == outside[-1][1]
    pieces = []
    for first, last in outside if negate else inside:
        dash = "-" if last > first + 1 else ""
        pieces.append(escape(first) + (dash + escape(last) if last > first else ""))
    return f"[{'^' if negate else ''}{''.join(pieces)}]"


def escape(code: int) -> str:
    """Write one code point as it stands inside a class."""
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\{chr(code)}" if chr(code) in _SPECIAL else chr(code)


def ranges(mask: Mask) -> list[tuple[int, int]]:
    """Give the first and last code points of each run.

    A run goes on across the surrogates, which no text holds.
    """
    known = np.concatenate([[False], mask[: SURROGATES.start], mask[SURROGATES.stop :], [False]])
    edges = np.flatnonzero(known[1:] != known[:-1])
    width = SURROGATES.stop - SURROGATES.start
    starts = [int(i) + (width if i >= SURROGATES.start else 0) for i in edges[::2]]
    ends = [int(i) - 1 + (width if i > SURROGATES.start else 0) for i in edges[1::2]]
    return list(zip(starts, ends, strict=True))


@cache
def category(name: str, flags: int) -> Mask:
    code = {"CATEGORY_DIGIT": r"\d", "CATEGORY_SPACE": r"\s", "CATEGORY_WORD": r"\w"}[
        name.replace("NOT_", "")
    ]
    found = mask_of("".join(re.findall(code, every_character(), flags)))
    return ~found if "NOT_" in name else found


def mask_of(characters: str) -> Mask:
    mask = np.zeros(0x110000, dtype=bool)
    mask[np.frombuffer(characters.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)] = True
    return mask


@cache
def every_character() -> str:
    return "".join(map(chr, range(0x110000)))


@cache
def _general_categories() -> NDArray[np.str_]:
    return np.array([unicodedata.category(character) for character in every_character()])


def expand_properties(pattern: str) -> str:
    r"""Write \p{L}, \pL, \P{Lu} and \p{^N}, which Python's re lacks, as ranges."""
    in_class = False

    def expand(found: re.Match[str]) -> str:
        nonlocal in_class
        letter, caret, name = found[1], found[2], found[3] or found[4]
        if letter is None:
            if found[0][0] == "[":
                in_class = True
            elif found[0] == "]":
                in_class = False
            return found[0]
        categories = _general_categories()
        mask = (categories.astype("U1") if len(name) == 1 else categories) == name
        if not mask.any():
            raise re.error(f"unknown general category '{name}', expected such as L, Lu, N, P")
        if (letter == "P") != bool(caret):
            mask = ~mask
        runs = "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges(mask))
        return runs if in_class else f"[{runs}]"

    return _PROPERTY.sub(expand, pattern) if "\\p" in pattern or "\\P" in pattern else pattern
