"""Filters by kept columns: `lang=en`, `year>=2020`, `topic!=sport`.

In: conditions as text, and the kept columns. Out: which rows hold all of them. Of one column, any
of several `=` will do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from textkit.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from textkit.search.store import ColumnStore

# The operator that stands first in the text, the longer one before the shorter.
_CONDITION = re.compile(r"(.+?)(!=|<=|>=|=|<|>)(.*)", re.DOTALL)
_COMPARISONS = {
    "=": "equal",
    "!=": "not_equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
}
_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"


@dataclass(frozen=True)
class Condition:
    """A column, one of = != < <= > >=, and a value as it was written."""

    column: str
    operator: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read a condition; UsageError where it is none.

        >>> Condition.parse("year>=2020")
        Condition(column='year', operator='>=', value='2020')
        """
        match = _CONDITION.fullmatch(text)
        if match is None:
            raise UsageError(
                f"--where is COLUMN=VALUE, or with one of != < <= > >=, found {text!r}"
            )
        return cls(match[1].strip(), match[2], match[3])


def find_rows(store: ColumnStore, where: Sequence[str], *, n_rows: int) -> NDArray[np.bool_] | None:
    """Tell which rows hold all conditions, (n_rows,) bool; None where there is none.

    Numbers are compared as numbers, in columns of text too. A row without a value holds `!=` alone.
    """
    if isinstance(where, str):
        raise UsageError(f"where is one condition, expected a list: where=['{where}']")
    if not where:
        return None
    groups: dict[tuple[str, str], list[Condition]] = {}
    for number, text in enumerate(where):
        condition = Condition.parse(text)
        if condition.column not in store.names:
            raise UsageError(_unknown(condition.column, store.names))
        alone = "" if condition.operator == "=" else str(number)
        groups.setdefault((condition.column, alone), []).append(condition)
    mask = np.ones(n_rows, bool)
    for (name, _), conditions in groups.items():
        column = store.column(name)
        held = np.zeros(n_rows, bool)
        for condition in conditions:
            held |= _compare(column, condition)
        mask &= held
    return mask


def _unknown(name: str, known: Sequence[str]) -> str:
    if not known:
        return f"this index kept no columns, so that '{name}' is none; build it with --keep {name}"
    return unknown_name("column of the index", name, known)


def _compare(column: Any, condition: Condition) -> NDArray[np.bool_]:
    """Compare a column with a value: (n_rows,) bool."""
    import pyarrow
    from pyarrow import compute, types

    kind, value = column.type, condition.value
    is_text = types.is_string(kind) or types.is_large_string(kind)
    if is_text and condition.operator in ("=", "!="):
        other = pyarrow.scalar(value, kind)
    elif is_text:
        number = _read_number(value)
        other = pyarrow.scalar(value, kind) if number is None else pyarrow.scalar(number)
        if number is not None:
            good = compute.match_substring_regex(column, _NUMBER)
            empty = pyarrow.scalar(None, kind)
            trimmed = compute.utf8_trim_whitespace(compute.if_else(good, column, empty))
            column = compute.cast(trimmed, pyarrow.float64())
    elif types.is_integer(kind) and _read_number(value) is not None:
        other = pyarrow.scalar(float(value))  # 2.5 is no whole number, and is compared all the same
        column = compute.cast(column, pyarrow.float64(), safe=False)
    else:
        try:
            other = pyarrow.scalar(value).cast(kind)
        except (pyarrow.ArrowException, NotImplementedError) as err:
            raise UsageError(
                f"column '{condition.column}' holds {kind}, and {value!r} is none"
            ) from err
    try:
        found = getattr(compute, _COMPARISONS[condition.operator])(column, other)
    except pyarrow.ArrowException as err:
        raise UsageError(f"column '{condition.column}' of {kind} cannot be compared") from err
    filled = compute.fill_null(found, condition.operator == "!=")
    return np.asarray(filled.combine_chunks().to_numpy(zero_copy_only=False), bool)


def _read_number(text: str) -> float | None:
    return float(text) if re.match(_NUMBER, text) else None
