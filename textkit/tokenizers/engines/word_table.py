"""The table engine: words that another engine has encoded before are looked up, not encoded again.

In: an engine, and a tokenizer.json whose ids of a text are the ids of its words one after the
other; a word here goes up to the next space and has the space before it. Out: an Engine, several
times as fast on text whose words come again, with spans too and in any script that puts spaces
between words. `certify` still has to hold it to the reference.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from functools import partial
from itertools import chain, repeat
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch, cut_rows, gather_positions, offsets_of
from textkit.tokenizers import patterns
from textkit.tokenizers.description import Description, Step, steps_of
from textkit.tokenizers.engines.reference import Engine, encode_split
from textkit.tokenizers.splitters import SPLITS
from textkit.tokenizers.unicode_breaks import NOT_SPACE, WORDS_ONLY
from textkit.tokenizers.unicode_tables import GRAPHEME

Number = TypeVar("Number", bound=np.generic)
# A bound on the table's memory: about 150 MB.
CAPACITY = 500_000
# A longer word will hardly come again; its row is for the other engine.
LONGEST = 64
# Strings of so much text stay in the processor's cache from the cut to the look-up.
CHUNK_CHARACTERS = 1 << 16
# The reference's results for so many words take a few MB.
WORDS_A_CALL = 20_000
# From this many new words on, a table whose words are new more often than one time in four is of no
# use.
TRIAL = 100_000

# A word ends before a space, unless the character before that space is one of these: white space,
# controls and format characters, and what sentencepiece's tables make a space of.
_UNSURE = (
    r"\s\x00-\x1f\x7f-\x9f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u08e2\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\u2581\ufeff\ufff0-\uffff"
)


def _words_pattern(unsure: str) -> str:
    inner = f"(?! )[{unsure}][{unsure}]*+"
    return f"[{unsure}]*+[^{unsure}]++(?:{inner}[^{unsure}]++)*+(?:{inner})?|[{unsure}]++"


_WORDS = re.compile(_words_pattern(_UNSURE)).findall
_WORDS_ASCII = re.compile(_words_pattern(r"\x00- \x7f")).findall
_SURE_END = re.compile(rf"[^{_UNSURE}]\Z").search
# A table of sentencepiece may take marks with the white space before them, which then stands before
# the next space. The reference knows marks of later years than our tables: whatever is no letter,
# digit or common sign may be one.
_NO_MARKS = r"\w!-~\u00a1-\u02ff\u2010-\u20cf\u2100-\u2bff\u3000-\u303f\uff01-\uffee"
_MARKED_SPACE = re.compile(
    rf"(?! )[{_UNSURE}](?:[{GRAPHEME['Extend']}{GRAPHEME['SpacingMark']}]|[^{_NO_MARKS}{_UNSURE}])"
).search
_BEYOND = re.compile(r"[^\0-\uffff]").search

_SPLITTERS_AT_SPACES = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit", "Metaspace"}
_PATTERNS_AT_SPACES = {*SPLITS.values(), WORDS_ONLY, NOT_SPACE}
_LOCAL_NORMALIZERS = {
    "Lowercase",
    "NFC",
    "NFD",
    "NFKC",
    "NFKD",
    "StripAccents",
    "BertNormalizer",
    "Precompiled",
}
_LOCAL_NORMALIZERS |= {"Strip", "Prepend"}  # at the ends of a text, for which CONTEXT makes up
_SPACE_PATTERNS = {" {2,}", r"\s+", r"\A +| +\z"}
# A word that follows another is encoded behind this, so that nothing takes it for the start of a
# text.
CONTEXT = "."
# Marks a first word that starts with a space, to tell it from one that follows; texts here hold no
# lone surrogates.
FIRST = "\udfff"


class WordTableEngine:
    """Cut at spaces, look up, gather."""

    name = "table"
    has_clock = False

    def __init__(self, inner: Engine) -> None:
        self._inner = inner
        self._table = _Table()
        self._learning = threading.Lock()
        self._n_seen = self._n_new = 0

    def encode(self, texts: Sequence[str], *, spans: bool) -> TokenBatch:
        if len("".join(texts)) < CHUNK_CHARACTERS:
            return self._encode(texts, spans=spans)
        chunks = cut_rows(texts, n_characters=CHUNK_CHARACTERS)
        return TokenBatch.concatenate([self._encode(part, spans=spans) for part in chunks])

    def _encode(self, texts: Sequence[str], *, spans: bool) -> TokenBatch:
        if self._n_new > TRIAL and 4 * self._n_new > self._n_seen:
            return self._inner.encode(texts, spans=spans)
        rows = [split_words(text) for text in texts]
        known_rows = [row for row in rows if row is not None]
        if len(known_rows) < len(rows):
            plain = [row is not None for row in rows]
            return encode_split(texts, plain, self._encode, self._inner.encode, spans=spans)
        words = list(chain.from_iterable(known_rows))
        firsts = offsets_of(np.fromiter(map(len, known_rows), dtype=np.int64, count=len(rows)))
        table = self._table
        codes = table.find(words)
        unknown = np.flatnonzero(codes < 0).tolist()
        if unknown:
            new = [words[i] for i in unknown]
            short = [word for word in dict.fromkeys(new) if len(word) <= LONGEST]
            if len(short) > CAPACITY // 2:
                return self._inner.encode(texts, spans=spans)
            self._learn(short)
            if table is not self._table:  # it was full, and is another one now
                return self._encode(texts, spans=spans)
            codes[unknown] = table.find(new)
            known = np.diff(offsets_of((codes < 0).astype(np.int64))[firsts]) == 0
            if not known.all():
                return encode_split(
                    texts, known.tolist(), self._encode, self._inner.encode, spans=spans
                )
        self._n_seen += len(words)
        return table.gather(codes, firsts, spans=spans)

    def _learn(self, words: list[str]) -> None:
        """Encode new words and keep them; a thread that finds another one learning goes without."""
        if not words or not self._learning.acquire(blocking=False):
            return
        try:
            if len(self._table) + len(words) > CAPACITY:
                self._table = _Table()  # another thread may still read the old one
                self._n_seen = self._n_new = 0
            self._n_new += len(words)
            groups: tuple[list[str], ...] = ([], [], [], [])
            for word in words:
                groups[2 * word.startswith(" ") + bool(_SURE_END(word))].append(word)
            texts, first, last, following = groups
            for group, encode in (
                (texts, partial(self._encode_apart, before="", after="")),
                (first, partial(self._encode_apart, before="", after=" " + CONTEXT)),
                (last, partial(self._encode_apart, before=CONTEXT, after="")),
                (following, self._encode_following),
            ):
                for start in range(0, len(group), WORDS_A_CALL):
                    self._table.add(*encode(group[start : start + WORDS_A_CALL]))
        finally:
            self._learning.release()

    def _encode_following(self, words: list[str]) -> tuple[list[str], TokenBatch]:
        """Encode words that stand between others as one text, which costs the engine a third of
        what words cost.
        """
        batch = self._inner.encode([CONTEXT, CONTEXT + "".join(words)], spans=True)
        assert batch.spans is not None
        starts = len(CONTEXT) + offsets_of(
            np.fromiter(map(len, words), dtype=np.int64, count=len(words))
        )
        spans = batch.spans[2 * int(batch.lengths[0]) :]
        owner = np.searchsorted(starts, spans[:, 0], side="right") - 1
        offsets = offsets_of(np.bincount(owner, minlength=len(words)))
        edges = spans - starts[owner, None].astype(np.int32)
        n_cut = np.zeros(len(words), dtype=np.int32)
        return words, TokenBatch(batch.ids[2 * int(batch.lengths[0]) :], offsets, edges, n_cut)

    def _encode_apart(
        self, words: list[str], *, before: str, after: str
    ) -> tuple[list[str], TokenBatch]:
        """Encode words each in a text of its own.

        Leave out those that move the spans of what comes after them.

        Where the reference's table of characters removes what a text begins with, every span is so
        much too low.
        """
        texts = [before + word.removeprefix(FIRST) + after for word in words]
        batch = self._inner.encode([CONTEXT, CONTEXT + after, *texts], spans=True)
        assert batch.spans is not None
        n_before = int(batch.lengths[0]) if before else 0
        n_after = int(batch.lengths[1] - batch.lengths[0])
        n_characters = np.array([len(CONTEXT), len(CONTEXT + after), *map(len, texts)])
        from_end = batch.spans - np.repeat(n_characters, batch.lengths)[:, None]
        tails = from_end[batch.offsets[2:, None] - np.arange(n_after, 0, -1)]
        still = (tails[1:] == tails[0]).all(axis=(1, 2)) & (batch.lengths[2:] >= n_before + n_after)
        kept = np.flatnonzero(still)
        rows = batch.take(kept + 2)
        assert rows.spans is not None
        place = np.arange(len(rows.ids)) - np.repeat(rows.offsets[:-1], rows.lengths)
        inside = (place >= n_before) & (place < np.repeat(rows.lengths - n_after, rows.lengths))
        offsets = offsets_of(rows.lengths - n_before - n_after)
        edges = rows.spans[inside] - np.int32(len(before))
        n_cut = np.zeros(len(kept), dtype=np.int32)
        return [words[i] for i in kept.tolist()], TokenBatch(
            rows.ids[inside], offsets, edges, n_cut
        )


class _Table:
    """Words and their tokens, as columns that only grow: what has been read stays where it is."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._sizes = np.zeros(1024, dtype=np.int64)  # characters of each word
        self._starts = np.zeros(1025, dtype=np.int64)  # where its tokens start
        self._ids = np.zeros(1024, dtype=np.int32)
        self._spans = np.zeros((1024, 2), dtype=np.int32)

    def __len__(self) -> int:
        return len(self._codes)

    def find(self, words: Sequence[str]) -> NDArray[np.int64]:
        """Give the number of every word, -1 for those that are not here."""
        return np.fromiter(
            map(self._codes.get, words, repeat(-1)), dtype=np.int64, count=len(words)
        )

    def add(self, words: Sequence[str], batch: TokenBatch) -> None:
        """Append words that are not here, with their tokens; only then can they be found."""
        assert batch.spans is not None
        first, token = len(self._codes), int(self._starts[len(self._codes)])
        last, end = first + len(words), token + len(batch.ids)
        self._sizes = _grown(self._sizes, last)
        self._starts = _grown(self._starts, last + 1)
        self._ids, self._spans = _grown(self._ids, end), _grown(self._spans, end)
        self._sizes[first:last] = [len(word) - word.startswith(FIRST) for word in words]
        self._starts[first + 1 : last + 1] = token + batch.offsets[1:]
        self._ids[token:end] = batch.ids
        self._spans[token:end] = batch.spans
        self._codes.update(zip(words, range(first, last), strict=True))

    def gather(
        self, codes: NDArray[np.int64], rows: NDArray[np.int64], *, spans: bool
    ) -> TokenBatch:
        """Put the tokens of words one after the other.

        rows: (n_rows + 1,) first word of every row.
        """
        positions, tokens = gather_positions(self._starts, codes)
        edges = None
        if spans:
            characters = offsets_of(self._sizes[codes])
            starts = characters[:-1] - np.repeat(characters[rows[:-1]], np.diff(rows))
            edges = (
                self._spans.take(positions, axis=0)
                + np.repeat(starts.astype(np.int32), np.diff(tokens))[:, None]
            )
        return TokenBatch(
            self._ids[positions], tokens[rows], edges, np.zeros(len(rows) - 1, dtype=np.int32)
        )


