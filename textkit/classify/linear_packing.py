"""The arrays of a linear model in fewer bytes: the same n-grams, exactly, and stored weights.

In: the arrays of a model folder's `model.safetensors`. Out: those of a compressed one, and back.

- keys of n-grams ascend: what each is more than the one before, in bytes of seven bits;
- columns are numbered level after level: a bit says which nodes have one;
- counts of rows are small: bytes of seven bits;
- weights are int8 or float16, with scales.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from textkit.io.integers import (
    pack_ascending,
    pack_integers,
    unpack_ascending,
    unpack_integers,
)
from textkit.runtime.quantized import Quantized

Arrays = dict[str, NDArray[Any]]
_ALPHABET = "characters.symbols"
_WEIGHTS, _SCALES = "weights", "weights.scales"


def pack_arrays(arrays: Arrays, stored: Quantized) -> Arrays:
    """Pack the arrays of a linear model, with its weights as they are stored."""
    packed: Arrays = {}
    for name, array in arrays.items():
        if ".keys." in name or name == _ALPHABET:
            packed[name] = pack_ascending(array)
        elif ".columns." in name:
            packed[name] = np.packbits(array >= 0)
            packed[f"{name}.size"] = np.array([len(array)])
        elif name == "row_counts":
            packed[name] = pack_integers(array)
        elif name != _WEIGHTS:
            packed[name] = array
    packed[_WEIGHTS] = stored.codes
    if stored.scales is not None:
        packed[_SCALES] = stored.scales
    return packed


def unpack_arrays(packed: Arrays) -> tuple[Arrays, Quantized]:
    """Read what `pack_arrays` gave: the arrays, weights as float32, and these as they are stored.

    Raises KeyError or ValueError for arrays that it cannot have given.
    """
    arrays: Arrays = {}
    first: dict[str, int] = {}
    for name in sorted(packed):
        array = packed[name]
        if ".keys." in name:
            arrays[name] = unpack_ascending(array)
        elif name == _ALPHABET:
            arrays[name] = unpack_ascending(array).astype(np.uint32)
        elif name == "row_counts":
            arrays[name] = unpack_integers(array)
        elif ".columns." not in name and name not in (_WEIGHTS, _SCALES):
            arrays[name] = array
    # Level 10 comes after level 9 and not after level 1.
    levels = [name for name in packed if ".columns." in name and not name.endswith(".size")]
    for name in sorted(levels, key=lambda name: (name.split(".")[0], int(name.split(".")[-1]))):
        table = name.split(".")[0]
        n = int(packed[f"{name}.size"].item())
        if not 0 <= n <= 8 * len(packed[name]):
            raise ValueError(f"{name}: {n} nodes in {len(packed[name])} bytes")
        has = np.unpackbits(packed[name], count=n).astype(bool)
        start = first.get(table, 0)
        arrays[name] = np.where(has, np.cumsum(has) - 1 + start, -1).astype(np.int32)
        first[table] = start + int(has.sum())
    stored = Quantized(packed[_WEIGHTS], packed.get(_SCALES))
    arrays[_WEIGHTS] = _expand(stored)
    return arrays, stored


def _expand(stored: Quantized) -> NDArray[np.float32]:
    codes, scales = stored.codes, stored.scales
    kinds = (np.float32, np.float16, np.int8)
    fits = scales is None or (
        scales.dtype in kinds[:2] and scales.shape in ((len(codes), 1), (1, *codes.shape[1:]))
    )
    if codes.ndim != 2 or codes.dtype not in kinds or not fits:
        raise ValueError("weights and weights.scales do not belong together")
    if (codes.dtype == np.int8) != (scales is not None):
        raise ValueError("weights and weights.scales do not belong together")
    return stored.floats()
