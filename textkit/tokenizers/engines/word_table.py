"""The table engine: words that another engine has encoded before are looked up, not encoded again.

In: an engine, and a tokenizer.json whose ids of a text are the ids of its words one after the
other; a word here goes up to the next space and has the space before it. Out: an Engine, several
times as fast on text whose words come again, with spans too and in any script that puts spaces
between words. `certify` still has to hold it to the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, compress, repeat
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch, cut_rows, gather_positions, offsets_of
from textkit.threads import SharedLock
from textkit.tokenizers.description import Description
from textkit.tokenizers.engines.reference import Engine, ReferenceEngine, encode_split
from textkit.tokenizers.engines.word_cuts import (
    ENDS_SURELY,
    FIRST,
    is_cut_at_spaces,
    may_end_in_space,
    split_words,
)

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

# A word that follows another is encoded behind this, so that nothing takes it for the start of a
# text.
CONTEXT = "."


def table_before(
    inner: Engine, description: Description, *, reference: ReferenceEngine
) -> WordTableEngine | None:
    """Put a table before an engine; None where the ids of a text are not those of its words."""
    if not is_cut_at_spaces(description):
        return None
    normalize = reference.normalize if may_end_in_space(description) else None
    return WordTableEngine(inner, normalize=normalize)


class WordTableEngine:
    """Cut at spaces, look up, gather.

    normalize: what the splitter sees of a text, where a word may end in a space there.
    """

    name = "table"
    has_clock = False

    def __init__(self, inner: Engine, *, normalize: Callable[[str], str] | None) -> None:
        self._inner = inner
        self._normalize = normalize
        self._ascii_ends_apart = False
        if normalize is not None:  # saves 8 % of the time of text that is new, where it is English
            self._ascii_ends_apart = all(self._ends_apart(f" {chr(c)}") for c in range(33, 127))
        self._table = _Table()
        self._learning = SharedLock()
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
        if not words or not self._learning.take(wait=False):
            return
        try:
            if len(self._table) + len(words) > CAPACITY:
                self._table = _Table()  # another thread may still read the old one
                self._n_seen = self._n_new = 0
            # Another thread may have learnt some since they were looked for: a word that came twice
            # would shift the numbers of all that come after it.
            words = list(compress(words, self._table.find(words) < 0))
            self._n_new += len(words)
            groups: tuple[list[str], ...] = ([], [], [], [])
            for word in words if self._normalize is None else filter(self._ends_apart, words):
                groups[2 * word.startswith(" ") + bool(ENDS_SURELY(word))].append(word)
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

    def _ends_apart(self, word: str) -> bool:
        """Tell whether the sure end of a word is no space when it is normalised.

        Without its accents, a word of accents alone is the space before it. A later step may join
        that space to the next word's, or strip it where the text ends.
        """
        assert self._normalize is not None
        if (self._ascii_ends_apart and word.isascii()) or not ENDS_SURELY(word):
            return True
        shown = self._normalize(CONTEXT + word.removeprefix(FIRST) + CONTEXT)
        return shown[-2:-1] not in " \u2581"

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
