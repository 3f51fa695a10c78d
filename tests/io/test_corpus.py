"""Rows from files: what is read, what is guessed, what is refused and where."""

from __future__ import annotations

import gzip
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from textkit.errors import DataError, StorageError, TextkitError, UsageError
from textkit.io.corpus import Row, RowReader, read_rows


def read(name: str, data: str | bytes, **options: object) -> list[Row]:
    raw = data.encode("utf-8") if isinstance(data, str) else data
    Path(name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return list(RowReader(name, **options))  # type: ignore[arg-type]


def failure(name: str, data: str | bytes, **options: object) -> TextkitError:
    with pytest.raises(TextkitError) as caught:
        read(name, data, **options)
    return caught.value


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", 'text,label\n"a, b",x\nc,y z\n'),
        ("a.csv", '\ufefflabel;text\r\nx;a, b\r\ny z;"c"\r\n'),
        ("a.tsv", "label\ttext\nx\ta, b\ny z\tc"),
        ("a.csv.gz", 'id,sentence,class\n1,"a, b",x\n2,c,y z\n'),
        ("a.csv", 'flag,utterance\nx,"a, b"\ny z,c\nx,d\nx,e\n'),
        ("a.jsonl", '{"text": "a, b", "label": "x"}\n\n{"label": "y z", "text": "c"}\n'),
        ("a.txt", "__label__x a, b\n__label__y c\n"),
    ],
)
def test_texts_and_labels_are_found(name: str, data: str) -> None:
    rows = read(name, data, labelled=True)
    assert [row.text for row in rows][:2] == ["a, b", "c"]
    assert [row.label for row in rows][:2] == ["x", "y" if name == "a.txt" else "y z"]


def test_a_row_knows_its_line() -> None:
    rows = read("a.csv", 'text,label\n"one\ntwo\nthree",x\n\nfour,y\n', labelled=True)
    assert [(row.text, row.line) for row in rows] == [("one\ntwo\nthree", 2), ("four", 6)]


def test_only_a_newline_ends_a_text_line() -> None:
    assert [row.text for row in read("a.txt", "a\u2028b\x0bc\r\n\nd")] == ["a\u2028b\x0bc", "", "d"]


def test_notes_say_what_was_guessed_skipped_and_replaced() -> None:
    Path("a.jsonl").write_text('{"text": "a\\ud800", "label": 3}\n\n', encoding="utf-8")
    reader = RowReader("a.jsonl", labelled=True)
    assert list(reader) == [Row("a\ufffd", "3", 1)]
    assert reader.notes() == [
        "a.jsonl: text = 'text', label = 'label' (guessed; --text-column, --label-column)",
        "a.jsonl: 1 blank lines are no rows",
        "a.jsonl: lone surrogates became U+FFFD in 1 fields",
    ]


def test_named_columns_are_taken() -> None:
    rows = read("a.csv", "text,title,label\na,b,c\n", text_column="title", label_column="text")
    assert rows == [Row("b", "a", 2)]


