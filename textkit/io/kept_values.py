"""The values of kept columns: which types an output has for them, and how they are spelled as text.

In: names of inputs and of columns, or a value that JSON, parquet or arrow has. Out: the Arrow types
that all the inputs declare, or text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING

from textkit.io.arrow_rows import open_arrow
from textkit.io.inputs import guess_format, is_stream

if TYPE_CHECKING:
    import pyarrow


def declared_types(
    names: Sequence[str], format: str | None, keep: Sequence[str]
) -> dict[str, pyarrow.DataType]:
    """Give the Arrow types of the kept columns that all inputs declare, and declare alike.

    Cells of txt, csv, tsv and workbooks are text.

    >>> declared_types(["a.csv"], None, ["id"])
    {'id': DataType(string)}
    """
    if not keep:
        return {}
    import pyarrow

    found: dict[str, set[pyarrow.DataType | None]] = {name: set() for name in keep}
    for path in names:
        kind = format or guess_format(path)
        schema: dict[str, pyarrow.DataType] = {}
        if kind in ("parquet", "arrow") and not is_stream(path):
            with open_arrow(Path(path), kind) as rows:
                schema = {column.name: _storable(column.type) for column in rows.schema}
        for name in keep:
            is_text = kind in ("txt", "csv", "tsv", "xlsx")
            found[name].add(pyarrow.string() if is_text else schema.get(name))
    one = {name: types.pop() for name, types in found.items() if len(types) == 1}
    return {name: kind for name, kind in one.items() if kind is not None}


def describe_types(types: Mapping[str, pyarrow.DataType]) -> dict[str, object]:
    """Say as JSON which kept columns have a type other than text.

    >>> import pyarrow
    >>> describe_types({"id": pyarrow.int64(), "lang": pyarrow.string()})
    {'types': {'id': 'int64'}}
    """
    told = {name: str(kind) for name, kind in types.items() if str(kind) != "string"}
    return {"types": told} if told else {}


def _storable(kind: pyarrow.DataType) -> pyarrow.DataType | None:
    """Give the type that Parquet keeps of a column; None where it has none for it."""
    import pyarrow
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pyarrow.string()
    known = (
        *(types.is_integer, types.is_floating, types.is_boolean, types.is_string),
        *(types.is_binary, types.is_large_binary, types.is_decimal, types.is_date),
        *(types.is_time, types.is_timestamp, types.is_duration, types.is_list, types.is_struct),
        *(types.is_large_list, types.is_fixed_size_list, types.is_map),
        types.is_fixed_size_binary,
    )
    return kind if any(is_kind(kind) for is_kind in known) else None


def spell_cell(value: object) -> str:
    r"""Write a kept value as a cell: text as it is, nothing as nothing, a list as JSON.

    >>> spell_cell("007"), spell_cell(None), spell_cell(0.1), spell_cell([1, True])
    ('007', '', '0.1', '[1, true]')
    """
    if isinstance(value, str) or value is None:
        return value or ""
    plain = _plain(value)
    return plain if isinstance(plain, str) else to_json(plain) or ""


def to_json(value: object) -> str | None:
    """Spell a value as JSON, one that JSON has no word for as text; None for nothing.

    >>> to_json({"on": date(2024, 2, 1)}), to_json(None)
    ('{"on": "2024-02-01"}', None)
    """
    return None if value is None else JSON_ENCODER.encode(value)


def _plain(value: object) -> object:
    """Give what JSON has a word for."""
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value if isinstance(value, bool | int | float | str | list | dict) else str(value)


# Writes what JSON has no word for as text.
JSON_ENCODER = json.JSONEncoder(ensure_ascii=False, default=_plain)


def spell_row(row: Mapping[str, object]) -> str:
    """Write a row as a JSON object; what is no finite number becomes null.

    >>> spell_row({"price": float("nan"), "text": "NaN"})
    '{"price": null, "text": "NaN"}'
    """
    line = JSON_ENCODER.encode(row)
    if "NaN" in line or "Infinity" in line:  # in a number, or in a text
        return JSON_ENCODER.encode({name: _finite(value) for name, value in row.items()})
    return line


def _finite(value: object) -> object:
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
