"""The native engine: words, graphemes, characters and the user's patterns by Python's `re`, a dict
and numpy.

In: the parsed tokenizer.json of a list of words behind one pattern. Out: an Engine that `certify`
still has to hold to the reference. `simple(text)` below gives the text that the splitter sees, of
the same length, or None where only the reference knows it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

import numpy as np

from textkit.batch import TokenBatch, offsets_of
from textkit.errors import MissingExtraError
from textkit.tokenizers import unicode_breaks
from textkit.tokenizers.engines import Engine, ReferenceEngine, encode_split
from textkit.tokenizers.patterns import Cutter
from textkit.tokenizers.unicode_tables import WHITE_SPACE

# A bound on the memory of pieces, about 100 MB.
CACHE_PIECES = 500_000


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


# Pattern of a tokenizer.json -> how the native engine finds the same tokens.
TILINGS = {
    unicode_breaks.WORDS_ONLY: Tiling(
        f"(?:{LEADING})?(?:{unicode_breaks.WORDS})",
        f"(?:{LEADING})?(?:{unicode_breaks.ASCII_WORDS})",
        drop_space=True,
    ),
    unicode_breaks.GRAPHEMES: Tiling(unicode_breaks.GRAPHEMES, None, drop_space=False),
    NOT_SPACE: Tiling(f"(?:{LEADING})?{NOT_SPACE}|{unicode_breaks.SPACE}+", None, drop_space=True),
}


class PatternEngine:
    """Words and graphemes: findall over a text, a table from piece to id, numpy for the spans."""

    name = "native"

    def __init__(
        self,
        tiling: Tiling,
        vocabulary: dict[str, int],
        *,
        unknown_id: int,
        simple: Callable[[str], str | None],
        reference: Engine,
    ) -> None:
        self._findall = re.compile(tiling.pattern).findall
        self._findall_ascii = re.compile(tiling.ascii_pattern or tiling.pattern).findall
        self._simple = simple
        self._reference = reference
        self._table = _PieceTable(vocabulary, unknown_id, drop_space=tiling.drop_space)

    def encode(self, texts: Sequence[str], *, spans: bool) -> TokenBatch:
        seen = [self._simple(text) for text in texts]
        if None not in seen:
            return self._encode_simple(seen, spans=spans)  # type: ignore[arg-type]
        plain = [text is not None for text in seen]
        rows = [
            known if known is not None else text for known, text in zip(seen, texts, strict=True)
        ]
        return encode_split(rows, plain, self._encode_simple, self._reference.encode, spans=spans)

    def _encode_simple(self, texts: Sequence[str], *, spans: bool) -> TokenBatch:
        if len(self._table) > CACHE_PIECES:
            self._table.clear()
        found = [
            self._findall_ascii(text) if text.isascii() else self._findall(text) for text in texts
        ]
        counts = np.fromiter(map(len, found), dtype=np.int64, count=len(found))
        pieces = list(chain.from_iterable(found))
        codes = np.fromiter(map(self._table.__getitem__, pieces), dtype=np.int64, count=len(pieces))
        kept = codes >= 0
        offsets = offsets_of(kept.astype(np.int64))[offsets_of(counts)]
        edges = None
        if spans:
            lengths = np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces))
            ends = np.cumsum(lengths)
            sizes = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
            ends -= np.repeat(offsets_of(sizes)[:-1], counts)
            edges = np.empty((int(offsets[-1]), 2), dtype=np.int32)
            edges[:, 0] = (ends - lengths + codes % LEAD)[kept]
            edges[:, 1] = ends[kept]
        ids = (codes[kept] // LEAD).astype(np.int32)
        return TokenBatch(ids, offsets, edges, np.zeros(len(texts), dtype=np.int32))


class _PieceTable(dict[str, int]):
    """Piece -> LEAD * id + number of leading spaces, learnt as pieces come.

    -1 for white space that is no token.
    """

    def __init__(self, vocabulary: dict[str, int], unknown_id: int, *, drop_space: bool) -> None:
        self._vocabulary = vocabulary
        self._unknown_id = unknown_id
        self._dropped = re.compile(f"{unicode_breaks.SPACE}+" if drop_space else "(?!)")
        self._leading = re.compile(LEADING if drop_space else "")

    def __missing__(self, piece: str) -> int:
        if self._dropped.fullmatch(piece):
            code = -1
        else:
            leading = self._leading.match(piece)
            lead = leading.end() if leading else 0
            code = LEAD * self._vocabulary.get(piece[lead:], self._unknown_id) + lead
        self[piece] = code
        return code


class MatchEngine:
    """Cut, look up, sum.

    The reference has no clock: a pattern that may be slow is first run on what the reference will
    see.
    """

    name = "native"

    def __init__(
        self,
        cutter: Cutter,
        vocabulary: dict[str, int],
        *,
        unknown_id: int,
        simple: Callable[[str], str | None],
        reference: ReferenceEngine,
    ) -> None:
        self.has_clock = not cutter.is_linear
        self._cutter, self._simple, self._reference = cutter, simple, reference
        self._vocabulary, self._unknown_id = vocabulary, unknown_id

    def encode(self, texts: Sequence[str], *, spans: bool) -> TokenBatch:
        seen = [self._simple(text) for text in texts]
        if None not in seen:
            return self._encode_simple(seen, spans=spans)  # type: ignore[arg-type]
        plain = [text is not None for text in seen]
        rows = [
            known if known is not None else text for known, text in zip(seen, texts, strict=True)
        ]
        return encode_split(rows, plain, self._encode_simple, self._encode_hard, spans=spans)

    def _encode_hard(self, texts: Sequence[str], *, spans: bool) -> TokenBatch:
        if self.has_clock:
            for text in texts:
                self._cutter.cut(self._reference.normalize(text))
        return self._reference.encode(texts, spans=spans)

    def _encode_simple(self, texts: Sequence[str], *, spans: bool) -> TokenBatch:
        parts = [self._cutter.cut(text) for text in texts]
        n_parts = np.fromiter(map(len, parts), dtype=np.int64, count=len(parts))
        offsets = offsets_of(n_parts // 2)
        matches = chain.from_iterable(part[1::2] for part in parts)
        found = map(self._vocabulary.get, matches, repeat(self._unknown_id))
        ids = np.fromiter(found, dtype=np.int32, count=int(offsets[-1]))
        edges = None
        if spans:
            lengths = np.fromiter(
                map(len, chain.from_iterable(parts)), dtype=np.int64, count=int(n_parts.sum())
            )
            ends = np.cumsum(lengths)
            starts_of_rows = offsets_of(
                np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
            )[:-1]
            ends -= np.repeat(starts_of_rows, n_parts)
            is_match = (
                np.arange(len(lengths)) - np.repeat(offsets_of(n_parts)[:-1], n_parts)
            ) % 2 == 1
            edges = np.stack([(ends - lengths)[is_match], ends[is_match]], axis=1).astype(np.int32)
        return TokenBatch(ids, offsets, edges, np.zeros(len(texts), dtype=np.int32))


class CharacterEngine:
    """Code points: one table look-up for all characters of all texts at once."""

    name = "native"

    def __init__(
        self,
        vocabulary: dict[str, int],
        *,
        unknown_id: int,
        simple: Callable[[str], str | None],
        reference: Engine,
    ) -> None:
        self._simple, self._reference = simple, reference
        self._table = np.full(0x110000, unknown_id, dtype=np.int32)
        for character, i in vocabulary.items():
            if len(character) == 1:
                self._table[ord(character)] = i

    def encode(self, texts: Sequence[str], *, spans: bool) -> TokenBatch:
        seen = [self._simple(text) for text in texts]
        if None in seen:
            return self._reference.encode(texts, spans=spans)
        sizes = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        codes = np.frombuffer("".join(seen).encode("utf-32-le"), dtype=np.uint32)  # type: ignore[arg-type]
        offsets = offsets_of(sizes)
        edges = None
        if spans:
            start = np.arange(len(codes)) - np.repeat(offsets[:-1], sizes)
            edges = np.stack([start, start + 1], axis=1).astype(np.int32)
        return TokenBatch(self._table[codes], offsets, edges, np.zeros(len(texts), dtype=np.int32))


def native_engine(description: dict[str, Any], *, reference: ReferenceEngine) -> Engine | None:
    """Make the engine of a list of words, or None where it has none."""
    splitter = description.get("pre_tokenizer") or {}
    simple = _simple_text(description.get("normalizer"), reference)
    vocabulary = description["model"]["vocab"]
    unknown_id = vocabulary.get(description["model"].get("unk_token"))
    is_split = splitter.get("type") == "Split" and "Regex" in splitter.get("pattern", {})
    whole = (splitter.get("behavior"), splitter.get("invert")) in (
        ("Removed", True),
        ("Isolated", False),
    )
    if (
        not (is_split and whole)
        or simple is None
        or unknown_id is None
        or description.get("post_processor")
    ):
        return None
    pattern = splitter["pattern"]["Regex"]
    options: dict[str, Any] = {"unknown_id": unknown_id, "simple": simple, "reference": reference}
    if pattern == CHARACTERS:
        return CharacterEngine(vocabulary, **options)
    tiling = TILINGS.get(pattern)
    if tiling is not None:
        return PatternEngine(tiling, vocabulary, **options)
    return _match_engine(pattern, vocabulary, options) if splitter["invert"] else None


def _match_engine(
    pattern: str, vocabulary: dict[str, int], options: dict[str, Any]
) -> Engine | None:
    """Give the engine of a pattern that every engine reads alike, else None: the reference then
    defines its meaning.
    """
    from textkit.tokenizers import patterns

    try:
        return (
            MatchEngine(patterns.cutter(pattern), vocabulary, **options)
            if patterns.is_portable(pattern)
            else None
        )
    except MissingExtraError:
        return None


def _simple_text(normalizer: Any, reference: Engine) -> Callable[[str], str | None] | None:
    """Give the function that maps a text to its normalised form where that is certain and keeps
    every length.
    """
    if normalizer is None:
        return _unchanged
    steps = normalizer["normalizers"] if normalizer["type"] == "Sequence" else [normalizer]
    kinds = [step["type"] for step in steps]
    if not set(kinds) <= {"Lowercase", "NFC", "NFD", "NFKC", "NFKD", "StripAccents"}:
        return None
    lowercase = "Lowercase" in kinds
    forms = [kind for kind in kinds if kind.startswith("NF")]
    if "StripAccents" in kinds:
        return lambda text: (text.lower() if lowercase else text) if text.isascii() else None
    if not forms and lowercase:
        return _lower
    return lambda text: (
        (text.lower() if lowercase else text)
        if text.isascii()
        or (not lowercase and all(unicodedata.is_normalized(form, text) for form in forms))
        else None
    )


def _unchanged(text: str) -> str:
    return text


def _lower(text: str) -> str | None:
    """Lower-case as the reference does, character by character.

    None where the length or the outcome may differ.
    """
    if text.isascii():
        return text.lower()
    lowered = text.replace("Σ", "σ").lower()
    return lowered if len(lowered) == len(text) and not _CASE_DIFFERS.search(text) else None


# Scripts whose case pairs came with Unicode 15 or later, or differ between Python's tables and the
# engine's.
_CASE_DIFFERS = re.compile(
    "[\u0130\u1c89-\u1c8a\ua7c0-\ua7ca\ua7cb-\ua7dc\U00010d50-\U00010d85\U00016ea0-\U00016ed3]"
)
