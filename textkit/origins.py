"""Origins: where every token of a batch comes from, beside its span.

In: columns of one number a token, each of them or None. Out: the same columns of chosen tokens. A
batch has them only where somebody asked: with `words=True`, of pre-split rows, of pairs and of
texts with special tokens. -1 stands for a special token, which comes from no text. numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.int32]
Index = slice | NDArray[np.int64] | NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Origins:
    """Columns of one number a token; None where it was not asked for.

    words: (n_tokens,) int32, the word of its text. sequences: (n_tokens,) int32, 0 for the first
    text of a pair and 1 for the second. types: (n_tokens,) int32, the type id that a template gives
    it, special tokens too.

    >>> origins = Origins(words=np.array([-1, 0, 0, 1, -1], dtype=np.int32))
    >>> origins.at(slice(1, 4)).words.tolist()
    [0, 0, 1]
    """

    words: Column | None = None
    sequences: Column | None = None
    types: Column | None = None

    def at(self, index: Index) -> Origins:
        """Give the columns of some tokens."""
        words, sequences, types = self.columns
        return Origins(
            None if words is None else words[index],
            None if sequences is None else sequences[index],
            None if types is None else types[index],
        )

    @property
    def columns(self) -> tuple[Column | None, Column | None, Column | None]:
        """Give words, sequences and types."""
        return self.words, self.sequences, self.types


def join_origins(parts: Sequence[Origins | None]) -> Origins | None:
    """Put columns one after the other; a column is kept where every part has it.

    >>> one = Origins(words=np.array([0], dtype=np.int32))
    >>> join_origins([one, one]).words.tolist(), join_origins([one, None])
    ([0, 0], None)
    """
    known = [part.columns for part in parts if part is not None]
    if len(known) != len(parts) or not parts:
        return None
    words, sequences, types = (_join(columns) for columns in zip(*known, strict=True))
    return Origins(words, sequences, types)


def _join(columns: Sequence[Column | None]) -> Column | None:
    known = [column for column in columns if column is not None]
    return np.concatenate(known) if len(known) == len(columns) else None
