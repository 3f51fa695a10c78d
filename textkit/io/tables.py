"""Data in memory: columns of tables, series and arrays of other libraries -> plain Python values.

In: a list, generator or dict of columns, numpy arrays, pandas, polars, pyarrow, `datasets`. Out:
the values of one column, a value a row. No library is imported for it: an object is known by what
it offers (`columns`, `column_names`, `__dataframe__`, `to_pylist`, `to_list`, `tolist`).

1. A table has columns: it is never taken for its texts, but one of its columns is, by name.
2. A column is one-dimensional; it is read as plain Python values, missing ones as they come.
3. What has no rows yet (a lazy frame), no order (a set) or no columns by name is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeVar

import numpy as np

from textkit.errors import UsageError, unknown_name
from textkit.io.composed import TextTemplate

_NAMED_COLUMNS = 10
# What gives the values of a column as plain Python: of pyarrow, of pandas and polars, of numpy.
_TO_LIST = ("to_pylist", "to_list", "tolist")


class Table(Protocol):
    """What holds columns by name: a frame, a dict of columns, a record array."""

    def __getitem__(self, column: str, /) -> object: ...


TextData = Iterable[str] | Table
Item = TypeVar("Item")


def find_columns(data: object) -> list[object] | None:
    """Give the names of a table's columns, in order; None for what is no table.

    >>> find_columns({"body": ["good"], "topic": ["pos"]}), find_columns(["good"])
    (['body', 'topic'], None)
    """
    if isinstance(data, Mapping):
        return list(data)
    if isinstance(data, np.ndarray):
        return None if data.dtype.names is None else list(data.dtype.names)
    for how, also in (("compute", "compute"), ("collect", "collect_schema")):
        # Asking a lazy frame for its columns would begin its work.
        if hasattr(data, how) and hasattr(data, also):
            raise UsageError(f"a {type(data).__name__} has no rows yet; call .{how}() first")
    for name in ("column_names", "columns"):
        columns = getattr(data, name, None)
        if isinstance(columns, Iterable) and not callable(columns):
            return list(columns)
    if hasattr(data, "__dataframe__"):
        return list(data.__dataframe__().column_names())
    return None


def take_column(table: object, column: str) -> list[object]:
    """Give the values of a table's column; UsageError where it has no such column, or two.

    >>> take_column({"body": ["good"], "topic": ["pos"]}, "topic")
    ['pos']
    """
    columns = find_columns(table)
    if columns is None:
        raise UsageError(
            f"column {column!r} is named, but a {type(table).__name__} is no table of columns"
        )
    if column not in columns:
        raise UsageError(unknown_name("column", str(column), map(str, columns)))
    if columns.count(column) > 1:
        raise UsageError(
            f"the {type(table).__name__} has {columns.count(column)} columns {column!r};"
            " rename all but one"
        )
    if not hasattr(table, "__getitem__"):  # a frame that offers nothing but its exchange
        from pyarrow import interchange

        table = interchange.from_dataframe(table)
    held: Table = table  # type: ignore[assignment]
    return take_values(held[column], what=f"column {column!r}")


def take_texts(
    data: Iterable[Item] | Table, *, column: str | None = None, what: str = "texts"
) -> Iterable[Item]:
    """Give the rows of what holds texts, or those of one column of a table; whether each is a str
    is for the caller to see.

    column: also several in braces, as `{title}: {body}`, where no column has that very name.

    >>> list(take_texts({"body": ["good"], "topic": ["pos"]}, column="body"))
    ['good']
    """
    template = None if column is None else _find_template(data, column)
    if template is not None:
        rows: Iterable[object] = _fill_rows(template, data)
    elif column is not None:
        rows = take_column(data, column)
    else:
        rows = iterate_values(data, what=what)
    return rows  # type: ignore[return-value]


def _find_template(data: object, column: str) -> TextTemplate | None:
    columns = find_columns(data)
    return None if columns is None or column in columns else TextTemplate.read(column)


def _fill_rows(template: TextTemplate, data: object) -> list[str]:
    columns = [take_column(data, name) for name in template.names]
    texts = []
    for number, values in enumerate(zip(*columns, strict=True)):
        try:
            texts.append(template.fill(dict(zip(template.names, values, strict=True))))
        except ValueError as err:
            raise UsageError(f"the text of row {number}: {err}") from None
    return texts


def take_values(data: object, *, what: str) -> list[object]:
    """Give the values of a column as a list: one a row, in order.

    >>> take_values(np.array([1, 2]), what="labels")
    [1, 2]
    """
    rows = iterate_values(data, what=what)
    return rows if isinstance(rows, list) else list(rows)


def iterate_values(data: object, *, what: str) -> Iterable[object]:
    """Give the values of a column, a stream as a stream; `what` names them in a refusal."""
    if isinstance(data, list | tuple):
        return data
    singular = what.removesuffix("s")
    if isinstance(data, str | bytes):
        raise UsageError(
            f"expected a list of {what}, found one {type(data).__name__}; wrap it in a list:"
            f" [{singular}]"
        )
    columns = find_columns(data)
    if columns is not None:
        raise UsageError(f"expected {what}, found {describe_table(data, columns)}")
    if isinstance(data, set | frozenset):
        raise UsageError(f"expected {what} in order, found a {type(data).__name__}; give a list")
    n_dimensions = getattr(data, "ndim", 1)
    if n_dimensions != 1 or hasattr(data, "toarray"):
        shape = " x ".join(map(str, getattr(data, "shape", ())))
        raise UsageError(
            f"expected {what} in one column, found a {type(data).__name__} of {shape or 'no rows'}"
        )
    for name in _TO_LIST:
        convert: Callable[[], list[object]] | None = getattr(data, name, None)
        if convert is not None:
            return convert()
    if isinstance(data, Iterable):
        return data
    raise UsageError(f"expected a list of {what}, found a {type(data).__name__}")


def describe_table(table: object, columns: list[object]) -> str:
    """Say which columns a table has, and how one of them is given."""
    names = ", ".join(map(str, columns[:_NAMED_COLUMNS]))
    more = len(columns) - _NAMED_COLUMNS
    listed = f"{names} and {more} more" if more > 0 else names or "none"
    first = columns[0] if columns else "text"
    return (
        f"a {type(table).__name__} with the column{'s' if len(columns) != 1 else ''} {listed};"
        f" give one of them, as data[{first!r}] or, where the call has it, text={first!r}"
    )
