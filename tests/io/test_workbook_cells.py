"""Cells as texts: what openpyxl makes of numbers and dates, and what no library tells."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format, is_timedelta_format
from openpyxl.utils import get_column_letter
from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900, from_excel

from textkit.io.workbook_cells import (
    cell_name,
    column_number,
    shown_as,
    spell_number,
    unescape,
)

CODES = [
    *("yyyy-mm-dd", "dd/mm/yy hh:mm", "[$-409]d-mmm-yy;@", "h:mm AM/PM", "mm:ss.0", "[h]:mm:ss"),
    *("[mm]:ss", "0.00", "#,##0 [$EUR]", '0" days"', "0.00E+00", "[Red]0.0", "General", "@"),
    *("mmm", "yyyy", r"0\d", "_d0", '"yes";"no"', "dddd", "[Blue]dd.mm"),
]


@pytest.mark.parametrize("code", CODES)
def test_a_format_is_a_date_where_openpyxl_says_so(code: str) -> None:
    shown = shown_as(200, code)
    assert (shown != "number") == bool(is_date_format(code) or is_timedelta_format(code))
    assert (shown == "elapsed") == is_timedelta_format(code)


def test_formats_without_a_code_are_dates_where_openpyxl_says_so() -> None:
    for number, code in BUILTIN_FORMATS.items():
        assert (shown_as(number, None) != "number") == is_date_format(code), code


@given(st.integers(0, 2_958_465 * 86_400), st.booleans())
def test_a_moment_is_what_openpyxl_reads(seconds: int, since_1904: bool) -> None:
    days = seconds / 86_400
    epoch = CALENDAR_MAC_1904 if since_1904 else CALENDAR_WINDOWS_1900
    try:
        wanted = from_excel(days, epoch)
    except OverflowError:
        return
    text = spell_number(repr(days), "moment", since_1904=since_1904)
    if isinstance(wanted, time):
        assert time.fromisoformat(text) == wanted
    else:
        assert datetime.fromisoformat(text) == wanted


@given(st.dates(date(1900, 3, 1)))
def test_a_day_is_spelled_as_iso_has_it(day: date) -> None:
    days = (day - date(1899, 12, 30)).days
    assert spell_number(f"{days}.0", "date", since_1904=False) == day.isoformat()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_keeps_its_value(number: float) -> None:
    assert float(spell_number(repr(number), "number", since_1904=False)) == number


@pytest.mark.parametrize(
    ("value", "shown", "text"),
    [
        ("1", "number", "1"),
        ("1.0", "number", "1"),
        ("1E3", "number", "1000"),
        ("-0.0", "number", "0"),
        ("12345678901234567890", "number", "12345678901234567890"),
        ("0.10000000000000001", "number", "0.1"),
        ("45323.25", "date", "2024-02-01T06:00:00"),
        ("45323", "moment", "2024-02-01T00:00:00"),
        ("0.5", "time", "12:00:00"),
        ("1.0833333333333333", "elapsed", "26:00:00"),
        ("0.0000115740740741", "elapsed", "00:00:01"),
        ("-3", "date", "-3"),
        ("99999999", "date", "99999999"),
    ],
)
def test_numbers_and_dates_are_spelled(value: str, shown: str, text: str) -> None:
    assert spell_number(value, shown, since_1904=False) == text  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["x", "", "nan", "inf", "1e999", "9" * 5000])
def test_what_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"holds .* which is no number"):
        spell_number(value, "number", since_1904=False)


@given(st.integers(0, 16_383), st.integers(1, 1_048_576))
def test_cells_are_named_as_openpyxl_names_them(column: int, row: int) -> None:
    letters = get_column_letter(column + 1)
    assert cell_name(row, column) == f"{letters}{row}"
    assert column_number(letters) == column


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("a_x000D_b", "a\rb"),
        ("_x005F_x000D_", "_x000D_"),
        ("_x00e9_", "é"),
        ("snake_xcase_ _x12_", "snake_xcase_ _x12_"),
        ("_x005F_x005F_", "_x005F_"),
        ("_xD83D__xDE00_ _xD83D_", "😀 \ud83d"),
    ],
)
def test_what_stands_for_a_character_becomes_it(raw: str, text: str) -> None:
    assert unescape(raw) == text


def test_an_elapsed_time_is_hours() -> None:
    passed = timedelta(days=3, hours=1, minutes=2, seconds=3)
    days = repr(passed / timedelta(days=1))
    assert spell_number(days, "elapsed", since_1904=False) == "73:02:03"
