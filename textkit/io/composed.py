"""Several columns as one: a text from a template of columns, labels from columns of 0 and 1.

In: what the user names as a column where no column has that name. Out: the columns that it is made
of, and its value in a record; ValueError says why a record has none.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_FIELD = re.compile(r"\{([^{}]+)\}")
_SHOWN = 40
_YES, _NO = ("1", "1.0", "true"), ("0", "0.0", "false")


@dataclass(frozen=True)
class TextTemplate:
    """A text with columns in braces, as `{title}: {body}`; a missing value is the empty text.

    Where all its columns are empty, so is the text.

    >>> template = TextTemplate.read("{title}: {body}")
    >>> template.names, template.fill({"title": "Sun", "body": "It shines."})
    (('title', 'body'), 'Sun: It shines.')
    >>> template.fill({"title": None, "body": " "}), TextTemplate.read("title")
    ('', None)
    """

    template: str
    names: tuple[str, ...]

    @classmethod
    def read(cls, template: str | None) -> TextTemplate | None:
        """Read a template; None for what names no column in braces."""
        names = tuple(dict.fromkeys(_FIELD.findall(template or "")))
        return cls(template, names) if template is not None and names else None

    def fill(self, record: Mapping[str, object]) -> str:
        """Make the text of a record that has the columns."""
        values = {name: _text_of(name, record[name]) for name in self.names}
        if not any(map(str.strip, values.values())):
            return ""
        return _FIELD.sub(lambda field: values[field[1]], self.template)


@dataclass(frozen=True)
class IndicatorColumns:
    """A column for each label, 1 where the row has it and 0 where not, as `sport,money`.

    >>> columns = IndicatorColumns.read("sport,money")
    >>> columns.labels({"sport": "0", "money": True}), columns.labels({"sport": 1, "money": None})
    (['money'], None)
    """

    names: tuple[str, ...]

    @classmethod
    def read(cls, names: str | None) -> IndicatorColumns | None:
        """Read several names with commas between, one that holds a comma in quotes; None for one
        name.
        """
        several = tuple(dict.fromkeys(name for row in csv.reader([names or ""]) for name in row))
        return cls(several) if len(several) > 1 else None

    def labels(self, record: Mapping[str, object]) -> list[str] | None:
        """Give the labels of a record, perhaps none; None where a column has no value."""
        values = [record[name] for name in self.names]
        if any(map(is_missing, values)):
            return None
        return [name for name, value in zip(self.names, values, strict=True) if _says(name, value)]


def find_composed(
    text: str | None, label: str | None, header: Sequence[str]
) -> tuple[TextTemplate | None, IndicatorColumns | None]:
    """Give what is composed of a text and a label that were asked for: a column of that very name
    is that column.
    """
    return (
        None if text in header else TextTemplate.read(text),
        None if label in header else IndicatorColumns.read(label),
    )


def is_missing(value: object) -> bool:
    """Tell whether a value stands for none: None, NaN, NaT, pandas' NA, or nothing but white space.

    >>> [is_missing(value) for value in (None, float("nan"), " ", "nan", 0)]
    [True, True, True, False, False]
    """
    if value is None or isinstance(value, str):
        return value is None or not value.strip()
    try:
        return bool(value != value)
    # pandas' NA is neither true nor false, and Decimal's signalling NaN is compared with nothing.
    except (TypeError, ArithmeticError):
        return True
    except ValueError:  # several values
        return False


def _text_of(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | list | dict):
        raise ValueError(f"'{name}' is {str(value)[:_SHOWN]}, expected a string or a number")
    return "" if is_missing(value) else str(value)


def _says(name: str, value: object) -> bool:
    spelt = str(value).strip().lower()
    if spelt not in _YES and spelt not in _NO:
        raise ValueError(f"'{name}' is {str(value)[:_SHOWN]!r}; a column of one label holds 0 or 1")
    return spelt in _YES
