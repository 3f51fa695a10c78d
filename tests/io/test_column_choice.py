"""Which columns are taken: by name, by elimination, and when that is no choice."""

from __future__ import annotations

import re

import pytest

from textkit.io.column_choice import WantedColumns, guess_delimiter


@pytest.mark.parametrize(
    ("header", "wanted", "message"),
    [
        (["text", "text"], WantedColumns(), "2 columns are named 'text' (columns 1, 2); rename"),
        (["a", "text", "b", "text"], WantedColumns(text="text"), "(columns 2, 4); rename all but"),
        (["Text", "text"], WantedColumns(), "'Text' and 'text' could both be the text; name one"),
        (["label ", "text", "Label"], WantedColumns(labelled=True), "with --label-column"),
        (["text", "id", "id"], WantedColumns(keep=("id",)), "2 columns are named 'id'"),
        (["text", "y", "y"], WantedColumns(labelled=True), "2 columns are named 'y'"),
    ],
)
def test_columns_that_could_both_be_meant_are_refused(
    header: list[str], wanted: WantedColumns, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        wanted.choose(header)


@pytest.mark.parametrize(
    ("header", "wanted", "chosen"),
    [
        (["Text", "text"], WantedColumns(text="text"), ("text", None)),
        (["id", "id", "text"], WantedColumns(), ("text", None)),
        (["review", "text", "y"], WantedColumns(labelled=True), ("text", "y")),
        (["only"], WantedColumns(), ("only", None)),
    ],
)
def test_a_clear_choice_is_made(
    header: list[str], wanted: WantedColumns, chosen: tuple[str, str | None]
) -> None:
    choice = wanted.choose(header)
    assert (choice.text, choice.label) == chosen


def test_a_message_about_texts_alone_names_no_option_of_labels() -> None:
    with pytest.raises(ValueError, match=r"--text-column$"):
        WantedColumns().choose(["a", "b"])


@pytest.mark.parametrize(
    ("header", "column", "delimiter"),
    [
        ("text;a,b", None, ";"),
        ("id|text|a,b;c", None, "|"),
        ('"Text"\tprice, net', None, "\t"),
        ("Kommentar;Ort, Tag", "Kommentar", ";"),
        ("text,label", None, ","),
        ("text", None, ","),
        ("text;label", None, ";"),
    ],
)
def test_the_delimiter_is_what_leaves_the_text_alone(
    header: str, column: str | None, delimiter: str
) -> None:
    assert guess_delimiter(header, column) == delimiter
