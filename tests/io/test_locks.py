"""One process writes a folder at a time; the next is told which, and a dead one holds nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from textkit.errors import UsageError
from textkit.io import locks

HOLD = """
import sys, time
from textkit.io import locks
with locks.held("run"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_is_told_who_writes_and_a_killed_process_holds_nothing() -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    with (
        pytest.raises(UsageError, match=f"^run is being written by process {holder.pid} on "),
        locks.held("run"),
    ):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with locks.held("run"):
        assert str(os.getpid()) in Path(".run.lock").read_text(encoding="utf-8")
    assert not [*Path().iterdir()]


def test_a_link_and_its_folder_are_one_place() -> None:
    Path("disk").mkdir()
    Path("link").symlink_to("disk/run")
    with (
        locks.held("disk/run"),
        pytest.raises(UsageError, match=r"^run is being"),
        locks.held("link"),
    ):
        pass


def test_the_lock_of_a_removed_file_is_no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    take = locks.try_lock

    def remove_first(descriptor: int) -> bool | None:
        if Path(".run.lock").exists() and not Path("removed").exists():
            Path(".run.lock").unlink()
            Path("removed").touch()
        return take(descriptor)

    monkeypatch.setattr(locks, "try_lock", remove_first)
    with locks.held("run"), pytest.raises(UsageError), locks.held("run"):
        pass
