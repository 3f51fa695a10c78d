"""Splitting a file as a Python call: what the shell's verb does, and nothing is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from textkit.errors import UsageError
from textkit.jobs import SplitOptions, split_file
from textkit.watch import Watch


@pytest.fixture
def rows() -> Path:
    path = Path("a.csv")
    lines = "".join(f"text {i},{'xy'[i % 2]},{i // 4}\n" for i in range(20))
    path.write_text("text,label,author\n" + lines, encoding="utf-8")
    return path


def test_folds_hold_every_row_once_and_notes_go_to_the_watch(
    rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes: list[str] = []
    options = SplitOptions(data=rows, out=Path("out"), folds=5, group="author")
    written = split_file(options, watch=Watch(note=notes.append))
    assert [path.parent.name for path, _ in written[::2]] == [f"fold-{n}" for n in range(1, 6)]
    assert sum(n_rows for path, n_rows in written if path.name == "test.csv") == 20
    assert len(notes) == 1 and "guessed" in notes[0]
    assert capsys.readouterr() == ("", "")


def test_a_share_and_folds_exclude_each_other(rows: Path) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        split_file(SplitOptions(data=rows, out=Path("out"), folds=2, share=0.5))
    assert not Path("out").exists()
