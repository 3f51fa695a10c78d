"""Pack rows of tokens into blocks of one length, every token once.

In: a TokenBatch. Out: Blocks: ids, the position of each token in its piece, and how many tokens of
each block are real. Two ways:

- "best-fit": a row stays whole where it fits a block; pieces go, the longest first, where they
  leave the least room (best-fit decreasing; Ding et al. 2024, "Fewer Truncations"). A longer row is
  cut into whole blocks and a rest. Where that fills too little, the emptiest blocks are dissolved
  and their rows cut to the holes of the others.
- "concat": rows stand one behind the other, and blocks are cut where they are full.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch, offsets_of

Manner = Literal["best-fit", "concat"]
MANNERS: tuple[Manner, ...] = ("best-fit", "concat")
LEAST_FILL = 0.98
Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Blocks:
    """ids: (n_blocks, length) int32; positions: the same shape, from 0 in each piece of a row, and
    0 at padding; n_tokens: (n_blocks,) int32, the real ones, which come first. n_cut: rows that
    stand in more than one piece.
    """

    ids: NDArray[np.int32]
    positions: NDArray[np.int32]
    n_tokens: NDArray[np.int32]
    n_cut: int = 0

    def __len__(self) -> int:
        return len(self.n_tokens)


def find_borders(positions: NDArray[np.integer], n_tokens: int) -> NDArray[np.int32]:
    """Give where the pieces of a block begin, and where the last one ends: what attention over
    pieces of varying length takes as `cu_seqlens`.

    >>> find_borders(np.array([0, 1, 0, 1, 2, 0, 0]), 6).tolist()
    [0, 2, 5, 6]
    """
    starts = np.flatnonzero(positions[:n_tokens] == 0)
    return np.append(starts, n_tokens).astype(np.int32)


def pack_rows(
    batch: TokenBatch,
    *,
    length: int,
    manner: Manner = "best-fit",
    end_id: int | None = None,
    pad_id: int = 0,
    least_fill: float = LEAST_FILL,
) -> Blocks:
    """Pack rows into blocks of `length` tokens.

    end_id: stands behind every row, empty ones too. pad_id: fills what is left of a block.
    least_fill: rows are cut, in best fit, where less of the blocks would be filled; 0 cuts none
    that fits a block.

    >>> rows = TokenBatch.from_rows([[1, 2, 3], [4], [5, 6], [], [7, 8, 9, 10, 11]])
    >>> blocks = pack_rows(rows, length=4)
    >>> blocks.ids.tolist()
    [[1, 2, 3, 4], [5, 6, 11, 0], [7, 8, 9, 10]]
    >>> blocks.positions.tolist()
    [[0, 1, 2, 0], [0, 1, 0, 0], [0, 1, 2, 3]]
    """
    ids, offsets = _put_ends(batch, end_id)
    if manner == "concat":
        edges = np.union1d(offsets, np.arange(0, len(ids) + 1, length))
        starts, sizes = edges[:-1], np.diff(edges)
        places, n_blocks = starts, -(-len(ids) // length)
    else:
        starts, sizes = _cut(offsets, length)
        chosen = fit_pieces(sizes, length=length)
        if least_fill and len(chosen):
            starts, sizes, chosen = _fill_holes(starts, sizes, chosen, length, least_fill)
        places, n_blocks = _place(chosen, sizes, length)
    within = np.arange(len(ids)) - np.repeat(offsets_of(sizes)[:-1], sizes)
    to = np.repeat(places, sizes) + within
    packed = np.full(n_blocks * length, pad_id, np.int32)
    packed[to] = ids
    positions = np.zeros(n_blocks * length, np.int32)
    positions[to] = within
    n_tokens = np.bincount(places // length, weights=sizes, minlength=n_blocks)
    n_cut = len(sizes) - int((np.diff(offsets) > 0).sum())
    if n_cut:
        n_cut = len(
            np.unique(np.searchsorted(offsets, starts[np.isin(starts, offsets, invert=True)]))
        )
    shape = (n_blocks, length)
    return Blocks(packed.reshape(shape), positions.reshape(shape), n_tokens.astype(np.int32), n_cut)


def fit_pieces(sizes: Int64, *, length: int) -> Int64:
    """Choose a block for each piece by best-fit decreasing: (n,) sizes of 1 to length -> (n,).

    All pieces of one size are looked at together: the blocks with the least room that is enough
    take as many of them as they hold, which is what one after the other would give.

    >>> fit_pieces(np.array([3, 1, 2, 2]), length=4).tolist()
    [0, 0, 1, 1]
    """
    order = np.argsort(-sizes, kind="stable")
    blocks = np.empty(len(sizes), np.int64)
    waiting: dict[int, list[Int64]] = {}  # room -> blocks that have it
    rooms: list[int] = []  # those of `waiting`, the least first
    n_blocks = 0

    def put(room: int, which: Int64) -> None:
        if not room or not len(which):
            return
        if room not in waiting:
            insort(rooms, room)
            waiting[room] = []
        waiting[room].append(which)

    ends = np.flatnonzero(np.diff(sizes[order], append=0))
    start = 0
    for end in (ends + 1).tolist():
        pieces = order[start:end]
        size, start = int(sizes[pieces[0]]), end
        while len(pieces):
            at = bisect_left(rooms, size)
            if at == len(rooms):
                room = length
                which = n_blocks + np.arange(-(-len(pieces) // (room // size)))
                n_blocks += len(which)
            else:
                room = rooms.pop(at)
                which = np.concatenate(waiting.pop(room))
            each = room // size
            n_needed = -(-len(pieces) // each)
            put(room, which[n_needed:])
            which = which[:n_needed]
            taken = np.repeat(which, each)[: len(pieces)]
            blocks[pieces[: len(taken)]] = taken
            pieces = pieces[len(taken) :]
            n_last = len(taken) - (len(which) - 1) * each
            put(room - each * size, which[:-1])
            put(room - n_last * size, which[-1:])
    return blocks


def _put_ends(batch: TokenBatch, end_id: int | None) -> tuple[NDArray[np.int32], Int64]:
    """Give all ids and the rows' offsets, with an id behind each row."""
    if end_id is None:
        return batch.ids, batch.offsets
    offsets = batch.offsets + np.arange(len(batch) + 1)
    ids = np.full(int(offsets[-1]), end_id, np.int32)
    ids[np.arange(len(batch.ids)) + np.repeat(np.arange(len(batch)), batch.lengths)] = batch.ids
    return ids, offsets


