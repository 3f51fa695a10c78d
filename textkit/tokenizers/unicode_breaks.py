"""Word and grapheme boundaries of UAX 29 as regular expressions, for Python's re and for
tokenizers' Oniguruma alike.

In: the character classes of unicode_tables. Out: patterns whose matches, one after the other, tile
a text into exactly the segments of the Unicode standard (version UNICODE_VERSION; tests run its
WordBreakTest and GraphemeBreakTest files). The rule numbers WB and GB in the comments are the
standard's. Possessive quantifiers keep the time linear.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from textkit.tokenizers.unicode_tables.graphemes import GRAPHEME, PICTOGRAPHIC
from textkit.tokenizers.unicode_tables.words import WHITE_SPACE, WORD

NARROW_SPACE = "\u202f"


def _words(*, with_space: bool) -> str:
    """Build the pattern of UAX 29 words.

    Without space, white space that carries no mark matches nothing.
    """
    extend = WORD["Extend"] + WORD["Format"] + WORD["ZWJ"]
    hebrew, quote, double = WORD["Hebrew_Letter"], WORD["Single_Quote"], WORD["Double_Quote"]
    letter = WORD["ALetter"] + hebrew
    # WB4: marks, formats and joiners belong to what stands before them.
    e = f"[{extend}]*+"
    # WB7a: a Hebrew letter takes a final single quote with it; WB7b, WB7c: and holds a double quote
    # between two.
    hebrew_end = f"[{hebrew}]{e}[{quote}]{e}(?![{letter}])"
    hebrew_atom = f"(?!{hebrew_end})[{hebrew}]{e}(?:[{double}]{e}(?=[{hebrew}]))?"
    # WB5 to WB12: letters and digits run on, over one middle mark between two of a kind.
    middle = f"(?:[{WORD['MidLetter'] + WORD['MidNumLet'] + quote}]{e}(?=[{letter}]))?"
    letters = f"(?:(?:(?:[{WORD['ALetter']}]++{e})++|{hebrew_atom}){middle})++"
    number = f"[{WORD['Numeric']}]"
    digits = (
        f"(?:(?:{number}{e})++(?:[{WORD['MidNum'] + WORD['MidNumLet'] + quote}]{e}(?={number}))?)++"
    )
    run, katakana = f"(?:{letters}|{digits})++", f"(?:[{WORD['Katakana']}]{e})++"
    # WB13a, WB13b: connectors such as _ join runs of every kind. A final quote joins to nothing,
    # Katakana to no Hebrew.
    joined = f"(?:[{WORD['ExtendNumLet']}]{e})"
    joinable = f"(?:{run}|{katakana}(?![{hebrew}]))"
    going_on = (
        f"(?:{joinable}(?:{joined}++{joinable})*+"
        f"(?:{joined}++{katakana}|{joined}*+(?:{hebrew_end})?)"
        f"|{katakana}|{hebrew_end})"
    )
    word = f"{joined}*+{going_on}"
    flags = f"[{WORD['Regional_Indicator']}]{e}(?:[{WORD['Regional_Indicator']}]{e})?"  # WB15, WB16
    line_ends = WORD["CR"] + WORD["LF"] + WORD["Newline"]
    space = WORD["WSegSpace"]
    if with_space:
        # WB3, WB3a, WB3b, WB3d; then any other character: one segment with its marks.
        rest = f"{joined}++|{WORD['CR']}{WORD['LF']}|[{line_ends}]|[{space}]++{e}|[\\s\\S]{e}"
    else:
        marked = f"[{space}]++[{extend}]++|(?![{line_ends}])[{WHITE_SPACE}][{extend}]++"
        # U+202F is a connector and white space at once.
        connector = WORD["ExtendNumLet"].replace(NARROW_SPACE, "")
        connectors = f"(?={NARROW_SPACE}*+[{extend}{connector}]){joined}++"
        rest = f"{connectors}|{marked}|[^{WHITE_SPACE}{line_ends}]{e}"
    # Shortcuts that change no match and make English 10 times faster: an ASCII word, mark or run of
    # spaces before an ASCII character that cannot belong to it.
    quiet = "[ -&(-+\\-/<-@\\[-\\^`{-~\\n]"
    end = "(?![\\s\\S])"
    shortcuts = f"[A-Za-z0-9]++(?={quiet}|[,.:;'](?:{quiet}|{end})|{end})"
    shortcuts += "|[!-/:-@\\[-\\^`{-~](?=[ -~\\n])"
    shortcuts += "| ++(?=[!-~])" if with_space else ""
    # WB3c: a joiner holds on to a following pictograph, whatever stood before it; one that is a
    # letter goes on as such.
    pictograph = f"(?=[{PICTOGRAPHIC}])(?:(?=[{letter}]){going_on}|[{PICTOGRAPHIC}]{e})"
    return f"{shortcuts}|(?:{word}|{flags}|{rest})(?:(?<={WORD['ZWJ']}){pictograph})*+"


def _graphemes() -> str:
    """Build the pattern of extended grapheme clusters, as in UAX 29 table 1c."""
    g = GRAPHEME
    vowels = f"(?:[{g['LV']}][{g['V']}]*+|[{g['V']}]++|[{g['LVT']}])[{g['T']}]*+"
    syllable = f"[{g['L']}]*+{vowels}|[{g['L']}]++|[{g['T']}]++"
    flags = f"[{g['Regional_Indicator']}][{g['Regional_Indicator']}]"
    family = f"[{PICTOGRAPHIC}](?:[{g['Extend']}]*+{g['ZWJ']}[{PICTOGRAPHIC}])*+"
    line_ends = g["CR"] + g["LF"] + g["Control"]
    core = f"(?:{syllable}|{flags}|{family}|[^{line_ends}])"
    after = f"[{g['Extend']}{g['ZWJ']}{g['SpacingMark']}]*+"
    return f"{g['CR']}{g['LF']}|[{line_ends}]|[{g['Prepend']}]*{core}{after}"


WORDS = _words(with_space=True)
WORDS_ONLY = _words(with_space=False)
GRAPHEMES = _graphemes()
# What WORDS says of ASCII text, in a form that runs twice as fast.
ASCII_WORDS = (
    r"[A-Za-z0-9_]++(?:(?:(?<=[A-Za-z])[:.'](?=[A-Za-z])|(?<=[0-9])[,;.'](?=[0-9]))"
    r"[A-Za-z0-9_]++)*+"
    r"| ++|\r\n|[\x00-\x7f]"
)
SPACE = f"[{WHITE_SPACE}]"
CHARACTERS = r"[\s\S]"
NOT_SPACE = f"[^{WHITE_SPACE}]+"
# Spaces go into one piece with the word behind them, which halves the number of pieces; only before
# characters that are sure to be no mark, since a mark after a space is one segment with it.
LEAD = 64
LEADING = " {1,62}+(?=[!-~\u00c0-\u024f\u0370-\u0481])"


@dataclass(frozen=True)
class Tiling:
    """Patterns whose matches tile a text: tokens with the spaces before them, and white space
    that is no token.
    """

    pattern: str
    ascii_pattern: str | None
    drop_space: bool

    def compile(self) -> Callable[[str], list[str]]:
        """Give the function that finds the matches in a text."""
        find = re.compile(self.pattern).findall
        find_in_ascii = re.compile(self.ascii_pattern or self.pattern).findall
        return lambda text: find_in_ascii(text) if text.isascii() else find(text)


# Pattern of a tokenizer.json -> how the native engine finds the same tokens.
TILINGS = {
    WORDS_ONLY: Tiling(
        f"(?:{LEADING})?(?:{WORDS})",
        f"(?:{LEADING})?(?:{ASCII_WORDS})",
        drop_space=True,
    ),
    GRAPHEMES: Tiling(GRAPHEMES, None, drop_space=False),
    NOT_SPACE: Tiling(f"(?:{LEADING})?{NOT_SPACE}|{SPACE}+", None, drop_space=True),
}
