"""splintr: ids at tens of MB/s, and spans where the byte lengths of byte-level pieces give them.

In: the parsed tokenizer.json. Out: an Engine that `certify` still has to hold to the reference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch, offsets_of
from textkit.tokenizers.description import Description, steps_of
from textkit.tokenizers.engines.differences import DIFFERENCES
from textkit.tokenizers.engines.forking import is_alone, native_calls
from textkit.tokenizers.engines.reference import ReferenceEngine, encode_split
from textkit.tokenizers.engines.splintr_layouts import ANY_CASE, LONG_S
from textkit.tokenizers.splitters import META

# Splitters that leave every byte in its place; a ByteLevel comes after them.
_TILING_SPLITTERS = {"Split", "Digits", "Punctuation", "UnicodeScripts"}


class SplintrEngine:
    """splintr's own loader and encoder, on texts that spell no added token."""

    name = "splintr"
    has_clock = False

    def __init__(
        self,
        description: Description,
        *,
        piece_bytes: NDArray[np.int64] | None,
        reference: ReferenceEngine,
    ) -> None:
        import splintr

        plain = {
            **description,
            "added_tokens": [],
            "post_processor": None,
            "truncation": None,
            "padding": None,
        }
        if description["model"].get("ignore_merges"):  # what it decides is looked for elsewhere
            plain["model"] = {**description["model"], "ignore_merges": False}
        self._backend = splintr.from_json_bytes(json.dumps(plain).encode())
        self._piece_bytes = piece_bytes
        self._reference = reference
        splitters = [step["type"] for step in steps_of(description["pre_tokenizer"])]
        reads_tables = (
            description["normalizer"] is not None
            or description["model"]["type"] == "WordPiece"
            or "Punctuation" in splitters
        )
        members = DIFFERENCES if reads_tables else ""
        if ANY_CASE in json.dumps(description["pre_tokenizer"]):
            members += LONG_S
        if splitters == ["WhitespaceSplit", "Metaspace"]:
            members += META  # splintr does not tell it from a space
        self._differs = _finder(members) if members else _never

    def encode(self, texts: Sequence[str], *, spans: bool) -> TokenBatch:
        # splintr's Unicode tables are not the reference's: rows with such characters are the
        # reference's, and so are empty ones, before which splintr puts what stands before a text.
        differs = self._differs
        if not all(texts) or differs(_beyond_ascii(texts)):
            plain = [bool(text) and (text.isascii() or not differs(text)) for text in texts]
            return encode_split(
                texts, plain, self.encode_plain, self._reference.encode, spans=spans
            )
        return self.encode_plain(texts, spans=spans)

    def encode_plain(self, texts: Sequence[str], *, spans: bool) -> TokenBatch:
        """Encode texts without a character on which the engines differ."""
        ids, offsets = self._reference.clock.run(lambda: self._encode_flat(texts), texts)
        truncated = np.zeros(len(texts), dtype=np.int32)
        if not spans or self._piece_bytes is None:
            return TokenBatch(ids, offsets, None, truncated)
        n_bytes = self._piece_bytes[ids]
        return TokenBatch(ids, offsets, byte_spans(texts, n_bytes, offsets), truncated)

    def _encode_flat(self, texts: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        with native_calls:
            if is_alone():
                rows = list(map(self._backend.encode_flat, texts))
                n_bytes = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
                return np.frombuffer(b"".join(rows), dtype=np.int32), offsets_of(n_bytes // 4)
            ids, cuts = self._backend.encode_batch_flat(list(texts))
        return np.frombuffer(ids, dtype=np.int32), np.frombuffer(cuts, dtype=np.int64)


def _never(text: str) -> object:
    return None


_ASCII = bytes(range(128))


def _beyond_ascii(texts: Sequence[str]) -> str:
    """Join texts without their ASCII characters, ten times as fast as a pattern passes over
    them.
    """
    if "".join(texts).isascii():
        return ""
    together = "".join([text for text in texts if not text.isascii()])
    return together.encode("utf-8").translate(None, _ASCII).decode("utf-8")


def _finder(members: str) -> Callable[[str], object]:
    """Give the search for any of a class's members.

    One with a range above U+FFFF is 50 times slower, so it runs last.

    >>> find = _finder("\u0300-\u036f\U0001e000")
    >>> [bool(find(text)) for text in ("naïve", "e\u0301", "🙂", "🙂\U0001e000")]
    [False, True, False, True]
    """
    low = "".join(
        part for part in re.findall(".(?:-.)?", members, re.DOTALL) if part[-1] <= "\uffff"
    )
    narrow, beyond = re.compile(f"[{low}]").search, re.compile(r"[^\0-\uffff]").search
    if max(members) <= "\uffff":
        return narrow
    wide = re.compile(f"[{members}]").search
    return lambda text: narrow(text) or (beyond(text) and wide(text))


def byte_spans(
    texts: Sequence[str], n_bytes: NDArray[np.int64], offsets: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Give the character spans of pieces that tile their texts.

    n_bytes: (n_tokens,) byte length of every piece. A piece that holds part of a character spans
    the whole character, as in the reference. Returns (n_tokens, 2) int32.

    >>> byte_spans(["é!"], np.array([1, 1, 1]), np.array([0, 3])).tolist()
    [[0, 1], [0, 1], [1, 2]]
    """
    together = "".join(texts)
    ends = np.cumsum(n_bytes)
    spans = np.empty((len(n_bytes), 2), dtype=np.int32)
    if together.isascii():
        spans[:, 0], spans[:, 1] = ends - n_bytes, ends
    else:
        data = np.frombuffer(together.encode("utf-8"), dtype=np.int8)
        # 1 + index of the character that a byte belongs to: as a signed number every further byte
        # of a character is below -64.
        character = np.cumsum(data >= -64, dtype=np.int32)
        spans[:, 0], spans[:, 1] = character[ends - n_bytes] - 1, character[ends - 1]
    sizes = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    first = offsets_of(sizes)[:-1].astype(np.int32)
    spans -= np.repeat(first, np.diff(offsets))[:, None]
    return spans


def piece_bytes(description: Description, vocabulary: dict[str, int]) -> NDArray[np.int64] | None:
    """Give the byte length of every id where byte-level pieces tile the text, else None."""
    *before, level = steps_of(description["pre_tokenizer"]) or [{"type": "none"}]
    post = description["post_processor"]
    trims = post is not None and post["type"] == "ByteLevel" and post.get("trim_offsets", True)
    if level["type"] != "ByteLevel" or level.get("add_prefix_space") or trims:
        return None
    if description["normalizer"] or description["model"]["type"] != "BPE":
        return None
    if any(
        part["type"] not in _TILING_SPLITTERS or part.get("behavior") == "Removed"
        for part in before
    ):
        return None
    lengths = np.zeros(max(vocabulary.values(), default=-1) + 1, dtype=np.int64)
    ids = np.fromiter(vocabulary.values(), dtype=np.int64, count=len(vocabulary))
    lengths[ids] = np.fromiter(map(len, vocabulary), dtype=np.int64, count=len(vocabulary))
    return lengths
