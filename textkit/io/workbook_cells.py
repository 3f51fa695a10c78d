"""Cells of a workbook, spelled as text: numbers, dates by their number format, truth values, texts.

In: a cell as its sheet has it. Out: its text, as a csv file would have it, dates in ISO form; a
ValueError names the cell that holds an error or a formula without a value.

1. An integer has no ".0": Excel stores 1 as 1.0 at times. Other numbers keep all their digits.
2. A number is a date where its format says so; the day that Excel counts from is 1900 or 1904.
3. TRUE and FALSE are spelled as the sheet shows them.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

Shown = Literal["number", "date", "time", "moment", "elapsed"]

_INTEGER = re.compile(r"[+-]?[0-9]{1,400}")
_DAY_MILLISECONDS = 86_400_000
_LAST_DAY = 2_958_466  # the first of the year 10000
_EPOCH, _EPOCH_1904 = datetime(1899, 12, 30), datetime(1904, 1, 1)
_EXACT = 10**16  # where Python's own spelling begins to have an exponent
# The formats that have a number instead of a code; 27 to 36 and 50 to 58 are those of East Asia.
_OF_NUMBER: dict[int, Shown] = {
    **dict.fromkeys((14, 15, 16, 17, *range(27, 37), *range(50, 59)), "date"),
    **dict.fromkeys((18, 19, 20, 21, 32, 33, 45, 47), "time"),
    22: "moment",
    46: "elapsed",
}
_NO_CODE = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]|general|am/pm|a/p')
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


class Cell(NamedTuple):
    """A cell as the sheet has it.

    kind: n a number, s a place among the shared texts, str a text, b a truth value, e an error, d a
    date in ISO form, f a formula without a value.
    """

    kind: str
    style: int
    value: str


def cell_name(row: int, column: int) -> str:
    """Name a cell as Excel does; row from 1, column from 0.

    >>> cell_name(7, 2), cell_name(1, 27)
    ('C7', 'AB1')
    """
    letters, column = "", column + 1
    while column:
        column, at = divmod(column - 1, 26)
        letters = chr(65 + at) + letters
    return f"{letters}{row}"


def column_number(letters: str) -> int:
    """Give the number of a column, from 0.

    >>> column_number("C"), column_number("AB")
    (2, 27)
    """
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def unescape(text: str) -> str:
    r"""Undo what stands for characters that XML has not.

    >>> unescape("one_x000D_\ntwo"), unescape("_x005F_x000D_")
    ('one\r\ntwo', '_x000D_')
    """
    if "_x" not in text:
        return text
    plain = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    # The two halves of a character of 32 bits become that character.
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def shown_as(number: int, code: str | None) -> Shown:
    """Tell what a number is shown as, by the number of its format and its code where it has one.

    >>> shown_as(14, None), shown_as(164, "dd.mm.yy hh:mm"), shown_as(165, '0.00" days"')
    ('date', 'moment', 'number')
    """
    if code is None:
        return _OF_NUMBER.get(number, "number")
    bare = _NO_CODE.sub("", code.lower().split(";")[0])
    if "[" in bare:
        return "elapsed"
    has_time = any(letter in bare for letter in "hs")
    if any(letter in bare for letter in "yd") or "mmm" in bare or ("m" in bare and not has_time):
        return "moment" if has_time else "date"
    return "time" if has_time else "number"


def spell_number(value: str, shown: Shown, *, since_1904: bool) -> str:
    """Spell a number, or the date that it is shown as; ValueError for what is none.

    >>> spell_number("12.0", "number", since_1904=False)
    '12'
    >>> spell_number("45323.5", "moment", since_1904=False)
    '2024-02-01T12:00:00'
    """
    if shown == "number" and _INTEGER.fullmatch(value):
        return str(int(value))
    try:
        number = float(value)
    except ValueError:
        raise ValueError(f"holds {value[:40]!r}, which is no number") from None
    if not math.isfinite(number):
        raise ValueError(f"holds {value}, which is no number")
    if shown != "number" and 0 <= number < _LAST_DAY:
        return _spell_date(number, shown, since_1904=since_1904)
    return str(int(number)) if number.is_integer() and abs(number) < _EXACT else repr(number)


def _spell_date(days: float, shown: Shown, *, since_1904: bool) -> str:
    passed = timedelta(milliseconds=round(days * _DAY_MILLISECONDS))
    if shown == "elapsed":
        hours, rest = divmod(passed, timedelta(hours=1))
        return f"{hours:02}{(datetime.min + rest).time().isoformat()[2:]}"
    moment = (_EPOCH_1904 if since_1904 else _EPOCH) + passed
    precision = "milliseconds" if moment.microsecond else "seconds"
    if days < 1:
        return moment.time().isoformat(precision)
    if days < 60 and not since_1904:
        moment += timedelta(days=1)  # Excel's 1900 has a 29th of February
    is_midnight = passed % timedelta(days=1) == timedelta(0)
    if shown == "date" and is_midnight:
        return moment.date().isoformat()
    return moment.isoformat(timespec=precision)
