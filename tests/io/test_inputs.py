"""Names, globs and folders: what is read, and what is passed over and said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from textkit.errors import StorageError
from textkit.io.inputs import expand_inputs


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
