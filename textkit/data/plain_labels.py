"""One label: what a class may be, and what becomes of it before it is compared or saved.

In: a value of the caller's, of Python or of numpy. Out: a plain str, int, float or bool, or a
ValueError that says why it can be none of them. Equal labels of different types (1, True, 1.0) are
not one label.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from decimal import Decimal
from enum import Enum
from numbers import Real

import numpy as np

from textkit.data.targets import Label
from textkit.errors import DataError
from textkit.io.composed import is_missing

_LEAST, _MOST = -(2**63), 2**63 - 1
_MOST_FLOAT = float(np.finfo(np.float32).max)


def plain_label(label: object) -> Label:
    """Give a label as a plain str, int, float or bool; ValueError says why it cannot be one.

    >>> plain_label(np.str_("a")), plain_label(np.int8(3))
    ('a', 3)
    """
    if isinstance(label, np.bool_ | np.integer | np.floating | np.str_):
        label = label.item()
    if is_missing(label):
        raise ValueError(f"is missing ({label!r})")
    if isinstance(label, Enum):
        raise ValueError(_refusal(label, "label.value, or label.name"))
    if isinstance(label, str):
        return _plain_str(label)
    if isinstance(label, bool):
        return label
    if isinstance(label, int):
        if not _LEAST <= label <= _MOST:
            raise ValueError(f"is {label}, beyond the 64 bits that a class of int has")
        return int(label)
    if isinstance(label, float):
        if not math.isfinite(label):
            raise ValueError(f"is {label}, expected a finite number")
        return float(label)
    if isinstance(label, bytes):
        raise ValueError(_refusal(label, "label.decode()"))
    raise ValueError(_refusal(label, "str(label)"))


def _plain_str(label: str) -> str:
    try:
        label.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"is {label!r}, which no file can hold: a lone surrogate") from None
    if label.endswith("\0"):
        raise ValueError(f"is {label!r}, which ends in a NUL character: numpy would drop it")
    return str(label)


def _refusal(label: object, advice: str) -> str:
    return (
        f"is {label!r}, a {type(label).__name__}, which a model folder cannot keep;"
        f" make it a str or a number: {advice}"
    )


class OneLabel:
    """Read the one label of a row, looking at each different one once."""

    def __init__(self) -> None:
        self._plain: dict[tuple[type, object], Label] = {}

    def __call__(self, value: object) -> Label:
        if list_items(value) is not None:
            raise ValueError(f"is {value!r}, not one label; set head.task = 'multi-label'")
        if not isinstance(value, Hashable):
            return plain_label(value)
        key = (type(value), value)
        if key not in self._plain:
            self._plain[key] = plain_label(value)
        return self._plain[key]


def check_one_type(labels: Sequence[object]) -> None:
    """Refuse labels of several types, naming the first of each."""
    firsts: dict[type, object] = {}
    for label in labels:
        firsts.setdefault(type(label), label)
    if len(firsts) > 1:
        kinds = ", ".join(f"{kind.__name__} ({label!r})" for kind, label in firsts.items())
        raise DataError(f"labels are of several types: {kinds}; make them all one")


def plain_numbers(value: object) -> list[float]:
    """Give a number, or several, as plain floats; ValueError says why they cannot be learnt."""
    items = list_items(value)
    numbers = []
    for item in [value] if items is None else items:
        if is_missing(item):
            raise ValueError(f"is missing ({item!r})")
        plain = item.item() if isinstance(item, np.bool_ | np.number) else item
        if not isinstance(plain, Real | Decimal):
            raise ValueError(f"is {item!r}, a {type(item).__name__}; expected a number")
        try:
            number = float(plain)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number) or abs(number) > _MOST_FLOAT:
            raise ValueError(f"is {item!r}; expected a finite number of 32 bits")
        numbers.append(number)
    return numbers


def list_items(value: object) -> list[object] | None:
    """Give what a row's value holds; None for a value that is itself one label."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return list(value) if isinstance(value, list | tuple | set | frozenset) else None