def test_a_text_of_a_megabyte_is_one_row() -> None:
    rows = read("a.csv", 'text,label\n"' + "word " * 200_000 + '",x\n', labelled=True)
    assert len(rows[0].text) == 1_000_000


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", "", "a.csv: file is empty; expected a header line, then rows"),
        (
            "a.csv",
            "text,label\na,b\nc,d,e\n",
            "a.csv:3: expected 2 fields, found 3; quote the text or pass --delimiter",
        ),
        ("a.csv", "text,label\na\n", "a.csv:2: expected 2 fields, found 1"),
        (
            "a.csv",
            'text,label\na,b\n"c,d\ne,f\n',
            "a.csv:3: a quote opens on this line and is not closed",
        ),
        (
            "a.csv",
            'text,label\n"c\nd","e\nf,g\n',
            "a.csv:3: a quote opens on this line and is not closed",
        ),
        (
            "a.csv",
            'text,label\n"c"" d\n","e\nf,g\n',
            "a.csv:3: a quote opens on this line and is not closed",
        ),
        (
            "a.csv",
            b"text,label\nok,x\ncaf\xe9,x\n",
            "a.csv:3:4: not UTF-8: byte 0xE9 at byte column 4",
        ),
        ("a.csv", "text,label\n".encode("utf-16"), "a.csv:1: file is UTF-16, expected UTF-8"),
        (
            "a.csv",
            "a,b,c\n1,2,3\n",
            "a.csv:1: no text column found in a, b, c; name it with --text-column",
        ),
        (
            "a.csv",
            "text,b,c\n1,2,3\n",
            "a.csv:1: no label column found in text, b, c; name it with --label-column",
        ),
        (
            "a.csv",
            "good film,pos\nbad film,neg\nfine film,pos\n",
            "a.csv:1: no header: 'pos' is a label further down",
        ),
        ("a.csv", "text,label\na\rb,c\n", "a.csv:2: a bare carriage return inside a row"),
        ("a.jsonl", '{"text": "a", "label": "b"}\n{"text"\n', "a.jsonl:2: not valid JSON"),
        ("a.jsonl", "[1]\n", "a.jsonl:1: expected a JSON object, found int"),
        (
            "a.jsonl",
            '{"text": "a", "label": "b"}\n{"text": 3, "label": "b"}\n',
            "a.jsonl:2: 'text' is 3, expected a",
        ),
        (
            "a.jsonl",
            '{"text": "a", "label": "b"}\n{"label": "b"}\n',
            "a.jsonl:2: no key 'text'; found label",
        ),
        (
            "a.txt",
            "no label here\n",
            "a.txt:1: no label; a .txt line for training is '__label__NAME text'",
        ),
    ],
)
def test_bad_data_is_one_line_with_its_place(name: str, data: str | bytes, message: str) -> None:
    error = failure(name, data, labelled=True)
    assert isinstance(error, DataError)
    assert str(error).startswith(message)
    assert "\n" not in str(error)


def test_missing_column_names_the_nearest() -> None:
    error = failure("a.csv", "text,label\na,b\n", text_column="texd")
    assert str(error) == "a.csv:1: unknown column 'texd'; did you mean 'text'? known: label, text"


def test_missing_file_folder_and_broken_gzip() -> None:
    with pytest.raises(StorageError, match=r"^no.csv: cannot open: No such file"):
        list(RowReader("no.csv"))
    Path("folder.csv").mkdir()
    with pytest.raises(DataError, match="no texts in this folder; expected a file for each text"):
        list(RowReader("folder.csv"))
    Path("a.txt.gz").write_bytes(gzip.compress(b"text\n" * 1000)[:-10])
    with pytest.raises(StorageError, match=r"^a.txt.gz: cannot read on after line"):
        list(RowReader("a.txt.gz"))
    with pytest.raises(UsageError, match="unknown format 'cvs'; did you mean 'csv'"):
        RowReader("a.csv", format="cvs")


@pytest.mark.parametrize(
    ("name", "data", "texts", "rejected"),
    [
        ("a.jsonl", b'{"text": "a\n{"text": "ok"}\n', ["ok"], ["a.jsonl:1"]),
        ("a.jsonl", b'{"id": 1}\n[2]\n{"text": "ok"}\n', ["ok"], ["a.jsonl:1", "a.jsonl:2"]),
        ("a.jsonl", b'{"text": "caf\xe9"}\n{"text": "ok"}\n', ["ok"], ["a.jsonl:1:14"]),
        ("a.txt", b"caf\xe9\nok\n", ["ok"], ["a.txt:1:4"]),
        ("a.csv", b"text\na,b\nok\n", ["ok"], ["a.csv:2"]),
        ("a.csv", b"text\ncaf\xe9\nok\n", ["ok"], ["a.csv:2:4"]),
    ],
)
def test_a_bad_first_row_is_skipped_as_any_other(
    name: str, data: bytes, texts: list[str], rejected: list[str]
) -> None:
    Path(name).write_bytes(data)
    reader = RowReader(name, on_bad="skip")
    assert [row.text for row in reader] == texts
    assert [line.partition(": ")[0] for line in reader.rejects] == rejected


