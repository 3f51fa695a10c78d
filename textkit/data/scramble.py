"""Scrambled 64-bit numbers: hashes, and random draws that depend on nothing but their own
coordinates.

In: integers. Out: integers or numbers from 0 to 1 that look random, one for each, vectorised. A
generator gives its draws in order, so a row's draws would depend on the rows before it; these
depend on (seed, epoch, row, position) alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def scramble(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of each number: the finaliser of SplitMix64 (Steele et al.
    2014), which maps 0 to 0.

    >>> scramble(np.array([0, 1], dtype=np.uint64)).tolist()
    [0, 6238072747940578789]
    """
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(values ^ (values >> np.uint64(31)))


def draw(*coordinates: int | NDArray[np.integer]) -> NDArray[np.uint64]:
    """Give one random 64-bit number for each tuple of coordinates; arrays among them are broadcast.

    >>> one, two = draw(7, np.array([3, 4])), draw(7, np.array([4]))
    >>> bool(one[1] == two[0]), bool(one[0] == one[1])
    (True, False)
    """
    state = np.zeros(1, np.uint64)
    for coordinate in coordinates:
        # A step of SplitMix64 for each coordinate: without the addition (0, 0) and (0,) would be
        # one.
        state = scramble(
            (state ^ scramble(np.atleast_1d(coordinate).astype(np.uint64) + _GOLDEN)) + _GOLDEN
        )
    return state


def sequence(states: NDArray[np.uint64], number: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Give the number-th draw, from 0, of the sequence that each state begins: SplitMix64 with that
    state as its seed.

    >>> sequence(np.zeros(2, np.uint64), np.array([0, 1])).tolist()
    [16294208416658607535, 7960286522194355700]
    """
    return scramble(states + (number.astype(np.uint64) + np.uint64(1)) * _GOLDEN)


def to_unit(values: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Turn 64-bit numbers into numbers 0 <= x < 1, by their upper 53 bits.

    >>> bool(abs(to_unit(draw(0, np.arange(10_000))).mean() - 0.5) < 0.01)
    True
    """
    return (values >> np.uint64(11)).astype(np.float64) * 2.0**-53
