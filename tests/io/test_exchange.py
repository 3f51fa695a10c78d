"""Folders change places: there is no moment with neither, and what a kill leaves is found again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from textkit.errors import StorageError, UsageError
from textkit.io import exchange, files


def seal(folder: str, text: str, *, overwrite: bool = False) -> None:
    with files.atomic_folder(folder, overwrite=overwrite) as temporary:
        files.write_text(temporary / "a.txt", text)
        files.write_manifest(temporary, kind="thing", format=1)


def names(folder: str = ".") -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def without_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_exchange", lambda new, path: False)


@pytest.mark.parametrize("has_call", [True, False])
def test_a_folder_takes_the_place_of_another(
    has_call: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_call:
        without_exchange(monkeypatch)
    for text in ("one", "two", "three"):
        seal("thing", text, overwrite=True)
        assert Path("thing/a.txt").read_text(encoding="utf-8") == text
    assert names() == ["thing"]


def test_a_reader_sees_a_whole_folder_at_every_moment() -> None:
    seal("thing", "0")
    seen, ended = set(), threading.Event()

    def read() -> None:
        while not ended.is_set():
            seen.add(Path("thing/manifest.json").is_file())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200):
        seal("thing", str(number), overwrite=True)
    ended.set()
    reader.join()
    assert seen == {True}


def test_an_old_folder_is_put_back_when_the_new_one_cannot_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_exchange(monkeypatch)
    seal("thing", "old")
    rename = Path.rename

    def fail(path: Path, target: Path) -> Path:
        if path.name.endswith(".part") and target.name == "thing":
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(StorageError, match=r"^thing: cannot write: Input/output error$"):
        seal("thing", "new", overwrite=True)
    assert Path("thing/a.txt").read_text(encoding="utf-8") == "old"
    assert names() == ["thing"]


def test_what_a_killed_exchange_set_aside_comes_back() -> None:
    seal("thing", "old")
    Path("thing").rename(".thing.old")
    assert exchange.settle("thing").is_dir()
    with pytest.raises(UsageError, match=r"^thing holds finished work"):
        seal("thing", "new")
    assert Path("thing/a.txt").read_text(encoding="utf-8") == "old"


@pytest.mark.parametrize("is_there", [True, False])
def test_a_symbolic_link_is_followed(is_there: bool) -> None:
    Path("disk").mkdir()
    Path("link").symlink_to("disk/thing")
    Path("link.txt").symlink_to("disk/a.txt")
    if is_there:
        seal("disk/thing", "old")
        files.write_text("disk/a.txt", "old")
    seal("link", "new", overwrite=True)
    files.write_text("link.txt", "new")
    for name in ("link", "link.txt"):
        assert Path(name).is_symlink()
    for name in ("disk/thing/a.txt", "disk/a.txt"):
        assert Path(name).read_text(encoding="utf-8") == "new"
    assert names("disk") == ["a.txt", "thing"]


def test_finished_work_is_replaced_only_when_that_is_said() -> None:
    seal("thing", "old")
    seal("thing", "old")  # the same bytes lose nothing
    with pytest.raises(UsageError, match=r"--overwrite \(in Python overwrite=True\)$"):
        seal("thing", "new")
    assert Path("thing/a.txt").read_text(encoding="utf-8") == "old"
    Path("empty").mkdir()
    seal("empty", "new")
    assert names() == ["empty", "thing"]


def test_a_pipe_takes_the_bytes_and_stays_a_pipe() -> None:
    os.mkfifo("pipe")
    descriptor = os.open("pipe", os.O_RDWR)
    files.write_text("pipe", "through")
    assert os.read(descriptor, 100) == b"through"
    os.close(descriptor)
    assert Path("pipe").is_fifo() and names() == ["pipe"]


KILLED = """
import os, signal, sys
from textkit.io import files
if sys.argv[1] == "file":
    with files.atomic_file("thing") as file:
        file.write(b"half")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
with files.atomic_folder("thing", overwrite=True) as folder:
    files.write_text(folder / "a.txt", "half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_process_left_goes_with_the_next_write(kind: str) -> None:
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", KILLED, kind], timeout=60)
        assert done.returncode == -signal.SIGKILL
        assert len(names()) == 1 and names()[0].startswith(".thing.")
    if kind == "file":
        files.write_text("thing", "whole")
    else:
        seal("thing", "whole")
    assert names() == ["thing"]


@pytest.mark.parametrize("n_writers", [2, 6])
def test_what_a_living_process_writes_is_left_alone(n_writers: int) -> None:
    with ExitStack() as stack:
        open_files = [stack.enter_context(files.atomic_file("a.txt")) for _ in range(n_writers)]
        for number, file in enumerate(open_files):
            file.write(b"%d" % number)
        assert len(names()) == n_writers
    assert names() == ["a.txt"] and Path("a.txt").read_bytes() == b"0"  # the first ends last


def test_a_hidden_name_that_leads_elsewhere_is_not_followed() -> None:
    files.write_text("mine", "mine")
    Path(".a.txt.0.part").symlink_to("mine")
    files.write_text("a.txt", "new")
    assert Path("mine").read_text(encoding="utf-8") == "mine"
    assert Path("a.txt").read_text(encoding="utf-8") == "new" and not Path("a.txt").is_symlink()


def test_half_a_removal_is_ended_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    seal("thing", "old")
    with monkeypatch.context() as patched:
        patched.setattr(exchange, "remove", lambda path: None)
        exchange.remove_folder(Path("thing"))
    assert names() == [".thing.0.part"]
    exchange.sweep(Path("thing"))
    assert names() == []
