"""Lines of text files: what their bytes tell of their encoding, and which lines are bad."""

from __future__ import annotations

import gzip
import io
import tracemalloc
import zlib
from pathlib import Path

import pytest

from textkit.errors import DataError, LimitError
from textkit.io.corpus import RowReader
from textkit.io.text_lines import RowLimit, TextLines, wide_encoding

TEXTS = {
    "english": "text,label\nhello there,a\n",
    "one line": "hello",
    "french": "été,où\nça va\n",
    "russian": "привет мир\nвторая строка\n",
    "greek without white space": "καλημέρα",
    "hindi": "नमस्ते दुनिया\nदूसरी पंक्ति\n",
    "chinese": "你好，世界\n第二行\n",
    "mixed": "日本語 and English\n🙂\n",
}


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl"])
def test_wide_text_without_a_mark_is_named_with_its_command(
    name: str, text: str, encoding: str
) -> None:
    Path(name).write_bytes(text.encode(encoding))
    wanted = encoding.upper().replace("-LE", "LE").replace("-BE", "BE")
    with pytest.raises(DataError, match=rf"^{name}:1: file is {wanted[:6]}.*-f {wanted} -t UTF-8"):
        list(RowReader(name, on_bad="skip"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_wide_text_with_a_mark_is_named(encoding: str) -> None:
    Path("a.txt").write_bytes(TEXTS["english"].encode(encoding))
    with pytest.raises(DataError, match=f"file is {encoding.upper()}, expected UTF-8"):
        list(RowReader("a.txt"))


@pytest.mark.parametrize("text", [*TEXTS.values(), "a\n\x00b\n" * 9, "0\n2\n\x01\n6\n", "\x1b"])
def test_text_in_utf_8_is_never_taken_for_wide(text: str) -> None:
    assert wide_encoding(text.encode()) is None
    lines = TextLines(io.BytesIO(text.encode()), "a.txt")
    assert "".join(lines) == text


def test_nul_characters_are_kept_and_said() -> None:
    Path("a.txt").write_bytes(b"one\ntwo\0words\ncaf\xe9\0\nlast" + b" word" * 9)
    reader = RowReader("a.txt", on_bad="skip")
    assert [row.text for row in reader][:2] == ["one", "two\0words"]
    assert reader.notes()[0] == (
        "a.txt: 2 lines hold NUL characters, the first is line 2; they were kept as they are"
    )


def test_a_file_that_is_mostly_nul_is_no_text() -> None:
    Path("a.txt").write_bytes(b"abc\0\0\0\xff\xfe" * 40)
    with pytest.raises(DataError, match=r"^a.txt:1: not a text: 38% of its first bytes are NUL"):
        list(RowReader("a.txt", on_bad="skip"))


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.arrow"])
@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
        (b"/annex/objects/SHA256E-s1--0.csv\n", "a git-annex pointer"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive"),
        (b"PK\x03\x04\x14\0", "a zip archive"),
    ],
)
def test_a_corpus_that_only_stands_for_another_is_named(name: str, data: bytes, what: str) -> None:
    Path(name).write_bytes(data)
    with pytest.raises(DataError, match=f"^{name}: the file is {what}"):
        list(RowReader(name, on_bad="skip"))


def test_a_web_page_is_lines_of_a_txt_file_and_no_table() -> None:
    for name in ("a.txt", "a.csv"):
        Path(name).write_text("<html>\n<p>text</p>\n", encoding="utf-8")
    assert [row.text for row in RowReader("a.txt")] == ["<html>", "<p>text</p>"]
    with pytest.raises(DataError, match="the file is a web page"):
        list(RowReader("a.csv"))


def test_lines_of_many_blocks_are_numbered_and_the_bad_ones_told() -> None:
    data = bytearray(b"".join(b"%d some words of a line\n" % number for number in range(90_000)))
    for number in (1, 40_000, 89_999):
        data[data.index(b"%d some" % number) + 8] = 0xFF
    lines = TextLines(io.BytesIO(bytes(data)), "a.txt")
    bad = [lines.number for _ in lines if lines.bad is not None]
    assert bad == [2, 40_001, 90_000]
    assert lines.number == 90_000


LIMIT = RowLimit(1, "--max-row-mb")
LONG = "x" * ((1 << 20) + 1)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", f"one\n{LONG}\n", "a.txt:2: the line has more than 1 MB"),
        ("a.txt", f"one\n{LONG}", "a.txt:2: the line has more than 1 MB"),
        ("a.csv", f"text,y\none,x\n{LONG},x\n", "a.csv:3: the line has more than 1 MB"),
        (
            "a.csv",
            'text,y\none,x\n"two\n' + "word\n" * 300_000 + '",x\n',
            "a.csv:3: the row of a quote that opens here has more than 1 MB",
        ),
        ("a.jsonl", '{"text": "' + LONG + '"}\n', "a.jsonl:1: the line has more than 1 MB"),
        (
            "a.json",
            '[\n{"text": "a"},\n{"text": "b", "n": [' + "1,\n" * 900_000 + "1]}]",
            "a.json:3: the element has more than 1 MB",
        ),
    ],
)
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_longer_row_is_a_limit_with_its_place_and_option(
    name: str, data: str, message: str, ending: str
) -> None:
    raw = data.encode()
    Path(name + ending).write_bytes(gzip.compress(raw, 1) if ending else raw)
    with pytest.raises(LimitError) as caught:
        list(RowReader(name + ending, on_bad="skip", limit=LIMIT))
    assert str(caught.value).replace(ending or "\0", "", 1).startswith(message)
    assert str(caught.value).endswith("or pass a larger --max-row-mb")
    assert len(list(RowReader(name + ending))) in (1, 2)


