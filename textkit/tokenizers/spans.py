"""What stands between the caller's text and an engine: lone surrogates out, spans in the unit that
the caller needs.

Spans count characters (Python's code points), UTF-8 bytes or UTF-16 units of the caller's own
string. A lone surrogate, half of a UTF-16 pair, is no character and no engine takes it; U+FFFD
takes its place one for one, so spans stay right.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch, offsets_of
from textkit.errors import DataError, UsageError

Unit = Literal["char", "byte", "utf16"]
Errors = Literal["replace", "strict"]
SURROGATE = re.compile("[\ud800-\udfff]")


def replace_surrogates(texts: Sequence[str], *, errors: Errors) -> tuple[Sequence[str], int]:
    """Replace lone surrogates by U+FFFD; return the texts and how many were replaced.

    errors="strict" raises DataError with the text's and the character's index instead.

    >>> replace_surrogates(["a\\ud800"], errors="replace")
    (['a\ufffd'], 1)
    """
    try:
        "".join([text for text in texts if not text.isascii()]).encode("utf-8")
    except UnicodeEncodeError:
        if errors == "strict":
            row, found = next(
                (r, match) for r, text in enumerate(texts) if (match := SURROGATE.search(text))
            )
            raise DataError(
                f"text {row} has a lone surrogate (U+{ord(found[0]):04X}) at character"
                f" {found.start()}"
            ) from None
        pairs = [SURROGATE.subn("\ufffd", text) for text in texts]
        return [text for text, _ in pairs], sum(count for _, count in pairs)
    return texts, 0


def convert_spans(texts: Sequence[str], batch: TokenBatch, *, unit: Unit) -> TokenBatch:
    """Give a batch whose spans count UTF-8 bytes or UTF-16 units instead of characters.

    texts: the texts that the batch was made from, one a row, or one a source where rows are
    windows.

    >>> from textkit import tokenizers
    >>> batch = tokenizers.create("word").encode(["é 🙂 z"], spans=True)
    >>> convert_spans(["é 🙂 z"], batch, unit="byte").spans.tolist()
    [[0, 2], [3, 7], [8, 9]]
    >>> convert_spans(["é 🙂 z"], batch, unit="utf16").spans.tolist()
    [[0, 1], [2, 4], [5, 6]]
    """
    if unit == "char":
        return batch
    if unit not in ("byte", "utf16"):
        raise UsageError(f"unit is '{unit}', expected 'char', 'byte' or 'utf16'")
    if batch.spans is None:
        raise UsageError("this batch has no spans; encode with spans=True")
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    position = offsets_of(_widths(codes, unit))
    first = offsets_of(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)))[:-1]
    sources = np.arange(len(batch)) if batch.sources is None else batch.sources
    base = np.repeat(first[sources], batch.lengths)
    spans = position[batch.spans + base[:, None]] - position[base][:, None]
    return replace(batch, spans=spans.astype(np.int32))


def _widths(codes: NDArray[np.uint32], unit: Unit) -> NDArray[np.int64]:
    """Give the number of units that each code point takes."""
    limits = (0x80, 0x800, 0x10000) if unit == "byte" else (0x10000,)
    widths = np.ones(len(codes), dtype=np.int64)
    for limit in limits:
        widths += codes >= limit
    return widths
