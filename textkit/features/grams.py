"""GramTable: the n-grams that are kept, exactly and as numbers alone: a trie whose levels are
sorted integer keys.

In: sequences of symbols, numbers from 0 on; a symbol is a character or a word. Out: the column of
each n-gram of them that the table holds.

1. An n-gram is its first n - 1 symbols, a node of the level before, and one more symbol.
2. Its key is `node * n_symbols + symbol`; a level is the sorted array of the keys of its nodes.
3. Looking n-grams up is one binary search a level, for all positions at once: no string is built,
   and unlike hashed n-grams no two of them share a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Sequences:
    """Sequences of symbols, one after the other.

    symbols: (n,) int64, -1 for one that is unknown. offsets: (n_sequences + 1,) int64.
    """

    symbols: Int64
    offsets: Int64

    @property
    def room(self) -> Int64:
        """How many symbols of its sequence each position has left, itself included: (n,)."""
        return np.repeat(self.offsets[1:], np.diff(self.offsets)) - np.arange(len(self.symbols))

    @property
    def owners(self) -> Int64:
        """The sequence of each position: (n,)."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


@dataclass(frozen=True)
class GramTable:
    """The n-grams of `shortest` to `longest` symbols that have a column.

    n_symbols: symbols are below it; each is a node of the first level. keys: an array of int64 for
    each level from the second on, ascending. columns: an array of int32 for each level, the column
    of each node or -1 for one that only others begin with. whole: a sequence that is shorter than
    `shortest` counts as one n-gram of its own, as scikit-learn's char_wb has it.
    """

    n_symbols: int
    shortest: int
    longest: int
    keys: tuple[Int64, ...]
    columns: tuple[NDArray[np.int32], ...]
    whole: bool = False

    @staticmethod
    def learn(
        sequences: Sequences, *, n_symbols: int, shortest: int, longest: int, whole: bool = False
    ) -> GramTable:
        """Make a table of all n-grams of some sequences, shorter ones first."""
        room = sequences.room
        keys: list[Int64] = []
        positions = np.flatnonzero(sequences.symbols >= 0)
        nodes = sequences.symbols[positions]
        is_gram = [np.zeros(n_symbols, dtype=bool)]
        is_gram[0][nodes[_counts(positions, room, sequences, 1, shortest, whole)]] = True
        for n in range(2, longest + 1):
            positions, found = _extend(sequences.symbols, room, positions, nodes, n, n_symbols)
            level, nodes = np.unique(found, return_inverse=True)
            keys.append(level)
            is_gram.append(np.zeros(len(level), dtype=bool))
            is_gram[-1][nodes[_counts(positions, room, sequences, n, shortest, whole)]] = True
        table = GramTable(n_symbols, shortest, longest, tuple(keys), (), whole)
        return table._number(is_gram)

    @property
    def n_columns(self) -> int:
        """Number of n-grams that have a column."""
        return sum(int((level >= 0).sum()) for level in self.columns)

    def look_up(self, sequences: Sequences) -> tuple[Int64, NDArray[np.int32]]:
        """Find the n-grams of sequences: the sequence and the column of each, (n,) and (n,),
        shorter n-grams first.
        """
        owners = sequences.owners
        levels = list(self.locate(sequences))
        places = [owners.take(positions) for positions, _ in levels]
        return np.concatenate(places), np.concatenate([columns for _, columns in levels])

    def locate(self, sequences: Sequences) -> Iterator[tuple[Int64, NDArray[np.int32]]]:
        """Find the n-grams of 1, 2, ... symbols: where each begins among the symbols, and its
        column, (n,) and (n,).
        """
        room = sequences.room
        positions = np.flatnonzero(sequences.symbols >= 0)
        nodes = sequences.symbols.take(positions)
        for n in range(1, self.longest + 1):
            if n > 1:
                positions, wanted = _extend(
                    sequences.symbols, room, positions, nodes, n, self.n_symbols
                )
                nodes, known = find(self.keys[n - 2], wanted)
                positions, nodes = positions[known], nodes[known]
            found = self.columns[n - 1].take(nodes)
            counts = (found >= 0) & _counts(
                positions, room, sequences, n, self.shortest, self.whole
            )
            yield positions[counts], found[counts]

    def keep(self, kept: NDArray[np.bool_]) -> tuple[GramTable, Int64]:
        """Keep some columns, (n_columns,) bool; they are numbered anew, in the same order.

        Returns the table, and which of the old symbols the new ones are.
        """
        is_gram = [(level >= 0) & kept[np.maximum(level, 0)] for level in self.columns]
        is_node = [level.copy() for level in is_gram]
        used = np.zeros(self.n_symbols, dtype=bool)
        for n in range(self.longest, 1, -1):
            parents, symbols = np.divmod(self.keys[n - 2][is_node[n - 1]], self.n_symbols)
            is_node[n - 2][parents] = True
            used[symbols] = True
        used |= is_node[0]
        is_node[0] = used
        place = np.cumsum(used) - 1
        before, n_symbols = place, int(used.sum())
        keys: list[Int64] = []
        for n in range(2, self.longest + 1):
            parents, symbols = np.divmod(self.keys[n - 2][is_node[n - 1]], self.n_symbols)
            keys.append(before[parents] * n_symbols + place[symbols])
            before = np.cumsum(is_node[n - 1]) - 1
        table = GramTable(n_symbols, self.shortest, self.longest, tuple(keys), (), self.whole)
        left = [gram[node] for gram, node in zip(is_gram, is_node, strict=True)]
        return table._number(left), np.flatnonzero(used)

    def spell(self) -> list[tuple[int, ...]]:
        """Give the symbols of each column's n-gram.

        >>> row = Sequences(np.array([0, 1, 1]), np.array([0, 3]))
        >>> GramTable.learn(row, n_symbols=2, shortest=1, longest=2).spell()
        [(0,), (1,), (0, 1), (1, 1)]
        """
        level: Sequence[tuple[int, ...]] = [(symbol,) for symbol in range(self.n_symbols)]
        spelt: dict[int, tuple[int, ...]] = {}
        for n in range(1, self.longest + 1):
            if n > 1:
                parents, symbols = np.divmod(self.keys[n - 2], self.n_symbols)
                pairs = zip(parents.tolist(), symbols.tolist(), strict=True)
                level = [(*level[parent], symbol) for parent, symbol in pairs]
            spelt |= dict(zip(self.columns[n - 1].tolist(), level, strict=True))
        return [spelt[column] for column in range(self.n_columns)]

    def problem(self) -> str | None:
        """Say what is wrong with a table that was read from a file; None where nothing is."""
        n_nodes = [self.n_symbols, *(len(level) for level in self.keys)]
        if len(self.columns) != self.longest or len(self.keys) != self.longest - 1:
            return f"expected {self.longest} levels of n-grams"
        if n_nodes != [len(level) for level in self.columns]:
            return "n-grams and their columns differ in number"
        for level, n_parents in zip(self.keys, n_nodes, strict=False):
            is_sorted = bool((np.diff(level) > 0).all())
            if len(level) and not (
                is_sorted and level[0] >= 0 and level[-1] < n_parents * self.n_symbols
            ):
                return "keys of n-grams do not ascend from 0 to those of the level before"
        numbers = np.sort(np.concatenate([level[level >= 0] for level in self.columns]))
        if not np.array_equal(numbers, np.arange(len(numbers))):
            return "columns of n-grams are not the numbers from 0 on"
        return None

    def _number(self, is_gram: Sequence[NDArray[np.bool_]]) -> GramTable:
        """Give each n-gram a column, level after level."""
        columns, first = [], 0
        for level in is_gram:
            columns.append(np.where(level, np.cumsum(level) - 1 + first, -1).astype(np.int32))
            first += int(level.sum())
        return GramTable(
            self.n_symbols, self.shortest, self.longest, self.keys, tuple(columns), self.whole
        )


