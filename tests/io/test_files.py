"""The one writer: a name that exists is a file that is whole.

A sealed folder shows every change.
"""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from textkit.errors import ArtifactError, StorageError
from textkit.io import files


def make_sealed(folder: Path) -> Path:
    with files.atomic_folder(folder) as temporary:
        files.write_text(temporary / "a.txt", "alpha")
        files.write_json(temporary / "b.json", {"b": 1})
        files.write_manifest(temporary, kind="thing", format=2)
    return folder


def check(folder: Path, *, format: int = 2) -> None:
    files.check_manifest(folder, kind="thing", format=format)


@pytest.mark.parametrize(
    "failure", [KeyboardInterrupt, ValueError, OSError(errno.ENOSPC, "No space left on device")]
)
def test_failed_write_keeps_the_old_file_and_no_temporary(failure: BaseException) -> None:
    files.write_text("a.txt", "old")
    with (
        pytest.raises((KeyboardInterrupt, ValueError, StorageError)) as caught,
        files.atomic_file("a.txt") as file,
    ):
        file.write(b"half")
        raise failure
    assert Path("a.txt").read_text(encoding="utf-8") == "old"
    assert [path.name for path in Path().iterdir()] == ["a.txt"]
    if isinstance(failure, OSError):
        assert str(caught.value) == "a.txt: cannot write: No space left on device"


def test_failed_folder_keeps_the_old_folder() -> None:
    folder = make_sealed(Path("thing"))
    with pytest.raises(KeyboardInterrupt), files.atomic_folder(folder) as temporary:
        files.write_text(temporary / "a.txt", "half")
        raise KeyboardInterrupt
    check(folder)
    assert [path.name for path in Path().iterdir()] == ["thing"]


def test_folder_is_replaced_as_a_whole() -> None:
    folder = make_sealed(Path("thing"))
    with files.atomic_folder(folder, overwrite=True) as temporary:
        files.write_text(temporary / "c.txt", "gamma")
        files.write_manifest(temporary, kind="thing", format=2)
    assert sorted(path.name for path in folder.iterdir()) == ["c.txt", "manifest.json"]


def test_a_folder_of_somebody_else_is_not_replaced() -> None:
    Path("photos").mkdir()
    Path("photos/cat.txt").write_text("cat", encoding="utf-8")
    with pytest.raises(StorageError, match="not written by textkit"), files.atomic_folder("photos"):
        pass
    assert Path("photos/cat.txt").exists()


def test_unwritable_place_is_one_line() -> None:
    Path("file").write_text("x", encoding="utf-8")
    with pytest.raises(StorageError, match=r"^file/a.txt: cannot write: "):
        files.write_text("file/a.txt", "x")


def test_manifest_accepts_an_untouched_folder() -> None:
    check(make_sealed(Path("thing")))


def test_manifest_names_a_changed_byte() -> None:
    folder = make_sealed(Path("thing"))
    (folder / "a.txt").write_text("alphb", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"^thing/a.txt: file was changed"):
        check(folder)


def test_manifest_names_a_missing_file() -> None:
    folder = make_sealed(Path("thing"))
    (folder / "b.json").unlink()
    with pytest.raises(ArtifactError, match=r"^thing/b.json: file is missing"):
        check(folder)


def test_manifest_names_a_size_that_is_not_the_files() -> None:
    folder = make_sealed(Path("thing"))
    path = folder / "manifest.json"
    manifest = files.read_json(path)
    manifest["files"]["a.txt"]["bytes"] += 1
    path.write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"^thing/a.txt: file was changed: it has [\d,]+ bytes"):
        check(folder)


def test_manifest_names_a_file_that_is_read_and_not_listed() -> None:
    folder = make_sealed(Path("thing"))
    (folder / "README").write_text("a note beside it", encoding="utf-8")
    files.check_manifest(folder, kind="thing", format=2, reads=("*.json",))
    (folder / "extra.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"^thing/extra.json: file is not listed"):
        files.check_manifest(folder, kind="thing", format=2, reads=("*.json",))


def test_manifest_refuses_a_newer_format() -> None:
    folder = make_sealed(Path("thing"))
    with pytest.raises(
        ArtifactError,
        match=r"^thing/manifest.json: format 2 is newer than this textkit reads \(1\)",
    ):
        check(folder, format=1)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("[]", "no table of files"),
        ("{", "not valid JSON"),
        ('{"kind": "thing", "format": 1, "files": {}}', "the table of files is empty"),
        ('{"kind": "thing", "format": true, "files": {"a": {}}}', "format is True"),
        ('{"kind": "other", "format": 1, "files": {"a": {}}}', "kind is 'other', expected 'thing'"),
        ('{"kind": "thing", "format": "x", "files": {"a": {}}}', "format is 'x'"),
        ('{"kind": "thing", "format": 1, "files": {"../a": {}}}', "bad entry"),
        ('{"kind": "thing", "format": 1, "files": {"a.txt": 3}}', "bad entry"),
    ],
)
def test_manifest_that_is_none_is_refused(manifest: str, message: str) -> None:
    folder = make_sealed(Path("thing"))
    (folder / "manifest.json").write_text(manifest, encoding="utf-8")
    with pytest.raises(ArtifactError, match=message):
        check(folder)


def test_no_folder_and_no_manifest() -> None:
    with pytest.raises(ArtifactError, match="no such folder"):
        check(Path("nowhere"))
    Path("empty").mkdir()
    with pytest.raises(ArtifactError, match=r"no manifest.json"):
        check(Path("empty"))


def test_json_of_a_bounded_size() -> None:
    files.write_json("a.json", {"x": "y" * 100})
    with pytest.raises(ArtifactError, match="at most 10 are read"):
        files.read_json("a.json", limit_bytes=10)
    assert files.read_json("a.json")["x"] == "y" * 100


def test_json_keeps_a_lone_surrogate_as_its_escape() -> None:
    files.write_json("a.json", {"x": "\ud800"})
    assert json.loads(Path("a.json").read_bytes()) == {"x": "\ud800"}


# What Python lacks on Windows, taken away; msvcrt notes what is asked of it and is busy at first.
WITHOUT_POSIX = """
import errno, os, sys, types
sys.modules["fcntl"] = None
del os.register_at_fork, os.fork
asked = []
def locking(descriptor, mode, n_bytes):
    asked.append((mode, n_bytes))
    if len(asked) == 1:
        raise OSError(errno.EDEADLK, "busy")
sys.modules["msvcrt"] = types.SimpleNamespace(locking=locking, LK_LOCK=1)
from textkit import tokenizers
from textkit.io import files, locks
open_file = os.open
def refuse_folders(path, *arguments):
    if os.path.isdir(path):
        raise PermissionError(errno.EACCES, "a folder", path)
    return open_file(path, *arguments)
sys.platform, os.open = "win32", refuse_folders
with locks.locked("cache/.lock"):
    files.write_text("cache/a.txt", "whole")
assert asked == [(1, 1), (1, 1)]
trained = tokenizers.train("bpe", ["low lower lowest"], size=270)
trained.save("tok")
assert tokenizers.load("tok").encode(["low"]).ids.tolist() == trained.encode(["low"]).ids.tolist()
"""


def test_files_and_tokenizers_live_without_the_calls_that_windows_lacks() -> None:
    command = [sys.executable, "-c", WITHOUT_POSIX]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
