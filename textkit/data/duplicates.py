"""Which rows repeat an earlier one, to the letter, but for case and punctuation, or nearly, and
which row each of them repeats.

In: the hashes of rows, as `checked_rows` keeps them, and their files, from which the texts of near
ones are read again. Out: for each row that goes the row that stays, and how alike they are.

1. Rows of equal text, then of equal words, repeat the first of them.
2. Of the rest MinHash proposes pairs, generously; each is then compared word pair by word pair, so
   that no row goes because an estimate said so, and none stays because it was a little too low.
3. From the first row on, a row goes if it is near a row that stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from textkit.batch import cut_rows
from textkit.data import near_duplicates
from textkit.data.checked_rows import RowNumbers, Table, normalise
from textkit.io.corpus import ReadOptions, RowReader

Level = Literal["exact", "normalised", "near"]
LEVELS: tuple[Level, ...] = ("exact", "normalised", "near")
# Rows of a bundle that a row is compared with: more find no further planted pair
# (benchmarks/dedup.py).
_N_BEFORE = 8


@dataclass(frozen=True)
class Repeat:
    """A row that repeats another: both numbers count the rows of all tables, one after the other.

    kept: the row that stays. likeness: the Jaccard index of their word pairs, 1 where the words are
    the same.
    """

    row: int
    kept: int
    level: Level
    likeness: float = 1.0


def find_repeats(
    tables: Sequence[Table],
    paths: Sequence[str],
    options: ReadOptions,
    *,
    level: Level = "near",
    likeness: float,
    n_fixed: int = 0,
) -> list[Repeat]:
    """Find the rows of all tables that repeat an earlier one, in their order.

    n_fixed: so many rows at the beginning always stay. Rows without text repeat nothing.
    """
    filled = np.concatenate([table.characters > 0 for table in tables])
    repeats: dict[int, Repeat] = {}
    for name in LEVELS[: min(LEVELS.index(level) + 1, 2)]:
        hashes = np.concatenate([t.exact if name == "exact" else t.normal for t in tables])
        here = np.array([row for row in np.flatnonzero(filled).tolist() if row not in repeats])
        firsts = here[find_firsts(hashes[here])] if len(here) else here
        for row, first in zip(here.tolist(), firsts.tolist(), strict=True):
            if row != first and row >= n_fixed:
                repeats[row] = Repeat(row, first, name)
    if level == "near":
        usable = np.concatenate([table.usable for table in tables]) & filled
        usable[list(repeats)] = False
        rows = np.flatnonzero(usable)
        pairs, shares = find_near(tables, paths, options, rows, likeness=likeness)
        for repeat in _choose(pairs, shares, n_fixed):
            repeats[repeat.row] = repeat
    return [_follow(repeats, row) for row in sorted(repeats)]


def _follow(repeats: Mapping[int, Repeat], row: int) -> Repeat:
    """Name the row that stays, where the one that a row repeats has itself gone."""
    level, likeness, kept = repeats[row].level, repeats[row].likeness, repeats[row].kept
    while kept in repeats:
        further = repeats[kept]
        level = max(level, further.level, key=LEVELS.index)
        likeness, kept = min(likeness, further.likeness), further.kept
    return Repeat(row, kept, level, likeness)


def find_near(
    tables: Sequence[Table],
    paths: Sequence[str],
    options: ReadOptions,
    rows: RowNumbers,
    *,
    likeness: float,
) -> tuple[RowNumbers, NDArray[np.float64]]:
    """Find pairs (n_pairs, 2) among some rows of all tables, the earlier row first, whose word
    pairs have at least this Jaccard index, and that index (n_pairs,).
    """
    signatures = np.concatenate([table.signatures for table in tables])[rows]
    least = max(likeness - near_duplicates.MARGIN, 0.0)
    proposed, _ = near_duplicates.alike(signatures, threshold=least, n_before=_N_BEFORE)
    proposed = rows[proposed]
    words = dict(_read_words(tables, paths, options, set(proposed.reshape(-1).tolist())))
    shares = np.array(
        [near_duplicates.jaccard(words[one], words[two]) for one, two in proposed.tolist()]
    ).reshape(len(proposed))
    enough = shares >= likeness
    return proposed[enough], shares[enough]


def _read_words(
    tables: Sequence[Table], paths: Sequence[str], options: ReadOptions, wanted: set[int]
) -> Iterator[tuple[int, NDArray[np.uint64]]]:
    """Read the word pairs of the rows that are wanted, by their numbers in all tables."""
    first = 0
    for table, path in zip(tables, paths, strict=True):
        here = range(first, first + len(table.lines))
        if not wanted.isdisjoint(here):
            numbered = enumerate(RowReader(path, **options), start=first)
            chosen = ((number, row.text) for number, row in numbered if number in wanted)
            for some in cut_rows(chosen, n_rows=1024):
                sets = near_duplicates.list_word_pairs([normalise(text) for _, text in some])
                yield from zip((number for number, _ in some), sets, strict=True)
        first = here.stop


def _choose(pairs: RowNumbers, shares: NDArray[np.float64], n_fixed: int) -> Iterator[Repeat]:
    """Go through the rows in order: one goes for the likest row that stays."""
    earlier: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for (one, two), share in zip(pairs.tolist(), shares.tolist(), strict=True):
        earlier[two].append((-share, one))
    gone: set[int] = set()
    for row in sorted(earlier):
        staying = [(share, one) for share, one in earlier[row] if one not in gone]
        if staying and row >= n_fixed:
            share, kept = min(staying)
            gone.add(row)
            yield Repeat(row, kept, "near", -share)


def find_firsts(hashes: NDArray[np.uint64]) -> RowNumbers:
    """Give for each row the first row with the same hash."""
    _, index, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    return np.asarray(index[inverse], dtype=np.int64)
