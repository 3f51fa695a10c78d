"""Hold rows to a length: cut and count, go on in windows, or refuse.

In: a batch, or the two batches of texts and their pairs. Out: the same with no row longer than
asked for; what was cut stands in `truncated`, and whose a window is in `sources`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch, offsets_of
from textkit.errors import LimitError, UsageError

OnLong = Literal["truncate", "window", "error"]


def limit(
    batch: TokenBatch, *, max_length: int | None, on_long: OnLong, stride: int | None
) -> TokenBatch:
    """Hold rows to `max_length` tokens: cut and count, go on in windows, or refuse the first row
    that is longer.
    """
    if max_length is None:
        return batch
    if max_length < 0:
        raise UsageError(f"max_length is {max_length}, expected 0 or more")
    if on_long == "window":
        return batch.windows(
            max_length, stride=max(1, max_length // 2) if stride is None else stride
        )
    if on_long == "error":
        refuse_long(batch.lengths, max_length)
    elif on_long != "truncate":
        raise UsageError(f"on_long is '{on_long}', expected 'truncate', 'window' or 'error'")
    return batch.truncate(max_length)


def refuse_long(lengths: NDArray[np.int64], max_length: int) -> None:
    """Raise LimitError for the first row that is too long."""
    long = np.flatnonzero(lengths > max_length)
    if len(long):
        raise LimitError(
            f"text {long[0]} has {lengths[long[0]]} tokens, more than max_length = {max_length};"
            " raise max_length or pass on_long='truncate'"
        )


def fit_pairs(first: TokenBatch, second: TokenBatch, *, room: int) -> tuple[TokenBatch, TokenBatch]:
    """Cut texts and their pairs to `room` tokens together, the longer text of a pair first.

    >>> one, two = TokenBatch.from_rows([[1, 2, 3, 4]]), TokenBatch.from_rows([[5, 6]])
    >>> [batch[0].tolist() for batch in fit_pairs(one, two, room=3)]
    [[1, 2], [5]]
    """
    a, b = first.lengths, second.lengths
    if int((a + b).max(initial=0)) <= room:
        return first, second
    # What tokenizers' "longest_first" keeps: the shorter text whole where it leaves half of the
    # room, else half each, and the odd token to the longer text, or to the second of equal ones.
    short = np.minimum(a, b)
    half = room // 2
    kept_short = np.where(short <= half, short, half)
    kept_long = np.minimum(np.maximum(a, b), room - kept_short)
    is_first_longer = a > b
    kept_a = np.where(is_first_longer, kept_long, kept_short)
    kept_b = np.where(is_first_longer, kept_short, kept_long)
    return keep_first(first, kept_a), keep_first(second, kept_b)


def keep_first(batch: TokenBatch, lengths: NDArray[np.int64]) -> TokenBatch:
    """Keep the first `lengths[row]` tokens of each row and count the others."""
    position = np.arange(len(batch.ids)) - np.repeat(batch.offsets[:-1], batch.lengths)
    keep = position < np.repeat(lengths, batch.lengths)
    return replace(
        batch,
        ids=batch.ids[keep],
        offsets=offsets_of(lengths),
        spans=None if batch.spans is None else batch.spans[keep],
        truncated=batch.truncated + (batch.lengths - lengths).astype(np.int32),
        origins=None if batch.origins is None else batch.origins.at(keep),
    )
