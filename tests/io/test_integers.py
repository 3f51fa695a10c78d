"""Whole numbers in few bytes come back as they were."""

from __future__ import annotations

import numpy as np
import pytest

from textkit.io.integers import pack_ascending, pack_integers, unpack_ascending, unpack_integers

EDGES = [0, 1, 127, 128, 16383, 16384, 2**31, 2**63 - 1]


def write_naively(values: list[int]) -> list[int]:
    """Write LEB128 as its definition says."""
    data = []
    for value in values:
        while value >= 0x80:
            data.append(value & 0x7F | 0x80)
            value >>= 7
        data.append(value)
    return data


@pytest.mark.parametrize(
    "values", [[], [0], EDGES, np.random.default_rng(0).integers(0, 2**40, 500).tolist()]
)
def test_numbers_are_written_as_leb128_and_come_back(values: list[int]) -> None:
    packed = pack_integers(np.array(values, np.int64))
    assert packed.tolist() == write_naively(values)
    assert unpack_integers(packed).tolist() == values
    ascending = sorted(values)
    assert unpack_ascending(pack_ascending(np.array(ascending, np.int64))).tolist() == ascending


@pytest.mark.parametrize("data", [[0x80], [3, 0x80, 0x80], [0x80] * 9 + [1]])
def test_bytes_that_end_within_a_number_are_refused(data: list[int]) -> None:
    with pytest.raises(ValueError, match="packed numbers"):
        unpack_integers(np.array(data, np.uint8))


def test_numbers_below_0_are_refused() -> None:
    with pytest.raises(ValueError, match="below 0"):
        pack_integers(np.array([-1]))