def _grown(column: NDArray[Number], size: int) -> NDArray[Number]:
    """Give the column itself where it has room, else a copy of twice the size."""
    if size <= len(column):
        return column
    wider = np.zeros((max(size, 2 * len(column)), *column.shape[1:]), dtype=column.dtype)
    wider[: len(column)] = column
    return wider


def split_words(text: str) -> list[str] | None:
    """Cut a text before the spaces where every splitter cuts; None where that is not sure.

    Every word but the first starts with a space; the first does not: it is marked with FIRST where
    the text does.

    >>> split_words("To be,  or not")
    ['To', ' be,', '  or', ' not']
    >>> split_words("To be,\\n or not")
    ['To', ' be,\\n or', ' not']
    """
    if text.startswith(" "):
        words = split_words(text[1:].lstrip(" "))
        if words is not None:
            spaces = " " * (len(text) - sum(map(len, words)))
            words[:1] = [FIRST + spaces + "".join(words[:1])]
        return words
    if text.isprintable() and "  " not in text and "\u2581" not in text and "\ufffd" not in text:
        # No character but the space is white or unsure here.
        return text.replace(" ", "\n ").split("\n")
    if text.isascii():
        return _WORDS_ASCII(text)
    return None if _BEYOND(text) or _MARKED_SPACE(text) else _WORDS(text)


