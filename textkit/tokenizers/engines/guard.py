"""What stands between a fast engine and its user: the rows it is not sure of go to the reference,
and it is compared with the reference before it is used.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from textkit.batch import TokenBatch
from textkit.errors import ArtifactError
from textkit.tokenizers.engines.reference import (
    Engine,
    ReferenceEngine,
    encode_split,
    native_errors,
)
from textkit.tokenizers.engines.text_search import TextSearch

# What engines are known to differ on: spaces, line ends, marks, joiners, scripts without spaces,
# case, digits, controls, spelt-out special tokens, long runs.
HARD_STRINGS = [
    "",
    " ",
    "  a  b ",
    "\t\n\r\n\x0b\x0c\x85\u2028\u2029",
    "\x00\x01\x7f\xad\u200b\u200d\u2060\ufeff",
    "Don't, DON'T; it's 3.14 1,000,000 a.b.c e-mail_address@x.org",
    "Ünïcödé e\u0301 ﬁﬂ ǅ İi ıI ß ẞ Σσς ΑΣ",
    "हिन्दी ไทยภาษา العربية עברית א\"ב א' 中文字 日本語カタカナ한국어 ᄀᄁ각",
    "👨‍👩‍👧‍👦🏳️‍🌈🇩🇪🇫🇷🇺 👍🏽 ❤️ a\u200d🙂b",
    "[PAD][UNK][CLS] [SEP] [MASK] <s></s><unk><pad> <|endoftext|> ##ing ▁Ġ",
    "\u0300\u0301 x\u0308\u0308 \u202fy\u202f \u00a0z",
    "①② ½ Ⅳ ７ ٣ ㎏ ℡ ™ … “quotes” – — ¿¡",
    "a" * 300,
    "!!!??? ... --- ((())) \"'`´ \\ / | ~",
    "𝐀𝒃𝔠 𐐀𐐨 𠀀 \U0010ffff \ufffd",
    "x\ue000y \uf8ff \ue001\ue002 \U000f0000a \u0378",  # in nobody's vocabulary
    "CamelCase snake_case kebab-case 100km x1y2z3 C++ .NET #tag @user http://a.b/c?d=e&f=g",
]
SAMPLE_ROWS = 64
SAMPLE_CHARACTERS = 2000
# An engine that fails says so this often.
_NOTES = 10


class GuardedEngine:
    """A fast engine for the rows it is sure of.

    The reference for the others, and for all rows when it fails.

    The reference looks for added tokens before anything else, which no fast engine does: a row that
    may hold one is the reference's. `raw`: texts to look for in the row as it is. `normalized`:
    those to look for in the normalised row.
    """

    def __init__(
        self,
        fast: Engine,
        reference: ReferenceEngine,
        *,
        raw: Sequence[str],
        normalized: Sequence[str],
    ) -> None:
        self.name = fast.name
        self.has_clock = fast.has_clock
        self.notes: list[str] = []
        self._fast, self._reference = fast, reference
        self._raw = TextSearch(raw)
        self._normalized = TextSearch(normalized) if normalized else None

    def encode(self, texts: Sequence[str], *, spans: bool) -> TokenBatch:
        plain = self._plain_rows(texts)
        if plain is None:
            return self._encode_plain(texts, spans=spans)
        return encode_split(texts, plain, self._encode_plain, self._reference.encode, spans=spans)

    def _plain_rows(self, texts: Sequence[str]) -> list[bool] | None:
        """Tell for each row whether it holds none of the texts; None when no row does."""
        raw, normalized = self._raw, self._normalized
        if normalized is not None:
            return [
                not (raw.found_in(text) or normalized.found_in(self._reference.normalize(text)))
                for text in texts
            ]
        # Most texts hold no character that one of them begins with.
        if not raw.may_be_in("".join(texts)):
            return None
        plain = [not raw.found_in(text) for text in texts]
        return None if all(plain) else plain

    def _encode_plain(self, texts: Sequence[str], *, spans: bool) -> TokenBatch:
        try:
            with native_errors(f"{self.name} failed"):
                return self._fast.encode(texts, spans=spans)
        except ArtifactError as err:
            if len(self.notes) < _NOTES:
                self.notes.append(f"{err.message}; the reference encoded {len(texts):,} texts")
            return self._reference.encode(texts, spans=spans)


def certify(
    engine: GuardedEngine, reference: Engine, texts: Sequence[str], *, spans: bool
) -> str | None:
    """Compare an engine with the reference on hard strings and a sample of texts.

    None, or what differs.
    """
    # A pattern with a clock could spend all its time on a hard string that the user's texts have
    # nothing of.
    sample = [
        *([] if engine.has_clock else HARD_STRINGS),
        *(text[:SAMPLE_CHARACTERS] for text in texts[:SAMPLE_ROWS]),
    ]
    found, expected = engine.encode(sample, spans=spans), reference.encode(sample, spans=spans)
    if engine.notes:
        return engine.notes[0]
    for row, text in enumerate(sample):
        same = np.array_equal(found[row], expected[row])
        if not same or (
            spans and not np.array_equal(found.row_spans(row), expected.row_spans(row))
        ):
            return f"{engine.name} differs from the reference on {text[:40]!r}"
    return None
