"""The native engine: words, graphemes, characters and the user's patterns by Python's `re`, a dict
and numpy.

In: the parsed tokenizer.json of a list of words behind one pattern. Out: an Engine that `certify`
still has to hold to the reference.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Literal

import numpy as np

from textkit.batch import TokenBatch, offsets_of
from textkit.errors import MissingExtraError
from textkit.tokenizers.description import Description, Step, steps_of
from textkit.tokenizers.engines.reference import Encode, Engine, ReferenceEngine, encode_split
from textkit.tokenizers.patterns import Cutter, cutter, is_portable
from textkit.tokenizers.unicode_breaks import CHARACTERS, LEAD, LEADING, SPACE, TILINGS, Tiling

# A bound on the memory of pieces, about 100 MB.
CACHE_PIECES = 500_000


@dataclass(frozen=True)
class _Words:
    """What every engine here needs.

    simple: gives a text as the splitter sees it, of the same length, or None where only the
    reference knows it.
    """

    vocabulary: dict[str, int]
    unknown_id: int
    simple: Callable[[str], str | None]
    reference: ReferenceEngine

    def encode(
        self, texts: Sequence[str], fast: Encode, hard: Encode, *, spans: bool
    ) -> TokenBatch:
        """Encode the texts as the splitter sees them by `fast`, and those that are not known so by
        `hard`.
        """
        seen = [self.simple(text) for text in texts]
        known = [text for text in seen if text is not None]
        if len(known) == len(seen):
            return fast(known, spans=spans)
        rows = [text if plain is None else plain for plain, text in zip(seen, texts, strict=True)]
        return encode_split(rows, [plain is not None for plain in seen], fast, hard, spans=spans)


class PatternEngine:
    """Words and graphemes: findall over a text, a table from piece to id, numpy for the spans."""

    name = "native"
    has_clock = False

    def __init__(self, tiling: Tiling, words: _Words) -> None:
        self._find = tiling.compile()
        self._words = words
        self._table = _PieceTable(words, drop_space=tiling.drop_space)

    def encode(self, texts: Sequence[str], *, spans: bool) -> TokenBatch:
        words = self._words
        return words.encode(texts, self._encode_simple, words.reference.encode, spans=spans)

    def _encode_simple(self, texts: Sequence[str], *, spans: bool) -> TokenBatch:
        if len(self._table) > CACHE_PIECES:
            self._table.clear()
        found = list(map(self._find, texts))
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

    def __init__(self, words: _Words, *, drop_space: bool) -> None:
        self._vocabulary, self._unknown_id = words.vocabulary, words.unknown_id
        self._dropped = re.compile(f"{SPACE}+" if drop_space else "(?!)")
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

    The clock of `cutter` counts a text, the reference's a whole call: a pattern that may be slow is
    first run on what the reference will see.
    """

    name = "native"

    def __init__(self, cutter: Cutter, words: _Words) -> None:
        self.has_clock = not cutter.is_linear
        self._cutter, self._words = cutter, words

    def encode(self, texts: Sequence[str], *, spans: bool) -> TokenBatch:
        return self._words.encode(texts, self._encode_simple, self._encode_hard, spans=spans)

    def _encode_hard(self, texts: Sequence[str], *, spans: bool) -> TokenBatch:
        if self.has_clock:
            for text in texts:
                self._cutter.cut(self._words.reference.normalize(text))
        return self._words.reference.encode(texts, spans=spans)

    def _encode_simple(self, texts: Sequence[str], *, spans: bool) -> TokenBatch:
        parts = [self._cutter.cut(text) for text in texts]
        n_parts = np.fromiter(map(len, parts), dtype=np.int64, count=len(parts))
        offsets = offsets_of(n_parts // 2)
        matches = chain.from_iterable(part[1::2] for part in parts)
        found = map(self._words.vocabulary.get, matches, repeat(self._words.unknown_id))
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
    has_clock = False

    def __init__(self, words: _Words) -> None:
        self._words = words
        self._table = np.full(0x110000, words.unknown_id, dtype=np.int32)
        for character, i in words.vocabulary.items():
            if len(character) == 1:
                self._table[ord(character)] = i

    def encode(self, texts: Sequence[str], *, spans: bool) -> TokenBatch:
        known = [text for text in map(self._words.simple, texts) if text is not None]
        if len(known) < len(texts):
            return self._words.reference.encode(texts, spans=spans)
        sizes = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        codes = np.frombuffer("".join(known).encode("utf-32-le"), dtype=np.uint32)
        offsets = offsets_of(sizes)
        edges = None
        if spans:
            start = np.arange(len(codes)) - np.repeat(offsets[:-1], sizes)
            edges = np.stack([start, start + 1], axis=1).astype(np.int32)
        return TokenBatch(self._table[codes], offsets, edges, np.zeros(len(texts), dtype=np.int32))


def native_engine(description: Description, *, reference: ReferenceEngine) -> Engine | None:
    """Make the engine of a list of words, or None where it has none."""
    splitter, model = description["pre_tokenizer"], description["model"]
    simple = _simple_text(description["normalizer"])
    if model["type"] == "Unigram" or splitter is None or splitter["type"] != "Split":
        return None
    pattern = splitter.get("pattern", {}).get("Regex")
    whole = (splitter.get("behavior"), splitter.get("invert")) in (
        ("Removed", True),
        ("Isolated", False),
    )
    unknown = model.get("unk_token")
    unknown_id = None if unknown is None else model["vocab"].get(unknown)
    if not whole or pattern is None or simple is None or unknown_id is None:
        return None
    if description["post_processor"]:
        return None
    words = _Words(model["vocab"], unknown_id, simple, reference)
    if pattern == CHARACTERS:
        return CharacterEngine(words)
    tiling = TILINGS.get(pattern)
    if tiling is not None:
        return PatternEngine(tiling, words)
    return _match_engine(pattern, words) if splitter.get("invert") else None


def _match_engine(pattern: str, words: _Words) -> Engine | None:
    """Give the engine of a pattern that every engine reads alike, else None: the reference then
    defines its meaning.
    """
    try:
        return MatchEngine(cutter(pattern), words) if is_portable(pattern) else None
    except MissingExtraError:
        return None


_FORMS: tuple[Literal["NFC", "NFD", "NFKC", "NFKD"], ...] = ("NFC", "NFD", "NFKC", "NFKD")


def _simple_text(normalizer: Step | None) -> Callable[[str], str | None] | None:
    """Give the function that maps a text to its normalised form where that is certain and keeps
    every length.
    """
    if normalizer is None:
        return _unchanged
    kinds = [step["type"] for step in steps_of(normalizer)]
    if not set(kinds) <= {"Lowercase", "NFC", "NFD", "NFKC", "NFKD", "StripAccents"}:
        return None
    lowercase = "Lowercase" in kinds
    forms = [form for form in _FORMS if form in kinds]
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
