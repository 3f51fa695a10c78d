"""Tables in fewer bytes: whole numbers of 8 bits with a scale a row or a column, or float16.

In: a float32 table. Out: what is stored of it, and the float32 table that it stands for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textkit.errors import UsageError

# The numbers that a table may be stored as.
NUMBERS = ("float32", "float16", "int8")
# Scales beyond which float16 has fewer bits, or none, are kept as float32.
_LEAST, _MOST = float(np.finfo(np.float16).tiny), float(np.finfo(np.float16).max)


@dataclass(frozen=True, eq=False)
class Quantized:
    """A table as codes and scales.

    codes: (n, dim) int8, or float16 or float32 where there are no scales. scales: (n, 1), one a
    row, or (1, dim), one a column, float16 where these hold them, else float32.
    """

    codes: NDArray[Any]
    scales: NDArray[Any] | None = None

    def floats(self) -> NDArray[np.float32]:
        """Give the table that it stands for: (n, dim) float32."""
        table = self.codes.astype(np.float32)
        return table if self.scales is None else table * self.scales.astype(np.float32)


def quantize(table: NDArray[np.float32], numbers: str, *, by_row: bool = True) -> Quantized:
    """Store a table (n, dim) as one of NUMBERS.

    by_row: a scale for each row of int8, else for each column. A number differs by at most half a
    scale, and a scale is a 127th of the largest number that it serves.

    >>> stored = quantize(np.array([[0.5, -1.0], [0.0, 0.0]], np.float32), "int8")
    >>> stored.codes.tolist(), stored.floats().round(2).tolist()
    ([[64, -127], [0, 0]], [[0.5, -1.0], [0.0, 0.0]])
    """
    if numbers == "float32":
        return Quantized(table)
    if numbers == "float16":
        if np.abs(table).max(initial=0) > _MOST:
            raise UsageError(f"numbers above {_MOST:g} do not fit into float16; take int8")
        return Quantized(table.astype(np.float16))
    scales = np.abs(table).max(axis=1 if by_row else 0, keepdims=True, initial=0) / np.float32(127)
    filled = scales[scales > 0]
    if not len(filled) or (filled.min() >= _LEAST and filled.max() <= _MOST):
        scales = scales.astype(np.float16)
    divisors = np.where(scales > 0, scales, 1).astype(np.float32)
    codes = np.clip(np.rint(table / divisors), -127, 127).astype(np.int8)
    return Quantized(codes, scales)
