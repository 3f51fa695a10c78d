"""Names, globs and folders: what is read, and what is passed over and said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.golden.observations import GOLDEN
from textkit import Vectors, tokenizers
from textkit.errors import StorageError, UsageError
from textkit.io.corpus import RowReader
from textkit.io.inputs import expand_inputs
from textkit.jobs.explain import split_source


def expand(*patterns: str) -> tuple[list[str], list[str]]:
    notes: list[str] = []
    return expand_inputs(patterns, note=notes.append), notes


def write(name: str, text: str = "x\n") -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")


def test_linked_folders_and_files_inside_a_folder_are_read() -> None:
    write("c/q.txt")
    write("real/deep/x.txt")
    write("elsewhere.txt")
    Path("c/link").symlink_to("../real")
    Path("c/file.txt").symlink_to("../elsewhere.txt")
    assert expand("c") == (["c/file.txt", "c/link/deep/x.txt", "c/q.txt"], [])


@pytest.mark.parametrize("target", [".", "..", "../../c/inner"])
def test_a_link_back_is_named_and_the_rest_is_read_once(target: str) -> None:
    write("c/q.txt")
    write("c/inner/r.txt")
    Path("c/inner/loop").symlink_to(target)
    assert expand("c") == (
        ["c/inner/r.txt", "c/q.txt"],
        ["c/inner/loop: passed over, a link back to a folder that it stands in"],
    )


@pytest.mark.parametrize("given", ["c", "c/*.txt", "c/gone.txt"])
def test_a_link_to_nothing_with_the_name_of_a_corpus_stops(given: str) -> None:
    write("c/q.txt")
    Path("c/gone.txt").symlink_to("../nowhere.txt")
    with pytest.raises(StorageError, match=r"^c/gone.txt: a link to '../nowhere.txt', which"):
        expand(given)


def test_what_else_is_passed_over_is_said() -> None:
    write("c/q.txt")
    write("c/readme.md")
    write("c/more/page.html")
    Path("c/old").symlink_to("nowhere")
    os.mkfifo("c/pipe.txt")
    names, notes = expand("c")
    assert names == ["c/q.txt"]
    assert notes == [
        "c/old: passed over, a link to 'nowhere', which is not there; restore the file or remove"
        " the link",
        "c/pipe.txt: passed over, it is no file; name it to read it",
        "c: 2 files of other endings passed over, the first: c/more/page.html",
    ]


def test_a_glob_says_which_folders_it_does_not_read() -> None:
    write("c/q.txt")
    write("c/more/r.txt")
    assert expand("c/*") == (["c/q.txt"], ["c/*: 1 folder passed over, the first: c/more"])
    with pytest.raises(StorageError, match="matches folders alone, the first: c/more"):
        expand("c/m*")


def test_a_folder_that_cannot_be_read_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    write("c/q.txt")
    write("c/closed/r.txt")
    list_folder = Path.iterdir

    def refuse(path: Path) -> object:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return list_folder(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(StorageError, match=r"^c/closed: cannot read the folder: Perm"):
        expand("c")


def test_a_pipe_that_is_named_is_an_input() -> None:
    os.mkfifo("pipe.txt")
    assert expand("pipe.txt", "/dev/null") == (["pipe.txt", "/dev/null"], [])


def pipe(data: bytes) -> str:
    """Give the name of a pipe that holds some bytes, as a shell gives for <(command)."""
    out, into = os.pipe()
    os.write(into, data)
    os.close(into)
    return f"/dev/fd/{out}"


@pytest.mark.parametrize(
    "data",
    [
        b"__label__pos good film\n__label__neg bad\n",
        b"\xef\xbb\xbftext;label\r\ngood film;pos\r\nbad;neg\r\n",
        b'{"text": "good film", "label": "pos"}\n{"text": "bad", "label": "neg"}\n',
        b'[{"text": "good film", "label": "pos"}, {"text": "bad", "label": "neg"}]',
    ],
)
def test_labelled_rows_of_a_name_without_a_format_tell_it_by_their_start(data: bytes) -> None:
    Path("rows.dat").write_bytes(data)
    for name in (pipe(data), "rows.dat"):
        rows = [(row.text, row.label) for row in RowReader(name, labelled=True)]
        assert rows == [("good film", "pos"), ("bad", "neg")]
    # Texts alone are lines, as ever.
    assert [row.text for row in RowReader(pipe(b"text,label\n"))] == ["text,label"]


def test_a_pipe_is_read_once_by_what_takes_a_file_or_refused() -> None:
    tokenizer = (GOLDEN / "model-2-members/tokenizer.json").read_bytes()
    assert tokenizers.load(pipe(tokenizer)).encode(["a film"]).ids.tolist()
    assert split_source(name := pipe(b"a film\n")) == {"data": name}
    with pytest.raises(UsageError, match="is a pipe and cannot be read a second time"):
        Vectors.open(pipe(b"king 1 2\nof 3 4\n"))