def test_a_bad_first_label_is_skipped_as_any_other() -> None:
    rows = read("a.txt", "no label\n__label__x ok\n", labelled=True, on_bad="skip")
    assert [row.text for row in rows] == ["ok"]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
@pytest.mark.parametrize("header", [b"t\xe9xt\n", b"text\xff\tlabel\n", b"\n\xfftext\n"])
def test_a_header_is_never_a_row_that_may_be_skipped(name: str, header: bytes) -> None:
    error = failure(name, header + b"hello\nworld\n", on_bad="skip")
    assert "not UTF-8" in str(error)


def test_a_record_with_one_bad_line_is_left_out_whole() -> None:
    Path("a.csv").write_bytes(b'text,y\n"one\ncaf\xe9\nthree",x\nfour,y\n')
    reader = RowReader("a.csv", labelled=True, on_bad="skip")
    assert list(reader) == [Row("four", "y", 5)]
    assert reader.rejects[0].startswith("a.csv:3:4: not UTF-8")


def test_a_file_of_which_no_row_tells_the_columns_is_refused() -> None:
    error = failure("a.jsonl", '{\n"text": "a"\n}\n', on_bad="skip")
    assert str(error).startswith("a.jsonl:1: not valid JSON")


@pytest.mark.parametrize("key", ["text", "label"])
def test_a_key_that_is_there_twice_is_a_bad_row(key: str) -> None:
    line = '{"text": "a \\"text\\"", "label": "x", "' + key + '": "b"}\n'
    error = failure("a.jsonl", line, labelled=True)
    assert str(error) == f"a.jsonl:1: the key '{key}' is there twice; expected it once"
    deeper = '{"text": "a", "label": "x", "more": {"text": 1, "label": 2}}\n'
    assert read("a.jsonl", deeper, labelled=True) == [Row("a", "x", 1)]


def test_text_behind_a_closing_quote_is_named_for_what_it_is() -> None:
    error = failure("a.csv", 'text,y\n"good" film,x\n')
    assert str(error).startswith("a.csv:2: text follows a closing quote; write a quote inside")


@pytest.mark.parametrize("label", ["[NaN]", "[null]", "{}", '[["a"]]'])
def test_a_json_label_of_nothing_in_a_list_is_never_a_class(label: str) -> None:
    error = failure("a.jsonl", '{"text": "a", "label": ' + label + "}\n", labelled=True)
    assert str(error).startswith("a.jsonl:1: 'label' is ")


def test_header_only_has_no_rows() -> None:
    assert read("a.csv", "text,label\n", labelled=True) == []


def test_shared_files_are_read_whole(shared: Path) -> None:
    assert sum(1 for _ in RowReader(shared / "train_dev/ag_news_test.csv", labelled=True)) == 7600
    assert (
        sum(1 for _ in RowReader(shared / "train_dev/reuters_r8_test.csv.gz", labelled=True))
        == 2189
    )


@pytest.mark.parametrize("label", ["null", "NaN"])
def test_a_label_that_json_has_not_is_missing_and_not_bad(label: str) -> None:
    rows = f'{{"text": "a", "label": {label}}}\n{{"text": "b", "label": "x"}}\n'
    Path("a.jsonl").write_text(rows, encoding="utf-8")
    assert [row.label for row in RowReader("a.jsonl", labelled=True)] == [None, "x"]


def test_a_label_that_arrow_has_not_is_missing_and_not_bad() -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"text": ["a", "b"], "label": [None, 3]}), "a.parquet")
    assert [row.label for row in RowReader("a.parquet", labelled=True)] == [None, "3"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [";", "|", "\t"])
