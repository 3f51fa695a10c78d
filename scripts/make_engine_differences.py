"""Write textkit/tokenizers/engines/differences.py: code points on which splintr and tokenizers
differ.

Usage: python scripts/make_engine_differences.py; about three minutes. The two engines carry tables
of different Unicode versions. Run it again when either is upgraded; `make fuzz` fails when a
difference is missing from the table.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from textkit import tokenizers
from textkit.tokenizers import PipelineTokenizer
from textkit.tokenizers.engines.splintr import SplintrEngine

TARGET = Path(__file__).parents[1] / "textkit" / "tokenizers" / "engines" / "differences.py"
# Every ASCII letter and digit: a character that turns into one of them is seen to.
ALPHABET = " ".join("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
TRAINING = ["Vanity and pride are different things, 3.14 naïve ÜNDER हिन्दी 漢字 🙂", ALPHABET] * 4
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("wordpiece", {"size": 240}),
    ("wordpiece", {"size": 240, "lowercase": False}),
    ("unigram", {"size": 160}),
    ("unigram", {"size": 160, "lowercase": True}),
    ("unigram", {"size": 160, "form": "nfd", "strip_accents": True, "lowercase": True}),
    ("bpe", {"size": 400, "form": "nfkd", "lowercase": True}),
]
BLOCK = 1 << 14


def find_differences(kind: str, options: dict[str, Any]) -> set[int]:
    """Encode every code point alone and inside "a?b" with both engines."""
    made = tokenizers.train(kind, TRAINING, **options)
    assert isinstance(made, PipelineTokenizer)
    reference = made._reference
    fast = SplintrEngine(made._description, piece_bytes=None, reference=reference)
    found: set[int] = set()
    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    for start in range(0, len(codes), BLOCK):
        block = [chr(code) for code in codes[start : start + BLOCK]]
        for texts in (block, [f"a{char}b" for char in block]):
            mine, theirs = (
                fast.encode_plain(texts, spans=False),
                reference.encode(texts, spans=False),
            )
            if not (
                np.array_equal(mine.ids, theirs.ids)
                and np.array_equal(mine.offsets, theirs.offsets)
            ):
                found |= {
                    ord(c) for i, c in enumerate(block) if mine[i].tolist() != theirs[i].tolist()
                }
    return found


def main() -> None:
    found: set[int] = set()
    for kind, options in VARIANTS:
        new = find_differences(kind, options)
        print(kind, options, len(new))
        found |= new
    ranges: list[list[int]] = []
    for code in sorted(found):
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    parts = [f"\\U{a:08x}" if a == b else f"\\U{a:08x}-\\U{b:08x}" for a, b in ranges]
    lines = "\n".join(f'    "{"".join(parts[i : i + 4])}"' for i in range(0, len(parts), 4))
    TARGET.write_text(
        '"""Code points that splintr 0.22 and tokenizers 0.23 normalise or split differently,'
        " inside a regex class.\n"
        "\nMade by scripts/make_engine_differences.py; do not edit. Rows that hold one go to the"
        " reference engine.\n"
        f'"""\n\nDIFFERENCES = (\n{lines}\n)\n',
        encoding="utf-8",
    )
    formatted = [sys.executable, "-m", "ruff", "format", "--quiet", str(TARGET)]
    subprocess.run(formatted, check=True)  # noqa: S603


if __name__ == "__main__":
    main()
