"""Whole numbers from 0 on in few bytes: seven bits a byte, so that a small one needs one byte.

In: an array of integers. Out: bytes, and back. The code is LEB128, as protobuf and WebAssembly
write it; both ways work on all numbers at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Bytes of the largest number of 63 bits.
_MOST_BYTES = 9


def pack_integers(values: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Write numbers of 0 to 2^63 - 1, (n,), as bytes.

    >>> pack_integers(np.array([3, 300])).tolist()
    [3, 172, 2]
    """
    rest = np.asarray(values, np.int64)
    if (rest < 0).any():
        raise ValueError("numbers below 0 have no such bytes")
    groups = []
    while True:
        groups.append(rest & 0x7F)
        rest = rest >> 7
        if not rest.any():
            break
    columns = np.stack(groups, axis=1).astype(np.uint8)
    n_bytes = 1 + (columns[:, ::-1] != 0).argmax(axis=1)
    n_bytes = np.where(columns.any(axis=1), len(groups) + 1 - n_bytes, 1)
    places = np.arange(len(groups))
    columns |= (places < n_bytes[:, None] - 1).astype(np.uint8) << 7
    return columns[places < n_bytes[:, None]]


def unpack_integers(data: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Read what `pack_integers` wrote; ValueError for bytes that it cannot have written.

    >>> unpack_integers(np.array([3, 172, 2], np.uint8)).tolist()
    [3, 300]
    """
    if data.dtype != np.uint8 or data.ndim != 1:
        raise ValueError(f"packed numbers are {data.dtype} {data.shape}, expected a row of uint8")
    ends = np.flatnonzero(data < 0x80)
    if not len(data):
        return np.zeros(0, np.int64)
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    lengths = ends - starts + 1
    if not len(ends) or ends[-1] != len(data) - 1 or lengths.max() > _MOST_BYTES:
        raise ValueError("packed numbers end within a number, or have one of more than 63 bits")
    shifts = 7 * (np.arange(len(data)) - np.repeat(starts, lengths))
    return np.add.reduceat((data & 0x7F).astype(np.int64) << shifts, starts)


def pack_ascending(values: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Write numbers that do not fall by what each is more than the one before.

    >>> pack_ascending(np.array([1000, 1001, 1003])).tolist()
    [232, 7, 1, 2]
    """
    wide = np.asarray(values, np.int64)
    return pack_integers(wide - np.concatenate([[0], wide[:-1]]))


def unpack_ascending(data: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Read what `pack_ascending` wrote.

    >>> unpack_ascending(np.array([232, 7, 1, 2], np.uint8)).tolist()
    [1000, 1001, 1003]
    """
    return np.cumsum(unpack_integers(data))
