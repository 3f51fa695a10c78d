"""TokenBatch: the ragged columns that every tokenizer gives and every later stage takes.

In: rows of ids. Out: one flat `ids` column with row `offsets`, the layout of an Arrow ListArray,
plus optional `spans` and the number of tokens `truncated` from each row; and `pad()`, a rectangular
copy with its mask. numpy only. Longer than a file should be: what a batch is, is said in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from textkit.errors import DataError, UsageError, require
from textkit.origins import Origins, join_origins

if TYPE_CHECKING:
    import pyarrow
    import torch

IntArray = NDArray[np.integer]
Side = Literal["right", "left"]
Item = TypeVar("Item")
# Inside TokenBatch `slice` is a method.
slice_ = slice


@dataclass(frozen=True)
class Padded:
    """A rectangle: `ids` (rows, width) int64, `mask` (rows, width) bool, True = real, `lengths`
    (rows,) int64.
    """

    ids: NDArray[np.int64]
    mask: NDArray[np.bool_]
    lengths: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """Ragged rows of token ids.

    ids: (n_tokens,) int32. offsets: (n_rows + 1,) int64, from 0, non-decreasing; row i is
    ids[offsets[i]:offsets[i+1]]. spans: (n_tokens, 2) int32 (start, end) in the caller's own text,
    end-exclusive, or None. truncated: (n_rows,) int32, tokens cut from each row. sources: (n_rows,)
    int64, the input row of each row where rows were cut into windows, else None: they are the same.
    n_replaced: lone surrogates that became U+FFFD. pad_id: the padding token of the tokenizer that
    made the batch; None where it has none, or where joined batches have different ones. origins:
    words, sequences and type ids of the tokens, where they were asked for; `word_ids`,
    `sequence_ids`, `char_to_token` and `token_to_chars` answer from them and from the spans.

    >>> batch = TokenBatch.from_rows([[4, 5, 6], [], [7]])
    >>> len(batch), batch.offsets.tolist(), batch[2].tolist()
    (3, [0, 3, 3, 4], [7])
    >>> batch.pad(pad_id=0).ids.tolist()
    [[4, 5, 6], [0, 0, 0], [7, 0, 0]]
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    spans: NDArray[np.int32] | None
    truncated: NDArray[np.int32]
    sources: NDArray[np.int64] | None = None
    n_replaced: int = 0
    pad_id: int | None = None
    origins: Origins | None = None

    @classmethod
    def from_rows(
        cls, rows: Sequence[Sequence[int]], spans: Sequence[Sequence[Any]] | None = None
    ) -> TokenBatch:
        """Build a batch from lists: ids per row and, if given, (start, end) pairs per row."""
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        offsets = offsets_of(lengths)
        ids = np.fromiter((i for row in rows for i in row), dtype=np.int32, count=int(offsets[-1]))
        flat = None
        if spans is not None:
            values = (edge for row in spans for span in row for edge in span)
            flat = np.fromiter(values, dtype=np.int32, count=2 * len(ids)).reshape(-1, 2)
        return cls(ids, offsets, flat, np.zeros(len(rows), dtype=np.int32))

    def __post_init__(self) -> None:
        rows = len(self.offsets) - 1
        if rows < 0 or self.offsets[0] != 0 or self.offsets[-1] != len(self.ids):
            raise UsageError("offsets must start at 0 and end at the number of ids")
        if rows and bool((self.offsets[1:] < self.offsets[:-1]).any()):
            raise UsageError("offsets must not decrease")
        if len(self.truncated) != rows:
            raise UsageError(f"truncated has {len(self.truncated)} entries for {rows} rows")
        if self.spans is not None and self.spans.shape != (len(self.ids), 2):
            raise UsageError(f"spans have shape {self.spans.shape}, expected ({len(self.ids)}, 2)")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of tokens in each row: (n_rows,) int64."""
        return (
            self.offsets[1:] - self.offsets[:-1]
        )  # np.diff takes three times as long for a small batch

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        """Give the ids of one row, as a view."""
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of a batch of {len(self)} rows")
        row %= len(self)
        return self.ids[self.offsets[row] : self.offsets[row + 1]]

    def __iter__(self) -> Iterator[NDArray[np.int32]]:
        return (self[row] for row in range(len(self)))

    def row_spans(self, row: int) -> NDArray[np.int32]:
        """Give the spans of one row, (n, 2), as a view.

        An error when the batch was made without spans.
        """
        if self.spans is None:
            raise UsageError("this batch has no spans; encode with spans=True")
        return self.spans[self.offsets[row] : self.offsets[row + 1]]

    def slice(self, start: int, stop: int) -> TokenBatch:
        """Give rows start..stop-1 without copying the ids."""
        start, stop, _ = slice(start, stop).indices(len(self))
        stop = max(start, stop)
        first, last = self.offsets[start], self.offsets[stop]
        spans = None if self.spans is None else self.spans[first:last]
        offsets = self.offsets[start : stop + 1] - first
        sources = None if self.sources is None else self.sources[start:stop]
        truncated = self.truncated[start:stop]
        origins = None if self.origins is None else self.origins.at(slice(first, last))
        return TokenBatch(
            self.ids[first:last], offsets, spans, truncated, sources, 0, self.pad_id, origins
        )

    def take(self, rows: Sequence[int] | IntArray) -> TokenBatch:
        """Give the rows at these indices, in this order; an index may repeat."""
        index = np.asarray(rows, dtype=np.int64)
        positions, offsets = gather_positions(self.offsets, index)
        spans = None if self.spans is None else self.spans[positions]
        sources = None if self.sources is None else self.sources[index]
        truncated = self.truncated[index]
        origins = None if self.origins is None else self.origins.at(positions)
        return TokenBatch(
            self.ids[positions], offsets, spans, truncated, sources, 0, self.pad_id, origins
        )

    @staticmethod
    def concatenate(batches: Sequence[TokenBatch]) -> TokenBatch:
        """Put batches one after the other.

        Spans and origins are kept when every batch has them, sources are not; pad_id is kept when
        no two batches have different ones.
        """
        if not batches:
            return TokenBatch.from_rows([])
        lengths = np.concatenate([batch.lengths for batch in batches])
        spans = [batch.spans for batch in batches if batch.spans is not None]
        pad_ids = {batch.pad_id for batch in batches if batch.pad_id is not None}
        return TokenBatch(
            np.concatenate([batch.ids for batch in batches]),
            offsets_of(lengths),
            np.concatenate(spans) if len(spans) == len(batches) else None,
            np.concatenate([batch.truncated for batch in batches]),
            n_replaced=sum(batch.n_replaced for batch in batches),
            pad_id=pad_ids.pop() if len(pad_ids) == 1 else None,
            origins=join_origins([batch.origins for batch in batches]),
        )

    def truncate(self, max_length: int) -> TokenBatch:
        """Keep the first `max_length` tokens of each row and count what was cut."""
        lengths = self.lengths
        kept = np.minimum(lengths, max_length)
        if int(kept.sum()) == len(self.ids):
            return self
        position = np.arange(len(self.ids), dtype=np.int64) - np.repeat(self.offsets[:-1], lengths)
        keep = position < max_length
        return TokenBatch(
            self.ids[keep],
            offsets_of(kept),
            None if self.spans is None else self.spans[keep],
            self.truncated + (lengths - kept).astype(np.int32),
            self.sources,
            self.n_replaced,
            self.pad_id,
            None if self.origins is None else self.origins.at(keep),
        )

    def windows(
        self, max_length: int | NDArray[np.int64], *, stride: int | NDArray[np.int64]
    ) -> TokenBatch:
        """Cut each row into windows of at most `max_length` tokens, each starting `stride` tokens
        after the one before; either may be one number a row, (n_rows,).

        An empty row stays one empty window. `sources` of the result says which row each window is
        from.

        >>> batch = TokenBatch.from_rows([[1, 2, 3, 4, 5], [6]]).windows(3, stride=2)
        >>> [row.tolist() for row in batch], batch.sources.tolist()
        ([[1, 2, 3], [3, 4, 5], [6]], [0, 0, 1])
        """
        lengths = self.lengths
        steps, widths = np.broadcast_arrays(stride, max_length)
        wrong = (steps < 1) | (steps > widths)
        if wrong.any():
            step, width = int(steps[wrong][0]), int(widths[wrong][0])
            raise UsageError(f"stride is {step}, expected 1 to max_length = {width}")
        widths, steps = (np.broadcast_to(given, lengths.shape) for given in (widths, steps))
        counts = 1 + np.maximum(0, -(-(lengths - widths) // steps))
        sources = np.repeat(np.arange(len(self)), counts)
        number = np.arange(len(sources)) - np.repeat(offsets_of(counts)[:-1], counts)
        begins = number * steps[sources]
        sizes = np.minimum(widths[sources], lengths[sources] - begins)
        return self.cut(sources, begins, sizes)

    def cut(
        self, sources: NDArray[np.int64], begins: NDArray[np.int64], sizes: NDArray[np.int64]
    ) -> TokenBatch:
        """Give runs of tokens as rows: `sizes[i]` tokens from the `begins[i]`-th of the row
        `sources[i]`; each is (n_runs,), and the result keeps the sources.

        >>> batch = TokenBatch.from_rows([[1, 2, 3], [4]])
        >>> runs = batch.cut(np.array([0, 0]), np.array([0, 1]), np.array([1, 2]))
        >>> [row.tolist() for row in runs]
        [[1], [2, 3]]
        """
        offsets = offsets_of(sizes)
        starts = self.offsets[:-1][sources] + begins
        positions = np.arange(int(offsets[-1])) + np.repeat(starts - offsets[:-1], sizes)
        return TokenBatch(
            self.ids[positions],
            offsets,
            None if self.spans is None else self.spans[positions],
            np.zeros(len(sources), dtype=np.int32),
            sources,
            self.n_replaced,
            self.pad_id,
            None if self.origins is None else self.origins.at(positions),
        )

    def word_ids(self, row: int) -> list[int | None]:
        """Give the word of each token of a row, None for special tokens, as transformers does.

        >>> from textkit import tokenizers
        >>> pieces = ["[UNK]", "play", "##ing", "well"]
        >>> tok = tokenizers.create("wordpiece", vocabulary=pieces)
        >>> tok.encode(["playing well"], words=True).word_ids(0)
        [0, 0, 1]
        """
        return [None if word < 0 else word for word in self._words[self._tokens(row)].tolist()]

    def sequence_ids(self, row: int) -> list[int | None]:
        """Give for each token of a row 0 or 1, the text of the pair that it is from; None for
        special tokens.

        >>> TokenBatch.from_rows([[4, 5, 6]]).sequence_ids(0)
        [0, 0, 0]
        """
        at = self._tokens(row)
        sequences = None if self.origins is None else self.origins.sequences
        if sequences is None:
            return [0] * (at.stop - at.start)
        return [None if text < 0 else text for text in sequences[at].tolist()]

    def char_to_token(
        self, row: int, char: int, *, word: int | None = None, sequence: int = 0
    ) -> int | None:
        """Give the first token of a row whose span holds a character; None where none does, as at
        white space.

        word: of a pre-split row, the word that the character is counted in. sequence: the text of a
        pair.

        >>> batch = TokenBatch.from_rows([[7, 8]], [[(0, 5), (6, 9)]])
        >>> batch.char_to_token(0, 6), batch.char_to_token(0, 5)
        (1, None)
        """
        spans = self.row_spans(row)
        holds = (spans[:, 0] <= char) & (char < spans[:, 1])
        if self.origins is not None and self.origins.sequences is not None:
            holds &= self.origins.sequences[self._tokens(row)] == sequence
        elif sequence:
            holds &= False
        if word is not None:
            holds &= self._words[self._tokens(row)] == word
        found = np.flatnonzero(holds)
        return int(found[0]) if len(found) else None

    def token_to_chars(self, row: int, token: int) -> tuple[int, int] | None:
        """Give the span of the `token`-th token of a row; None for a special one.

        >>> TokenBatch.from_rows([[7, 8]], [[(0, 5), (6, 9)]]).token_to_chars(0, 1)
        (6, 9)
        """
        spans = self.row_spans(row)
        if not -len(spans) <= token < len(spans):
            raise IndexError(f"token {token} of a row of {len(spans)} tokens")
        if self.sequence_ids(row)[token] is None:
            return None
        start, end = spans[token].tolist()
        return start, end

    def align_labels(
        self,
        labels: Sequence[Sequence[int]],
        *,
        pieces: Literal["first", "all"] = "first",
        ignore: int = -100,
    ) -> NDArray[np.int64]:
        """Give every token the label of its word: (n_tokens,) int64, which `pad(labels=...)` takes.

        labels: one number a word, one list a row that was encoded (a window takes those of its
        source). pieces: "first" labels a word's first piece in its row alone. ignore: what the
        others and the special tokens get; torch's losses leave -100 out.

        >>> from textkit import tokenizers
        >>> pieces = ["[UNK]", "play", "##ing", "well"]
        >>> tok = tokenizers.create("wordpiece", vocabulary=pieces)
        >>> tok.encode_words([["playing", "well"]]).align_labels([[3, 4]]).tolist()
        [3, -100, 4]
        """
        if pieces not in ("first", "all"):
            raise UsageError(f"pieces is {pieces!r}, expected 'first' or 'all'")
        words, lengths = self._words, self.lengths
        sources = np.arange(len(self)) if self.sources is None else self.sources
        n_sources = int(sources.max(initial=-1)) + 1
        if len(labels) < n_sources or (self.sources is None and len(labels) != n_sources):
            raise UsageError(f"{len(labels)} rows of labels for {n_sources} rows of words")
        first = offsets_of(np.fromiter(map(len, labels), np.int64, count=len(labels)))
        flat = np.fromiter((label for row in labels for label in row), np.int64, count=first[-1])
        rows = np.repeat(sources, lengths)
        if len(short := np.flatnonzero(words >= (first[1:] - first[:-1])[rows])):
            row = int(rows[short[0]])
            raise DataError(
                f"row {row} has {len(labels[row])} labels, but a word {int(words[short[0]])};"
                " there must be a label for every word"
            )
        labelled = words >= 0
        if self.origins is not None and self.origins.sequences is not None:
            labelled &= self.origins.sequences == 0
        if pieces == "first":
            begins = np.ones(len(words), dtype=bool)
            begins[1:] = words[1:] != words[:-1]
            begins[self.offsets[:-1][lengths > 0]] = True
            labelled &= begins
        given = np.full(len(words), ignore, dtype=np.int64)
        given[labelled] = flat[first[rows[labelled]] + words[labelled]]
        return given

    @property
    def _words(self) -> NDArray[np.int32]:
        if self.origins is None or self.origins.words is None:
            raise UsageError("this batch has no words; encode with words=True, or encode_words")
        return self.origins.words

    def _tokens(self, row: int) -> slice_:
        """Give where the tokens of a row stand in the columns."""
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of a batch of {len(self)} rows")
        row %= len(self)
        return slice_(int(self.offsets[row]), int(self.offsets[row + 1]))

    def padded_by(self, pad_id: int | None) -> TokenBatch:
        """Give the same batch with another padding token."""
        # A tenth of the time of dataclasses.replace, which would check the columns once more.
        batch = object.__new__(TokenBatch)
        batch.__dict__.update(self.__dict__, pad_id=pad_id)
        return batch

    @overload
    def pad(
        self,
        *,
        pad_id: int | None = None,
        side: Side = "right",
        min_width: int = 0,
        to_multiple_of: int = 1,
        max_length: int | None = None,
        labels: None = None,
        tensors: None = None,
    ) -> Padded: ...

    @overload
    def pad(
        self,
        *,
        pad_id: int | None = None,
        side: Side = "right",
        min_width: int = 0,
        to_multiple_of: int = 1,
        max_length: int | None = None,
        labels: NDArray[np.int64] | None = None,
        tensors: Literal["np"],
    ) -> dict[str, NDArray[np.int64]]: ...

    @overload
    def pad(
        self,
        *,
        pad_id: int | None = None,
        side: Side = "right",
        min_width: int = 0,
        to_multiple_of: int = 1,
        max_length: int | None = None,
        labels: NDArray[np.int64] | None = None,
        tensors: Literal["pt"],
    ) -> dict[str, torch.Tensor]: ...

    def pad(
        self,
        *,
        pad_id: int | None = None,
        side: Side = "right",
        min_width: int = 0,
        to_multiple_of: int = 1,
        max_length: int | None = None,
        labels: NDArray[np.int64] | None = None,
        tensors: Literal["np", "pt"] | None = None,
    ) -> Padded | dict[str, NDArray[np.int64]] | dict[str, torch.Tensor]:
        """Copy the rows into a rectangle by one vectorised scatter.

        pad_id: what fills the rest of a row, by default the tokenizer's own padding token; 0 where
        there is none, and then the mask alone tells what is padding. side: where the rest lies. The
        rectangle is as wide as the longest row or `min_width`, or exactly `max_length` wide, which
        a longer row is refused for; then as much wider as makes a multiple of `to_multiple_of`.
        tensors: "np" or "pt" gives `input_ids` and `attention_mask` (rows, width) int64, 1 = real,
        as a model of transformers takes them: `model(**batch.pad(tensors="pt"))`; `token_type_ids`
        too where a template tells texts apart by them. labels: one number a token, as
        `align_labels` gives them; padding gets -100.

        >>> batch = TokenBatch.from_rows([[4, 5, 6], [7]])
        >>> batch.pad(side="left", to_multiple_of=4, tensors="np")["input_ids"].tolist()
        [[0, 4, 5, 6], [0, 0, 0, 7]]
        """
        if side not in ("right", "left"):
            raise UsageError(f"side is {side!r}, expected 'right' or 'left'")
        if tensors not in (None, "np", "pt"):
            raise UsageError(f"tensors is {tensors!r}, expected 'np' or 'pt'")
        lengths = self.lengths
        width = self._width(min_width, to_multiple_of=to_multiple_of, max_length=max_length)
        position = np.arange(width)
        is_left = side == "left"
        mask = position >= width - lengths[:, None] if is_left else position < lengths[:, None]
        pad_id = self.pad_id if pad_id is None else pad_id
        # Fresh zero pages from the system cost less than filling them.
        ids = (
            np.full((len(self), width), pad_id, np.int64)
            if pad_id
            else np.zeros((len(self), width), np.int64)
        )
        ids[mask] = self.ids
        if tensors is None:
            if labels is not None:
                raise UsageError("labels are padded into tensors; pass tensors='np' or 'pt'")
            return Padded(ids, mask, lengths)
        columns = {"input_ids": ids, "attention_mask": mask.astype(np.int64)}
        if self.origins is not None and self.origins.types is not None:
            columns["token_type_ids"] = _spread(self.origins.types, mask, rest=0)
        if labels is not None:
            if np.shape(labels) != (len(self.ids),):
                raise UsageError(f"{np.shape(labels)} labels for {len(self.ids)} tokens")
            columns["labels"] = _spread(labels, mask, rest=-100)
        return columns if tensors == "np" else _to_torch(columns)

    def _width(self, min_width: int, *, to_multiple_of: int, max_length: int | None) -> int:
        """Give the width of a rectangle that holds every row."""
        lengths = self.lengths
        longest = int(lengths.max(initial=0))
        if max_length is not None and longest > max_length:
            raise UsageError(
                f"row {int(lengths.argmax())} has {longest} tokens, more than max_length ="
                f" {max_length}; encode with max_length={max_length}, or truncate({max_length})"
            )
        if to_multiple_of < 1:
            raise UsageError(f"to_multiple_of is {to_multiple_of}, expected 1 or more")
        width = max(min_width, longest if max_length is None else max_length)
        return -(-width // to_multiple_of) * to_multiple_of

    def to_arrow(self) -> pyarrow.LargeListArray:
        """Give the ids as an Arrow LargeListArray that shares this batch's memory."""
        import pyarrow

        return pyarrow.LargeListArray.from_arrays(
            pyarrow.array(self.offsets), pyarrow.array(self.ids)
        )


