"""Augmentation of training rows: word dropout, swapped neighbours, character noise.

Each a pure function of its row.

In: rows with their numbers in the training data, a seed and an epoch. Out: as many rows, changed.
What happens to a row depends on (seed, epoch, its number) alone, not on the batch that it is in, so
a resumed or distributed training sees the same. A row that had tokens (a text that had characters)
keeps at least one. Validation rows are the caller's to leave out. numpy only, vectorised over
ragged rows.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from textkit.batch import IntArray, TokenBatch, offsets_of
from textkit.data.scramble import draw, sequence, to_unit
from textkit.errors import UsageError
from textkit.tokenizers.protocol import check_texts

# What a draw is for: no two choices share their numbers.
_SWAP, _DROP, _NOISE, _KIND = range(4)
_SWAPPED, _DELETED, _INSERTED, _REPLACED = range(4)


def augment_tokens(
    batch: TokenBatch,
    rows: Sequence[int] | IntArray,
    *,
    seed: int,
    epoch: int,
    dropout: float = 0.0,
    swap: float = 0.0,
    unknown_id: int | None = None,
) -> TokenBatch:
    """Swap tokens with their right neighbours, then drop tokens, or replace them by `unknown_id`
    where it is given.

    rows: (n_rows,) the number of each row in the training data. swap, dropout: probabilities of a
    token, 0 to below 1. A token moves by one place at most, so of two neighbours that are both to
    be swapped one is.

    >>> batch = TokenBatch.from_rows([[1, 2, 3, 4, 5, 6], [], [7]])
    >>> changed = augment_tokens(batch, [10, 11, 12], seed=0, epoch=1, dropout=0.3, swap=0.2)
    >>> alone = augment_tokens(batch.take([0]), [10], seed=0, epoch=1, dropout=0.3, swap=0.2)
    >>> changed[0].tolist() == alone[0].tolist(), changed.lengths[1:].tolist()
    (True, [0, 1])
    """
    _check_rate(dropout, "dropout")
    _check_rate(swap, "swap")
    numbers = _check_row_numbers(rows, len(batch))
    lengths = batch.lengths
    row = np.repeat(np.arange(len(batch)), lengths)
    position = np.arange(len(batch.ids)) - batch.offsets[:-1][row]
    order = np.arange(len(batch.ids))
    if swap:
        wanted = to_unit(sequence(draw(seed, epoch, _SWAP, numbers)[row], position)) < swap
        wanted[batch.offsets[1:][lengths > 0] - 1] = False  # a row's last token has no neighbour
        order = _swap_right(order, wanted)
    ids = batch.ids[order]
    keep = np.ones(len(ids), dtype=bool)
    if dropout:
        luck = to_unit(sequence(draw(seed, epoch, _DROP, numbers)[row], position))
        keep = _keep_one(luck >= dropout, luck, batch.offsets)
        if unknown_id is not None:
            ids[~keep] = unknown_id
            keep[:] = True
    spans = None if batch.spans is None else batch.spans[order][keep]
    kept = np.bincount(row[keep], minlength=len(batch))
    return replace(batch, ids=ids[keep], offsets=offsets_of(kept), spans=spans)


def augment_texts(
    texts: Sequence[str], rows: Sequence[int] | IntArray, *, seed: int, epoch: int, noise: float
) -> list[str]:
    """Make spelling mistakes: each character but white space is changed with probability `noise`.

    It is swapped with the next, deleted, followed by another or replaced by another, all four
    equally often; the other is one of the text's own, whatever its script. rows: (n_texts,) the
    number of each text in the training data.

    >>> augment_texts(["an unchanged sentence", ""], [0, 1], seed=0, epoch=0, noise=0.0)
    ['an unchanged sentence', '']
    >>> texts = ["a sentence with some mistakes"] * 2
    >>> noisy = augment_texts(texts, [5, 5], seed=0, epoch=0, noise=0.3)
    >>> noisy[0] == noisy[1], noisy[0] == "a sentence with some mistakes"
    (True, False)
    """
    _check_rate(noise, "noise")
    texts = check_texts(texts)
    numbers = _check_row_numbers(rows, len(texts))
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    offsets = offsets_of(lengths)
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4").copy()
    row = np.repeat(np.arange(len(texts)), lengths)
    position = np.arange(len(codes)) - offsets[:-1][row]
    space = _is_space(codes)
    luck = to_unit(sequence(draw(seed, epoch, _NOISE, numbers)[row], position))
    at = np.flatnonzero((luck < noise) & ~space)  # all that follows is for these few
    choices = sequence(draw(seed, epoch, _KIND, numbers)[row[at]], position[at])
    kind = np.full(len(codes), -1)
    kind[at] = choices >> np.uint64(62)  # two bits: one of four
    other = (choices % lengths[row[at]].astype(np.uint64)).astype(np.int64) + offsets[:-1][row[at]]
    letters = codes.copy()
    letters[at] = np.where(space[other], codes[at], codes[other])

    wanted = kind == _SWAPPED
    wanted[:-1] &= (row[1:] == row[:-1]) & ~space[1:]
    wanted[-1:] = False
    changed = codes[_swap_right(np.arange(len(codes)), wanted)]
    replaced = kind == _REPLACED
    changed[replaced] = letters[replaced]
    # Of a text whose every character would go, the luckiest stays; white space is no character
    # here.
    keep = _keep_one((kind != _DELETED) & ~space, np.where(space, -1.0, luck), offsets) | space
    inserted = (kind == _INSERTED) & keep
    copies = keep.astype(np.int64) + inserted
    starts = offsets_of(copies)
    out = np.repeat(changed, copies)
    out[starts[:-1][inserted] + 1] = letters[inserted]
    joined = out.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
    edges = starts[offsets].tolist()
    return [joined[start:end] for start, end in itertools.pairwise(edges)]


def _swap_right(order: NDArray[np.int64], wanted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Swap the wanted places with the next.

    In a run of wanted places every other one, so that none moves twice.
    """
    index = np.arange(len(wanted))
    last_unwanted = np.maximum.accumulate(np.where(wanted, -1, index)) if len(index) else index
    swapped = np.flatnonzero(wanted & ((index - last_unwanted) % 2 == 1))
    order = order.copy()
    order[swapped], order[swapped + 1] = order[swapped + 1], order[swapped]
    return order