class Numbers(dict[str, int]):
    """What was met -> its number from 0, given in the order in which things come."""

    def __missing__(self, key: str) -> int:
        number = self[key] = len(self)
        return number


def find(keys: NDArray[np.integer], wanted: NDArray[np.integer]) -> tuple[Int64, NDArray[np.bool_]]:
    """Find numbers in an ascending array: the place of each, and whether it is there.

    >>> find(np.array([2, 5]), np.array([5, 3]))[1].tolist()
    [True, False]
    """
    if not len(keys):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), dtype=bool)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return places, keys.take(places) == wanted


def split_blocks(offsets: Int64, *, n_items: int) -> Iterator[tuple[int, int]]:
    """Cut ragged rows into runs of rows of about so many items: (first, end) of each.

    >>> list(split_blocks(np.array([0, 3, 6, 15, 16]), n_items=6))
    [(0, 2), (2, 3), (3, 4)]
    """
    first, n_rows = 0, len(offsets) - 1
    while first < n_rows:
        end = int(np.searchsorted(offsets, offsets[first] + n_items, side="right")) - 1
        end = min(max(end, first + 1), n_rows)
        yield first, end
        first = end


def _extend(
    symbols: Int64, room: Int64, positions: Int64, nodes: Int64, n: int, n_symbols: int
) -> tuple[Int64, Int64]:
    """Give the positions whose (n - 1)-gram goes on with a known symbol, and the keys of their
    n-grams.
    """
    fits = room.take(positions) >= n
    positions, nodes = positions[fits], nodes[fits]
    following = symbols.take(positions + n - 1)
    known = following >= 0
    return positions[known], nodes[known] * n_symbols + following[known]


def _counts(
    positions: Int64, room: Int64, sequences: Sequences, n: int, shortest: int, whole: bool
) -> NDArray[np.bool_]:
    """Tell which n-grams count, by the positions where they begin."""
    if n >= shortest:
        return np.ones(len(positions), dtype=bool)
    if not whole:
        return np.zeros(len(positions), dtype=bool)
    starts = np.zeros(len(sequences.symbols) + 1, dtype=bool)
    starts[sequences.offsets[:-1]] = True
    return np.asarray(starts[positions] & (room[positions] == n))
