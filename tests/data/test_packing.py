"""Packing: every token once, rows whole where they fit, as one after the other would be placed."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from textkit import TokenBatch
from textkit.data.packing import MANNERS, Manner, find_borders, fit_pieces, pack_rows


def draw_rows(seed: int, *, n: int = 300, length: int = 32) -> list[list[int]]:
    chance = np.random.default_rng(seed)
    sizes = np.minimum(chance.lognormal(2.2, 1.2, n).astype(int), 4 * length)
    sizes[chance.random(n) < 0.1] = 0
    ids = iter(range(1, int(sizes.sum()) + 1))  # each token is known by its id
    return [[next(ids) for _ in range(size)] for size in sizes]


def fit_one_by_one(sizes: NDArray[np.int64], length: int) -> list[int]:
    """Give the rooms that are left when each piece goes where it leaves least, largest first."""
    rooms: list[int] = []
    for size in sorted(sizes.tolist(), reverse=True):
        fitting = [i for i, room in enumerate(rooms) if room >= size]
        if fitting:
            rooms[min(fitting, key=lambda i: rooms[i])] -= size
        else:
            rooms.append(length - size)
    return sorted(rooms)


@pytest.mark.parametrize("seed", range(20))
def test_pieces_go_where_one_after_the_other_would(seed: int) -> None:
    chance = np.random.default_rng(seed)
    length = int(chance.integers(1, 40))
    sizes = chance.integers(1, length + 1, size=int(chance.integers(0, 200)))
    blocks = fit_pieces(sizes, length=length)
    used = np.bincount(blocks, weights=sizes)
    assert sorted((length - used).astype(int).tolist()) == fit_one_by_one(sizes, length)


@pytest.mark.parametrize("end_id", [None, 0])
@pytest.mark.parametrize("least_fill", [0, 1])
@pytest.mark.parametrize("manner", MANNERS)
def test_every_token_is_there_once_and_pieces_are_known(
    manner: Manner, least_fill: float, end_id: int | None
) -> None:
    rows = draw_rows(3)
    blocks = pack_rows(
        TokenBatch.from_rows(rows),
        length=32,
        manner=manner,
        end_id=end_id,
        pad_id=7,
        least_fill=least_fill,
    )
    wanted = [row if end_id is None else [*row, end_id] for row in rows]
    pieces: list[list[int]] = []
    for ids, positions, n in zip(blocks.ids, blocks.positions, blocks.n_tokens, strict=True):
        assert (ids[n:] == 7).all() and (positions[n:] == 0).all()
        borders = find_borders(positions, int(n))
        assert borders[0] == 0 and borders[-1] == n and (np.diff(borders) > 0).all()
        for start, end in itertools.pairwise(borders):
            assert positions[start:end].tolist() == list(range(end - start))
            pieces.append(ids[start:end].tolist())
    assert Counter(i for piece in pieces for i in piece) == Counter(i for r in wanted for i in r)
    # Each piece is a run of one row, and so many rows stand in more than one.
    owner = {i: number for number, row in enumerate(rows) for i in row}
    seen = Counter(owner[piece[0]] for piece in pieces if piece[0] != end_id)
    for piece in pieces:
        inside = [i for i in piece if i != end_id]
        assert inside == list(range(inside[0], inside[0] + len(inside))) if inside else True
        assert len({owner[i] for i in inside}) <= 1
    if end_id is None:
        assert blocks.n_cut == sum(n > 1 for n in seen.values())
    if manner == "best-fit" and not least_fill:
        longest = 32 if end_id is None else 31
        assert all(seen[i] == 1 for i, row in enumerate(rows) if 0 < len(row) <= longest)
    else:
        assert len(blocks) == -(-sum(map(len, wanted)) // 32)


@pytest.mark.parametrize("manner", MANNERS)
def test_nothing_makes_no_block(manner: Manner) -> None:
    for rows in ([], [[]], [[], []]):
        assert len(pack_rows(TokenBatch.from_rows(rows), length=8, manner=manner)) == 0


@pytest.mark.parametrize("size", [51, 65, 128])
def test_rows_that_fit_badly_are_cut_until_enough_is_filled(size: int) -> None:
    batch = TokenBatch.from_rows([[1] * size] * 1000)
    whole = pack_rows(batch, length=128, least_fill=0)
    assert whole.n_cut == 0
    blocks = pack_rows(batch, length=128)
    assert len(batch.ids) / blocks.ids.size >= 0.98
    assert (blocks.n_cut == 0) == (size == 128) and blocks.n_cut < 1000