def test_the_line_that_names_the_separator_is_no_header(mark: str, end: str) -> None:
    lines = [f"sep={mark}", f"text{mark}label", f"a, b{mark}pos", f'"c{end}d"{mark}neg']
    Path("a.csv").write_text("".join(line + end for line in lines), encoding="utf-8", newline="")
    reader = RowReader("a.csv", labelled=True)
    for _ in range(2):
        found = [(row.text, row.label, row.line) for row in reader]
        assert found == [("a, b", "pos", 3), (f"c{end}d", "neg", 4)]


def test_a_quote_that_swallows_rows_is_said() -> None:
    rows = ['"good film,pos', "bad film,neg", 'fine film",pos', "last,neg"]
    Path("a.csv").write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    reader = RowReader("a.csv", labelled=True)
    for _ in range(2):
        assert [row.label for row in reader] == ["pos", "neg"]
    said = [line for line in reader.notes() if "quoted texts hold" in line]
    assert said == [
        "a.csv: 1 quoted texts hold lines that look like rows, the first begins on line 2; is its"
        " quote closed?"
    ]
    letter = '"Dear all,\nyes, we can go.\nA, B",pos\n'
    Path("a.csv").write_text(f"text,label\n{letter}", encoding="utf-8")
    reader = RowReader("a.csv", labelled=True)
    assert len(list(reader)) == 1 and not any("quoted texts" in line for line in reader.notes())


def test_quotes_with_a_backslash_are_named() -> None:
    Path("a.csv").write_text('text,label\n"say \\"no\\"",pos\n', encoding="utf-8")
    with pytest.raises(DataError, match=r'as "", not as \\"$'):
        list(RowReader("a.csv", labelled=True))


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
@pytest.mark.parametrize("data", ['{"text": "a"}\n', '[{"text": "a"}]\n', "[\n {}\n]\n"])
def test_json_under_the_name_of_a_table_is_told(name: str, data: str) -> None:
    Path(name).write_text(data, encoding="utf-8")
    with pytest.raises(DataError, match=f"^{name}:1: the header line is JSON: .* .jsonl"):
        list(read_rows(name))


def test_a_table_under_the_name_of_json_is_told() -> None:
    Path("a.jsonl").write_text("text,label\na,b\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"^a.jsonl:1: not valid JSON: .* that ending"):
        list(read_rows("a.jsonl"))


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_a_text_under_the_name_of_a_binary_table_is_told(name: str) -> None:
    Path(name).write_text("text,label\na,b\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"it is a text; give it the ending .csv"):
        list(read_rows(name))


@pytest.mark.parametrize(
    ("data", "asked", "format"),
    [
        ("text,label\ngood,pos\n", {"labelled": True}, "csv"),
        ("text\tlabel\ngood\tpos\n", {"labelled": True}, "csv"),
        ("text;label\ngood;pos\n", {"labelled": True, "delimiter": ";"}, "csv"),
        ('{"text": "good", "label": "pos"}\n', {"labelled": True}, "jsonl"),
        ('[{"text": "good", "label": "pos"}]\n', {"labelled": True}, "jsonl"),
        ("__label__pos good\n", {"labelled": True}, "txt"),
        ("text\ngood\n", {"text_column": "text"}, "csv"),
        ("good\n", {}, "txt"),
    ],
)
def test_a_pipe_of_which_columns_or_labels_are_asked_is_told_by_its_first_line(
    data: str, asked: dict[str, Any], format: str
) -> None:
    os.mkfifo("pipe")
    writer = threading.Thread(target=Path("pipe").write_text, args=(data,))
    writer.start()
    reader = RowReader("pipe", **asked)
    rows = list(reader)
    writer.join()
    assert reader.format == format
    assert [row.text for row in rows] == ["good"]
    assert [row.label for row in rows] == ["pos" if asked.get("labelled") else None]