def _spread(column: IntArray, mask: NDArray[np.bool_], *, rest: int) -> NDArray[np.int64]:
    """Put one number a token where the mask says that tokens are."""
    spread = np.full(mask.shape, rest, dtype=np.int64)
    spread[mask] = column
    return spread


def _to_torch(columns: dict[str, NDArray[np.int64]]) -> dict[str, torch.Tensor]:
    """Hand columns over to torch, which shares their memory."""
    require("torch", needed_by="tensors='pt'")
    import torch

    return {name: torch.from_numpy(column) for name, column in columns.items()}


def offsets_of(lengths: IntArray) -> NDArray[np.int64]:
    """Turn row lengths into row offsets: (n,) -> (n + 1,) int64, from 0.

    >>> offsets_of(np.array([3, 0, 1])).tolist()
    [0, 3, 3, 4]
    """
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def within_rows(offsets: NDArray[np.int64]) -> NDArray[np.int32]:
    """Number the tokens of each row from 0: (n_tokens,) int32.

    >>> within_rows(np.array([0, 2, 2, 3])).tolist()
    [0, 1, 0]
    """
    lengths = offsets[1:] - offsets[:-1]
    return (np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)).astype(np.int32)


def gather_positions(
    offsets: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the flat positions of the chosen rows' tokens, and the new offsets."""
    starts = offsets[:-1][rows]
    lengths = offsets[1:][rows] - starts
    new = offsets_of(lengths)
    return np.arange(int(new[-1])) + np.repeat(starts - new[:-1], lengths), new


def cut_rows(
    rows: Iterable[Item],
    *,
    n_rows: int | None = None,
    n_characters: int | None = None,
    text_of: Callable[[Item], str] = str,
) -> Iterator[list[Item]]:
    """Cut a stream of rows into lists of `n_rows`, or fewer once their texts hold `n_characters`,
    so that the work on one list has bounded memory.

    text_of: gives the text of a row; by default a row is its text. No list is empty, and their rows
    are all the rows, in order.

    >>> list(cut_rows(["a", "b", "c"], n_rows=2))
    [['a', 'b'], ['c']]
    >>> list(cut_rows(["long text", "b", "c"], n_characters=2))
    [['long text'], ['b', 'c']]
    """
    if n_characters is None:  # a twentieth of the time of a bag that predicts goes into the loop
        stream = iter(rows)
        while block := list(islice(stream, n_rows)):
            yield block
        return
    held: list[Item] = []
    size = 0
    if isinstance(rows, list):  # in memory the sizes are looked at in one go: half the time
        sizes = np.fromiter(map(len, map(text_of, rows)), dtype=np.int64, count=len(rows))
        ends, start = offsets_of(sizes), 0
        while start < len(rows):
            full = int(np.searchsorted(ends, ends[start] + n_characters))
            stop = min(max(full, start + 1), start + (n_rows or len(rows)))
            yield rows[start:stop]
            start = stop
        return
    for row in rows:
        held.append(row)
        size += len(text_of(row))
        if len(held) == n_rows or size >= n_characters:
            yield held
            held, size = [], 0
    if held:
        yield held
