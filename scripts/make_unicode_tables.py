"""Write textkit/tokenizers/unicode_tables/ from the Unicode Character Database.

Usage: python scripts/make_unicode_tables.py FOLDER, where FOLDER holds
auxiliary/{Word,Grapheme,Sentence}BreakProperty.txt, emoji/emoji-data.txt and PropList.txt of one
Unicode version (Debian's package unicode-data lays them out so).
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

TARGET = Path(__file__).parents[1] / "textkit" / "tokenizers" / "unicode_tables"
WORD = (
    "ALetter CR Double_Quote Extend ExtendNumLet Format Hebrew_Letter Katakana LF MidLetter"
    " MidNum MidNumLet Newline"
)
WORD += " Numeric Regional_Indicator Single_Quote WSegSpace ZWJ"
GRAPHEME = "CR Control Extend L LF LV LVT Prepend Regional_Indicator SpacingMark T V ZWJ"
SENTENCE = "ATerm CR Close Extend Format LF Lower Numeric OLetter SContinue STerm Sep Sp Upper"
HEADER = '''"""Character classes of Unicode {version}, as ranges for the inside of a regex class.

Made by scripts/make_unicode_tables.py from the Unicode Character Database; do not edit. {what}
This file is long because it is data.
"""

'''
VERSION = '''"""Character classes of Unicode: words, graphemes and sentences of UAX 29."""

UNICODE_VERSION = "{version}"
'''


def read_property(path: Path) -> dict[str, list[tuple[int, int]]]:
    """Give value -> merged, sorted ranges of a property file."""
    found: dict[str, list[tuple[int, int]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        match = re.match(r"([0-9A-F]+)(?:\.\.([0-9A-F]+))?\s*;\s*(\w+)", line)
        if match:
            start = int(match[1], 16)
            found.setdefault(match[3], []).append((start, int(match[2] or match[1], 16)))
    return {name: merge(sorted(ranges)) for name, ranges in found.items()}


def merge(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in ranges:
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def to_class(ranges: list[tuple[int, int]]) -> str:
    return "".join(escape(a) if a == b else f"{escape(a)}-{escape(b)}" for a, b in ranges)


def escape(code: int) -> str:
    """Write a code point for a Python literal: ASCII stays an escape in the regex too, the rest
    becomes a character.
    """
    return (
        f"\\\\x{code:02x}"
        if code < 0x80
        else f"\\u{code:04x}"
        if code < 0x10000
        else f"\\U{code:08x}"
    )


def write_table(name: str, values: dict[str, str]) -> str:
    lines = [f"{name} = {{"]
    for key, text in values.items():
        lines.append(f'    "{key}": (')
        lines += [f'        "{part}"' for part in split(text)]
        lines.append("    ),")
    return "\n".join([*lines, "}"]) + "\n"


def split(text: str) -> list[str]:
    """Cut between escapes into pieces that fit a line."""
    parts = [""]
    for item in re.findall(r"\\(?:\\x..|u.{4}|U.{8})-?", text):
        if len(parts[-1]) + len(item) > 88:
            parts.append("")
        parts[-1] += item
    return parts


def write_ranges(name: str, ranges: list[tuple[int, int]]) -> str:
    parts = "\n".join(f'    "{part}"' for part in split(to_class(ranges)))
    return f"{name} = (\n{parts}\n)\n"


def main(folder: Path) -> None:
    words = folder / "auxiliary" / "WordBreakProperty.txt"
    first = words.read_text(encoding="utf-8").splitlines()[0]
    version = re.search(r"(\d+\.\d+)\.\d+", first)[1]  # type: ignore[index]
    word = read_property(words)
    grapheme = read_property(folder / "auxiliary" / "GraphemeBreakProperty.txt")
    grapheme["Control"] = [r for r in grapheme["Control"] if r != (0xD800, 0xDFFF)]
    sentence = read_property(folder / "auxiliary" / "SentenceBreakProperty.txt")
    pictographic = read_property(folder / "emoji" / "emoji-data.txt")["Extended_Pictographic"]
    space = read_property(folder / "PropList.txt")["White_Space"]
    tables = {
        "words": (
            "WORD:\nWord_Break (UAX 29, table 3); WHITE_SPACE (PropList).",
            write_table("WORD", {name: to_class(word[name]) for name in WORD.split()})
            + write_ranges("WHITE_SPACE", space),
        ),
        "graphemes": (
            "GRAPHEME:\nGrapheme_Cluster_Break (UAX 29, table 2); PICTOGRAPHIC:"
            " Extended_Pictographic (UTS 51).",
            write_table("GRAPHEME", {n: to_class(grapheme[n]) for n in GRAPHEME.split()})
            + write_ranges("PICTOGRAPHIC", pictographic),
        ),
        "sentences": (
            "SENTENCE:\nSentence_Break (UAX 29, table 4).",
            write_table("SENTENCE", {n: to_class(sentence[n]) for n in SENTENCE.split()}),
        ),
    }
    (TARGET / "__init__.py").write_text(VERSION.format(version=version), encoding="utf-8")
    for name, (what, text) in tables.items():
        header = HEADER.format(version=version, what=what)
        (TARGET / f"{name}.py").write_text(header + text, encoding="utf-8")
    formatted = [sys.executable, "-m", "ruff", "format", "--quiet", str(TARGET)]
    subprocess.run(formatted, check=True)  # noqa: S603


if __name__ == "__main__":
    main(Path(sys.argv[1]))