def _cut(offsets: Int64, length: int) -> tuple[Int64, Int64]:
    """Cut rows into pieces of `length` and a rest: starts and sizes, no empty one."""
    lengths = np.diff(offsets)
    n_pieces = -(-lengths // length)
    first = offsets_of(n_pieces)
    number = np.arange(first[-1]) - np.repeat(first[:-1], n_pieces)
    starts = np.repeat(offsets[:-1], n_pieces) + number * length
    sizes = np.minimum(np.repeat(offsets[1:], n_pieces) - starts, length)
    return starts, sizes


def _fill_holes(
    starts: Int64, sizes: Int64, blocks: Int64, length: int, least_fill: float
) -> tuple[Int64, Int64, Int64]:
    """Dissolve the emptiest blocks until the rest is full enough: their pieces are poured into the
    largest holes first, and cut where a hole ends. All pieces again, in their order.
    """
    used = np.bincount(blocks, weights=sizes).astype(np.int64)
    total = int(sizes.sum())
    n_wanted = max(-(-total // length), int(total / (least_fill * length)))
    if len(used) <= n_wanted:
        return starts, sizes, blocks
    order = np.argsort(used, kind="stable")
    gone, filled = order[: len(used) - n_wanted], order[len(used) - n_wanted :]
    loose = np.isin(blocks, gone)
    ends, holes = np.cumsum(sizes[loose]), np.cumsum(length - used[filled])
    edges = np.union1d(np.append(0, ends), holes[holes < ends[-1]])
    piece = np.searchsorted(ends, edges[:-1], side="right")
    begun = edges[:-1] - (ends - sizes[loose])[piece]
    new_starts = np.append(starts[~loose], starts[loose][piece] + begun)
    new_sizes = np.append(sizes[~loose], np.diff(edges))
    into = filled[np.searchsorted(holes, edges[:-1], side="right")]
    new_blocks = np.append(blocks[~loose], into)
    by_place = np.argsort(new_starts, kind="stable")
    return new_starts[by_place], new_sizes[by_place], new_blocks[by_place]


def _place(blocks: Int64, sizes: Int64, length: int) -> tuple[Int64, int]:
    """Number the blocks by their first piece, and give where each piece begins among all blocks'
    tokens, pieces of a block in the order of their rows.
    """
    if not len(blocks):
        return np.empty(0, np.int64), 0
    _, first, inverse = np.unique(blocks, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    numbers = rank[inverse]
    order = np.argsort(numbers, kind="stable")
    before = offsets_of(sizes[order])[:-1]
    begins = np.searchsorted(numbers[order], np.arange(len(first)))
    places = np.empty(len(sizes), np.int64)
    places[order] = numbers[order] * length + before - before[begins][numbers[order]]
    return places, len(first)