def _keep_one(
    keep: NDArray[np.bool_], luck: NDArray[np.float64], offsets: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Keep the luckiest place of every row that has places but would keep none."""
    full = np.flatnonzero(np.diff(offsets))
    if not len(full):
        return keep
    starts = offsets[:-1][full]
    empty = ~np.logical_or.reduceat(keep, starts)
    best = np.repeat(
        np.where(empty, np.maximum.reduceat(luck, starts), np.inf), np.diff(offsets)[full]
    )
    kept: NDArray[np.bool_] = keep | ((luck == best) & (luck >= 0))
    return kept


def _is_space(codes: NDArray[np.integer]) -> NDArray[np.bool_]:
    table = _spaces()
    found: NDArray[np.bool_] = table[np.minimum(codes, len(table) - 1)]
    return found


@functools.cache
def _spaces() -> NDArray[np.bool_]:
    """Tell which of the code points up to U+3001 are white space; U+3000 is the last that is."""
    return np.array([chr(code).isspace() for code in range(0x3002)], dtype=np.bool_)


def _check_rate(rate: float, name: str) -> None:
    if not 0 <= rate < 1:
        raise UsageError(f"{name} is {rate}, expected 0 or more and less than 1")


def _check_row_numbers(rows: Sequence[int] | IntArray, n_rows: int) -> NDArray[np.int64]:
    numbers = np.asarray(rows, dtype=np.int64)
    if numbers.shape != (n_rows,):
        raise UsageError(
            f"{n_rows} rows but row numbers of shape {numbers.shape}; expected one number a row"
        )
    return numbers
