"""Spans of subword pieces by their lengths, where pieces tile the text that the splitter sees.

In: texts, and an engine that gives their ids fast. Out: ids with spans.

1. A character is plain where the normaliser makes one character of it, whatever stands beside it.
   The pieces of a text of plain characters spell it from its first to its last, so the lengths of
   the pieces, added up, are the spans.
2. A splitter that drops white space drops it between pieces; one that writes it as ▁ puts one more
   before the first word.
3. A row with any other character, with an unknown piece, or whose lengths do not add up to its
   characters is another engine's.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch, offsets_of
from textkit.tokenizers.description import Description, steps_of, unknown_token
from textkit.tokenizers.engines.reference import Engine, ReferenceEngine

# Normalisers that take each character alone where no mark follows it, or make one of several: then
# the lengths do not add up.
_ALONE = {"Lowercase", "NFC", "NFD", "NFKC", "NFKD", "StripAccents", "BertNormalizer"}
_META = "\u2581"
_UNSEEN, _DROPPED, _PLAIN, _OTHER = range(4)


def tiled_before(
    inner: Engine,
    others: Engine,
    description: Description,
    vocabulary: dict[str, int],
    reference: ReferenceEngine,
) -> TiledEngine | None:
    """Give an engine's pieces spans; None where it is not known that they tile the text."""
    model, unknown = description["model"], unknown_token(description)
    splitters = [step["type"] for step in steps_of(description["pre_tokenizer"])]
    normalizers = {step["type"] for step in steps_of(description["normalizer"])}
    if unknown not in vocabulary or not normalizers <= _ALONE:
        return None
    if (model["type"], splitters) == ("WordPiece", ["BertPreTokenizer"]):
        prefix = str(model.get("continuing_subword_prefix") or "")
    elif (model["type"], splitters) == ("Unigram", ["Metaspace"]):
        step = steps_of(description["pre_tokenizer"])[0]
        if step.get("prepend_scheme") == "never" or step.get("replacement") != _META:
            return None
        prefix = ""
    else:
        return None
    lengths = np.zeros(max(vocabulary.values()) + 1, dtype=np.int32)
    for token, i in vocabulary.items():
        lengths[i] = len(token.removeprefix(prefix))
    return TiledEngine(
        inner,
        others,
        reference,
        lengths=lengths,
        unknown_id=vocabulary[unknown],
        keeps_spaces=model["type"] == "Unigram",
    )


class TiledEngine:
    """Ids from `inner`, spans from the lengths of its pieces, and rows that these do not tile from
    `others`.

    lengths: (n_ids,) characters of every piece.
    """

    has_clock = False

    def __init__(
        self,
        inner: Engine,
        others: Engine,
        reference: ReferenceEngine,
        *,
        lengths: NDArray[np.int32],
        unknown_id: int,
        keeps_spaces: bool,
    ) -> None:
        self.name = inner.name
        self._inner, self._others, self._reference = inner, others, reference
        self._lengths, self._unknown_id = lengths, unknown_id
        self._keeps_spaces = keeps_spaces
        # What each code point is; whichever thread finds it unseen writes the same.
        self._kinds = np.zeros(0x110000, dtype=np.uint8)

    def encode(self, texts: Sequence[str], *, spans: bool) -> TokenBatch:
        batch = self._inner.encode(texts, spans=False)
        if not spans:
            return batch
        edges, is_tiled = self._tile(texts, batch)
        batch = replace(batch, spans=edges)
        if is_tiled.all():
            return batch
        rows = np.flatnonzero(~is_tiled)
        redone = self._others.encode([texts[row] for row in rows.tolist()], spans=True)
        order = np.arange(len(batch))
        order[rows] = len(batch) + np.arange(len(rows))
        return TokenBatch.concatenate([batch, redone]).take(order)

    def _tile(
        self, texts: Sequence[str], batch: TokenBatch
    ) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Give spans (n_tokens, 2), and for each row whether they are right."""
        codes = np.frombuffer("".join(texts).encode("utf-32-le"), dtype=np.uint32)
        kinds = self._kinds_of(codes)
        sizes = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        first = offsets_of(sizes)
        lengths = self._lengths[batch.ids]
        ends = offsets_of(lengths)
        row_ends = ends[batch.offsets]
        if self._keeps_spaces:
            place, counted = None, first
            n_before = (sizes > 0) & (codes.take(first[:-1], mode="clip") != 32)
        else:
            place = np.flatnonzero(kinds == _PLAIN)
            counted, n_before = np.searchsorted(place, first), np.zeros(len(texts), dtype=np.bool_)
        is_tiled = np.diff(row_ends) == np.diff(counted) + n_before
        _clear(is_tiled, first, kinds == _OTHER)
        _clear(is_tiled, batch.offsets, batch.ids == self._unknown_id)
        starts = ends[:-1] + np.repeat(counted[:-1] - row_ends[:-1] - n_before, batch.lengths)
        last = starts + lengths
        spans = np.empty((len(lengths), 2), dtype=np.int32)
        if place is None:
            # The ▁ before a text lies on its first character, which an ▁ of its own spans whole.
            leading = batch.offsets[:-1][n_before & is_tiled]
            starts[leading] += 1
            last[leading] = np.maximum(last[leading], starts[leading] + 1)
            spans[:, 0], spans[:, 1] = starts, last
        elif len(place):  # in a row that is not tiled they may lie anywhere
            spans[:, 0] = place.take(starts, mode="clip")
            spans[:, 1] = place.take(last - 1, mode="clip") + 1
        spans -= np.repeat(first[:-1].astype(np.int32), batch.lengths)[:, None]
        return spans, is_tiled

    def _kinds_of(self, codes: NDArray[np.uint32]) -> NDArray[np.uint8]:
        """Say of each code point whether it is plain, dropped, or other."""
        kinds = self._kinds[codes]
        if not kinds.all():
            for code in np.unique(codes[kinds == _UNSEEN]).tolist():
                self._kinds[code] = self._kind_of(chr(code))
            kinds = self._kinds[codes]
        return kinds

    def _kind_of(self, char: str) -> int:
        shown = self._reference.normalize(char)
        if not shown and not self._keeps_spaces and unicodedata.category(char) in ("Cc", "Cf"):
            return _DROPPED
        if any(map(_may_join, char + shown)):
            return _OTHER
        if self._keeps_spaces:
            is_plain = len(shown) == 1 and (shown == char or shown not in (" ", _META))
            return _PLAIN if is_plain and char != _META else _OTHER
        n_marks = sum(not mark.isspace() for mark in shown)
        if n_marks == 1:
            return _PLAIN
        return _DROPPED if shown and char.isspace() and not n_marks else _OTHER


def _may_join(char: str) -> bool:
    """Tell whether a normaliser may take a character away or move it."""
    return char not in "\t\n\r" and unicodedata.category(char)[0] in "CM"


def _clear(rows: NDArray[np.bool_], offsets: NDArray[np.int64], marked: NDArray[np.bool_]) -> None:
    """Unset each row that holds a marked element; offsets: where the elements of the rows begin."""
    rows[np.searchsorted(offsets, np.flatnonzero(marked), side="right") - 1] = False