def is_cut_at_spaces(description: Description) -> bool:
    """Tell whether the ids of a text are those of its words, by what stands in the tokenizer.json.

    >>> splitter = {"type": "WhitespaceSplit"}
    >>> is_cut_at_spaces({"normalizer": None, "pre_tokenizer": splitter, "model": {}})
    True
    """
    if description["model"].get("dropout"):
        return False
    normalizers = steps_of(description["normalizer"])
    if not all(step["type"] in _LOCAL_NORMALIZERS or _joins_spaces(step) for step in normalizers):
        return False
    splitters = steps_of(description["pre_tokenizer"])
    return bool(splitters) and _splits_at_spaces(splitters[0])


def _joins_spaces(step: Step) -> bool:
    """Tell whether a normaliser replaces nothing but white space, which stands in one word."""
    pattern = step.get("pattern", {})
    return step["type"] == "Replace" and (
        pattern.get("Regex") in _SPACE_PATTERNS or not pattern.get("String", "x").strip(" ")
    )


def _splits_at_spaces(step: Step) -> bool:
    if step["type"] == "ByteLevel":
        return bool(step.get("use_regex", True))
    if step["type"] == "Metaspace":
        return bool(step.get("split", True))
    if step["type"] == "Split":
        behavior, pattern = step.get("behavior"), step.get("pattern", {}).get("Regex")
        tiles = (behavior, step.get("invert")) == ("Isolated", False)
        if (behavior, step.get("invert")) != ("Removed", True) and not tiles:
            return False
        return pattern in _PATTERNS_AT_SPACES or (not tiles and _is_within_words(pattern))
    return step["type"] in _SPLITTERS_AT_SPACES


def _is_within_words(pattern: str | None) -> bool:
    return (
        pattern is not None and patterns.is_portable(pattern) and not patterns.reads_spaces(pattern)
    )
