"""A .txt file as lines, as paragraphs, or as one text."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from textkit.errors import DataError, LimitError, UsageError
from textkit.io.corpus import RowReader
from textkit.io.text_lines import RowLimit
from textkit.jobs import TokenizeOptions, stream_corpus, tokenize_corpus

TEXT = "\ufeffOne.\nTwo.\r\n\r\n \u3000\nThree, é.\n\n\n"


def rows(data: str | bytes, texts_are: Any, **options: Any) -> list[tuple[str, int]]:
    Path("a.txt").write_bytes(data.encode() if isinstance(data, str) else data)
    reader = RowReader("a.txt", texts_are=texts_are, **options)
    return [(row.text, row.line) for row in reader]


def test_paragraphs_stand_between_blank_lines() -> None:
    assert rows(TEXT, "paragraphs") == [("One.\nTwo.", 1), ("Three, é.", 5)]
    assert rows("", "paragraphs") == rows("\n \n", "paragraphs") == []


def test_a_file_is_one_text_as_it_is_but_for_its_last_line_ends() -> None:
    assert rows(TEXT, "files") == [("One.\nTwo.\r\n\r\n \u3000\nThree, é.", 1)]
    assert rows("", "files") == [("", 1)]


def test_lines_are_as_they_were() -> None:
    assert len(rows(TEXT, "lines")) == 7


def test_a_text_that_is_no_utf8_is_a_bad_row_whole() -> None:
    data = b"one\nca\xe9f\ntwo\n\nthree\n"
    with pytest.raises(DataError, match=r"a\.txt:2:3: not UTF-8"):
        rows(data, "paragraphs")
    assert rows(data, "paragraphs", on_bad="skip") == [("three", 5)]
    assert rows(data, "files", on_bad="skip") == []


@pytest.mark.parametrize(("texts_are", "line"), [("paragraphs", 3), ("files", 1)])
def test_a_text_over_the_limit_is_refused_where_it_begins(texts_are: str, line: int) -> None:
    data = "a\n\n" + f"{'b' * 1000}\n" * 1100
    with pytest.raises(LimitError, match=rf"a\.txt:{line}.*more than 1 MB"):
        rows(data, texts_are, limit=RowLimit(1, "--max-row-mb"))


def test_it_is_for_txt_files_without_labels() -> None:
    Path("a.csv").write_text("text\na\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"a\.csv: csv has rows; texts are files in \.txt"):
        RowReader("a.csv", texts_are="files")
    with pytest.raises(UsageError, match="labels stand in lines"):
        RowReader("a.txt", texts_are="files", labelled=True)
    with pytest.raises(UsageError, match="did you mean 'files'"):
        TokenizeOptions(inputs=["a.txt"], texts_are="file")  # type: ignore[arg-type]


def test_a_corpus_of_documents_in_windows() -> None:
    Path("texts").mkdir()
    for name, text in (("1", "One. Two.\n\nThree."), ("2", "Four.")):
        Path("texts", f"{name}.txt").write_text(text, encoding="utf-8")
    sink = io.BytesIO()
    options = TokenizeOptions(inputs=["texts"], texts_are="files", window=4)
    stream_corpus(options, sink)
    found = [json.loads(line) for line in sink.getvalue().splitlines()]
    assert [(row["row"], row["window"]) for row in found] == [
        (0, [0, 9]),
        (0, [5, 17]),
        (1, [0, 5]),
    ]


def test_a_job_of_lines_says_nothing_of_it_and_one_of_files_does() -> None:
    Path("a.txt").write_text("One.\n", encoding="utf-8")
    for texts_are, out in (("lines", "one"), ("files", "two")):
        options: Any = {"inputs": ["a.txt"], "texts_are": texts_are, "out": Path(out)}
        tokenize_corpus(TokenizeOptions(**options))
    assert "texts_are" not in Path("one/_job.json").read_text(encoding="utf-8")
    assert '"texts_are": "files"' in Path("two/_job.json").read_text(encoding="utf-8")
