"""TokenBatch: the ragged columns that every tokenizer gives and every later stage takes.

In: rows of ids. Out: one flat `ids` column with row `offsets`, the layout of an Arrow ListArray,
plus optional `spans` and the number of tokens `truncated` from each row; and `pad()`, a rectangular
copy with its mask. numpy only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from textkit.errors import UsageError, require

if TYPE_CHECKING:
    import pyarrow
    import torch

IntArray = NDArray[np.integer]
Side = Literal["right", "left"]
Item = TypeVar("Item")


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
    made the batch; None where it has none, or where joined batches have different ones.

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
        return TokenBatch(
            self.ids[first:last], offsets, spans, truncated, sources, pad_id=self.pad_id
        )

    def take(self, rows: Sequence[int] | IntArray) -> TokenBatch:
        """Give the rows at these indices, in this order; an index may repeat."""
        index = np.asarray(rows, dtype=np.int64)
        positions, offsets = gather_positions(self.offsets, index)
        spans = None if self.spans is None else self.spans[positions]
        sources = None if self.sources is None else self.sources[index]
        truncated = self.truncated[index]
        return TokenBatch(
            self.ids[positions], offsets, spans, truncated, sources, pad_id=self.pad_id
        )

    @staticmethod
    def concatenate(batches: Sequence[TokenBatch]) -> TokenBatch:
        """Put batches one after the other.

        Spans are kept when every batch has them, sources are not; pad_id is kept when no two
        batches have different ones.
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
        )

    def windows(self, max_length: int, *, stride: int) -> TokenBatch:
        """Cut each row into windows of at most `max_length` tokens, each starting `stride` tokens
        after the one before.

        An empty row stays one empty window. `sources` of the result says which row each window is
        from.

        >>> batch = TokenBatch.from_rows([[1, 2, 3, 4, 5], [6]]).windows(3, stride=2)
        >>> [row.tolist() for row in batch], batch.sources.tolist()
        ([[1, 2, 3], [3, 4, 5], [6]], [0, 0, 1])
        """
        if not 1 <= stride <= max_length:
            raise UsageError(f"stride is {stride}, expected 1 to max_length = {max_length}")
        lengths = self.lengths
        counts = 1 + np.maximum(0, -(-(lengths - max_length) // stride))
        sources = np.repeat(np.arange(len(self)), counts)
        number = np.arange(len(sources)) - np.repeat(offsets_of(counts)[:-1], counts)
        sizes = np.minimum(max_length, lengths[sources] - number * stride)
        offsets = offsets_of(sizes)
        starts = self.offsets[:-1][sources] + number * stride
        positions = np.arange(int(offsets[-1])) + np.repeat(starts - offsets[:-1], sizes)
        spans = None if self.spans is None else self.spans[positions]
        truncated = np.zeros(len(sources), dtype=np.int32)
        return TokenBatch(
            self.ids[positions], offsets, spans, truncated, sources, self.n_replaced, self.pad_id
        )

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
        tensors: Literal["np", "pt"] | None = None,
    ) -> Padded | dict[str, NDArray[np.int64]] | dict[str, torch.Tensor]:
        """Copy the rows into a rectangle by one vectorised scatter.

        pad_id: what fills the rest of a row, by default the tokenizer's own padding token; 0 where
        there is none, and then the mask alone tells what is padding. side: where the rest lies. The
        rectangle is as wide as the longest row or `min_width`, or exactly `max_length` wide, which
        a longer row is refused for; then as much wider as makes a multiple of `to_multiple_of`.
        tensors: "np" or "pt" gives `input_ids` and `attention_mask` (rows, width) int64, 1 = real,
        as a model of transformers takes them: `model(**batch.pad(tensors="pt"))`.

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
            return Padded(ids, mask, lengths)
        columns = {"input_ids": ids, "attention_mask": mask.astype(np.int64)}
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