def test_a_limit_without_an_option_names_none() -> None:
    assert "--" not in str(RowLimit().error("the line", "a.txt:1"))


@pytest.mark.parametrize("data", [LONG[1:], f"{LONG[1:]}\n", "one\n" * 700_000])
def test_rows_within_the_limit_are_read_however_long_the_file(data: str) -> None:
    Path("a.txt").write_text(data, encoding="utf-8")
    rows = [row.text for row in RowReader("a.txt", limit=LIMIT)]
    assert "\n".join(rows) == data.removesuffix("\n")


def test_a_small_packed_file_of_one_endless_line_takes_little_memory() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(b"a" * (1 << 20)) for _ in range(300)]
    Path("a.txt").write_bytes(b"".join([*parts, packer.flush()]))
    tracemalloc.start()
    with pytest.raises(LimitError, match="more than 8 MB"):
        list(RowReader("a.txt", limit=RowLimit(8)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00", "a picture"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "a picture"),
        (b"\x93NUMPY\x01\x00v\x00", "an array of NumPy"),
        (b"\x80\x04\x95\x1a\x00", "a pickle"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"\x7fELF\x02\x01\x01\x00", "a program"),
        (b"\x5d\x00\x00\x80\x00\xff", "packed by lzma"),
        (zlib.compress(b"text\n" * 40), "packed by zlib"),
        (b"\xff\x06\x00\x00sNaPpY\x00", "packed by snappy"),
        (gzip.compress(b"text\n", mtime=0), "packed twice by gzip"),
        (b"PAR1\xae\x00\x01", "a Parquet file"),
        (b"Obj\x01\x04", "an Avro file"),
        (b"{\\rtf1\\ansi hello}\n", "an RTF file"),
    ],
)
def test_a_binary_file_is_named_for_what_it_is(start: bytes, what: str) -> None:
    with pytest.raises(DataError, match=f"^a.csv: the file is {what}"):
        list(TextLines(io.BytesIO(start), "a.csv"))


def test_what_is_noise_is_no_text_of_another_encoding() -> None:
    noise = bytes((i * 167 + i * i * 13) % 256 for i in range(600))
    with pytest.raises(DataError, match=r"^a.csv:1: not a text: .* control characters"):
        list(TextLines(io.BytesIO(noise), "a.csv"))
    western = TextLines(io.BytesIO("it’s “fine”\n".encode("cp1252")), "a.txt")
    assert [western.bad is not None for _ in western] == [True]


@pytest.mark.parametrize("start", [b"PAR1 is a word\n", b"ORC\n", b"GIF89 is old\n", b"x \n"])
def test_a_text_that_begins_like_a_binary_file_is_read(start: bytes) -> None:
    assert list(TextLines(io.BytesIO(start), "a.txt")) == [start.decode()]


def test_an_answer_in_xml_is_no_table_but_may_be_a_text() -> None:
    answer = b"<?xml version='1.0'?>\n<Error><Code>AccessDenied</Code></Error>\n"
    with pytest.raises(DataError, match=r"^a.csv: the file is XML"):
        list(TextLines(io.BytesIO(answer), "a.csv", markup=False))
    assert len(list(TextLines(io.BytesIO(answer), "a.txt"))) == 2
