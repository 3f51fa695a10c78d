"""Files named by URLs: the rows of the same files here, found by folder and pattern, known again
when they change; and one line for whatever is missing.
"""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from textkit.errors import DataError, MissingExtraError, StorageError, UsageError
from textkit.io.inputs import expand_inputs
from textkit.io.packed import open_bytes
from textkit.io.remote import describe_url, list_url, open_url, url_of
from textkit.jobs import TokenizeOptions, tokenize_corpus
from textkit.jobs.tokenizer import CountPiecesOptions, PieceOptions, count_pieces

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")

TEXTS = [f"row {i}: é, 字 and \U0001f469" for i in range(30)]


@pytest.fixture
def store() -> Iterator[Any]:
    """Give an empty file system in memory."""
    found = fsspec.filesystem("memory")
    found.store.clear()
    yield found
    found.store.clear()


def put(store: Any, name: str, data: bytes) -> str:
    store.pipe(name, data)
    return f"memory:/{name}"


def tokens(name: str, out: str, **more: Any) -> dict[str, bytes]:
    tokenize_corpus(TokenizeOptions(inputs=[name], out=Path(out), part_rows=7, **more))
    parts = Path(out).glob("part-*")
    return {path.name: path.read_bytes() for path in parts}


def write(name: str) -> bytes:
    """Write the rows as a file of the format that its name says, and give its bytes."""
    lines = "\n".join(TEXTS).encode() + b"\n"
    if name.endswith(".gz"):
        Path(name).write_bytes(gzip.compress(lines))
    elif name.endswith(".txt"):
        Path(name).write_bytes(lines)
    else:
        table = pyarrow.table({"text": TEXTS, "id": range(30)})
        if name.endswith(".parquet"):
            parquet.write_table(table, name)
        else:
            opening = pyarrow.ipc.new_stream if "stream" in name else pyarrow.ipc.new_file
            with opening(name, table.schema) as writer:
                writer.write_table(table)
    return Path(name).read_bytes()


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.parquet", "a.arrow", "stream.arrow"])
def test_rows_are_those_of_the_file_here(name: str, store: Any) -> None:
    url = put(store, f"/in/{name}", write(name))
    keep = {} if "txt" in name else {"keep": ("id",)}
    assert tokens(name, "here", **keep) == tokens(url, "there", **keep)


def test_folders_and_patterns_are_found_in_order(store: Any) -> None:
    for name in ("b.txt", "a.csv", "c.png", "deep/d.jsonl"):
        put(store, f"/in/{name}", b"text\n")
    said: list[str] = []
    assert expand_inputs(["memory://in"], note=said.append) == [
        f"memory:///in/{name}" for name in ("a.csv", "b.txt", "deep/d.jsonl")
    ]
    assert said == [
        "memory://in: 1 file of other endings passed over, the first: memory:///in/c.png"
    ]
    assert expand_inputs(["memory://in/*.txt"]) == ["memory:///in/b.txt"]
    assert expand_inputs(["memory://in/c.png"]) == ["memory://in/c.png"]
    for wrong, message in (("x/*.txt", "no file matches"), ("none", "cannot open: No such file")):
        with pytest.raises(StorageError, match=rf"^memory://{wrong[:1]}.*: {message}"):
            list_url(f"memory://{wrong}")
    put(store, "/pictures/a.png", b"")
    with pytest.raises(StorageError, match="no files to read in this folder"):
        expand_inputs(["memory://pictures"])


def test_a_changed_input_is_not_resumed(store: Any) -> None:
    url = put(store, "/a.txt", b"one\ntwo\n")
    before = describe_url(url)
    assert before["bytes"] == 8 and describe_url(url) == before
    tokens(url, "out")
    put(store, "/a.txt", b"one\ntwi\n")
    assert describe_url(url) != before
    with pytest.raises(ValueError, match=r"memory://a\.txt is not as it was when the job began"):
        tokens(url, "out", resume=True)


def test_other_jobs_read_there_too(store: Any) -> None:
    url = put(store, "/a.txt", b"low lower\n" * 9)
    options = CountPiecesOptions(inputs=[url], out=Path("counts"), pieces=PieceOptions(kind="bpe"))
    assert count_pieces(options) == 2


def test_errors_name_the_url_and_the_line(store: Any) -> None:
    url = put(store, "/a.csv", b"text,id\nx,1\ny\n")
    with pytest.raises(DataError, match=r"^memory://a\.csv:3: expected 2 fields, found 1"):
        tokens(url, "out")
    with pytest.raises(StorageError, match=r"^memory://none\.txt: cannot open: No such file"):
        open_bytes(Path("memory://none.txt"))


@pytest.mark.parametrize(("name", "error"), [("read", RuntimeError), ("seek", ValueError)])
def test_a_system_that_fails_is_an_oserror(
    name: str, error: type[Exception], store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = open_url(put(store, "/a.txt", b"one\n"))

    def fail(*_: object) -> None:
        raise error("gone")

    monkeypatch.setattr(file, "source", type("Source", (), {name: fail, "close": lambda _: None})())
    with pytest.raises(OSError, match=f"{error.__name__}: gone"):
        file.read(1) if name == "read" else file.seek(0)


def test_what_is_missing_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"^nope://a: nothing is known of nope://: "):
        list_url("nope://a")
    if importlib.util.find_spec("s3fs") is None:
        with pytest.raises(UsageError, match=r"^s3://b/a: s3:// needs a further package: .*s3fs"):
            list_url("s3://b/a")
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "fsspec" else found(name)
    )
    with pytest.raises(MissingExtraError, match=r"^fsspec is not installed, s3:// needs it: pip"):
        list_url("s3://b/a")


def test_a_file_url_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n", encoding="utf-8")
    with open_bytes(Path((tmp_path / "a.txt").as_uri())) as file:
        assert file.read() == b"one\ntwo\n"


def test_names_of_this_machine_are_no_urls() -> None:
    for name in ("a.txt", "C:/a.txt", "hf:ann/reviews", "-", "a:b", "spacy:en"):
        assert url_of(name) is None
    for url in ("hf://datasets/a/b.csv", "file:///tmp/a.csv", "s3://b/c"):
        assert url_of(url) == url_of(Path(url)) == url
