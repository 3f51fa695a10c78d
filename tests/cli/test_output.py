"""What the shell shows of a job's Watch."""

from __future__ import annotations

import io
import sys

import pytest

from textkit.cli import output
from textkit.watch import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_notes_and_a_line_now_and_then_stand_beside_the_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with output.Display() as watch:
        watch.note("first")
        watch.progress(Progress("reading", 1))
        monkeypatch.setattr(output, "LINE_EVERY_SECONDS", 0.0)
        watch.progress(Progress("reading", 2000, details="3 MB/s"))
        watch.progress(Progress("learning", 0, total=4, unit="steps"))
        watch.note("last")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "first",
        "reading: 2,000 rows, 3 MB/s",
        "learning: 0 steps of 4, ? left",
        "last",
    ]


def test_a_silent_display_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "LINE_EVERY_SECONDS", 0.0)
    with output.Display(silent=True) as watch:
        watch.note("first")
        watch.progress(Progress("reading", 1))
        watch.note("last")
    assert capsys.readouterr().err == ""


def test_on_a_terminal_each_title_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with output.Display() as watch:
        watch.progress(Progress("reading", 1, total=2))
        watch.note("a note")
        watch.progress(Progress("learning", 5, details="loss 0.5"))
    shown = sys.stderr.getvalue()
    assert "reading" in shown and "1/2" in shown and "a note" in shown
    assert "learning" in shown and "5/?" in shown and "loss 0.5" in shown
