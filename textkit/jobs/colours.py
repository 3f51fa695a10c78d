"""Tokens for the eye: backgrounds on a terminal, and one self-contained HTML page."""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterator, Sequence

from textkit.batch import TokenBatch

# Background colours that dark and light terminals both show; neighbours always differ.
_TERMINAL = ("48;5;24", "48;5;58", "48;5;90", "48;5;22", "48;5;94")
_PAGE = ("#cfe2ff", "#ffe5b4", "#e2d1f9", "#d1f0d5", "#ffd6d6")
_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 16px/2 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
  color: #111 }}
p {{ border-bottom: 1px solid #ddd; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0;
  padding: .3rem 0 }}
span {{ border-radius: 3px; padding: .1em 0 }} small {{ color: #666; user-select: none }}
</style></head><body dir="auto"><h1>{title}</h1>
<p>{summary}; point at a token to see its id and its span</p>
"""


def split_spans(text: str, spans: Sequence[Sequence[int]]) -> Iterator[tuple[str, list[int]]]:
    """Cut a text into stretches, each with the indices of its tokens; none between tokens.

    Several tokens of one character, as byte-level BPE makes, share its stretch.

    >>> list(split_spans("ab 🙂", [[0, 1], [1, 2], [3, 4], [3, 4]]))
    [('a', [0]), ('b', [1]), (' ', []), ('🙂', [2, 3])]
    """
    position = index = 0
    while index < len(spans):
        start, end = spans[index]
        if start > position:
            yield text[position:start], []
        members = [index]
        while index + 1 < len(spans) and spans[index + 1][0] < end:
            index += 1
            members.append(index)
            end = max(end, spans[index][1])
        yield text[max(start, position) : end], members
        position, index = end, index + 1
    if position < len(text):
        yield text[position:], []


def colour_rows(texts: Sequence[str], batch: TokenBatch) -> Iterator[str]:
    """Give each text with its tokens on changing backgrounds, for a terminal."""
    for row, text in enumerate(texts):
        colours = itertools.cycle(_TERMINAL)
        parts = [
            f"\x1b[{next(colours)}m{_visible(piece)}\x1b[0m" if tokens else _visible(piece)
            for piece, tokens in split_spans(text, batch.row_spans(row).tolist())
        ]
        yield "".join(parts) + "\n"


def html_page(title: str, texts: Sequence[str], batch: TokenBatch) -> str:
    """Give a page of the texts with their tokens coloured; it needs nothing but itself."""
    summary = f"{len(texts):,} rows, {len(batch.ids):,} tokens"
    parts = [_HEAD.format(title=html.escape(title), summary=summary)]
    for row, text in enumerate(texts):
        spans, ids = batch.row_spans(row).tolist(), batch[row].tolist()
        colours = itertools.cycle(_PAGE)
        parts.append(f'<p dir="auto"><small>{row} </small>')
        for piece, tokens in split_spans(text, spans):
            shown = html.escape(_visible(piece, keep="\n\t"))
            if tokens:
                told = "; ".join(f"id {ids[i]}, {spans[i][0]} to {spans[i][1]}" for i in tokens)
                shown = f'<span style="background:{next(colours)}" title="{told}">{shown}</span>'
            parts.append(shown)
        parts.append("</p>\n")
    return "".join([*parts, "</body></html>\n"])


def _visible(piece: str, *, keep: str = "") -> str:
    """Keep control characters of the text from steering the terminal.

    Joiners stay, they make emoji and ligatures.
    """
    return "".join(
        char
        if char.isprintable() or char in keep or char in " \u200c\u200d\u3000"
        else f"\\x{ord(char):02x}"
        for char in piece
    )
