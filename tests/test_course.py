"""The course: every script runs, and its page shows what it really prints."""

from __future__ import annotations

import doctest
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "examples" / "course").glob("*.py"))
PAGES = ROOT / "docs" / "course"
TRAINING = ("04-fnn", "05-cnn")  # seconds of processor time each


def name(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize(
    "script",
    [pytest.param(p, marks=[pytest.mark.slow] if p.stem in TRAINING else []) for p in SCRIPTS],
    ids=name,
)
def test_a_page_shows_what_its_script_prints(
    script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runpy.run_path(str(script), run_name="__main__")
    said = capsys.readouterr().out
    page = (PAGES / f"{script.stem}.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```console\n\$ python examples/course/\S+\n(.*?)^```", page, re.M | re.S)
    assert len(shown) == 1
    assert doctest.OutputChecker().check_output(
        shown[0], said, doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    ), said
    for diagram in re.findall(r"^```mermaid\n(.*?)^```", page, re.M | re.S):
        assert diagram in said


def test_every_page_has_its_script_and_a_line_in_the_list() -> None:
    listed = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert [page.stem for page in sorted(PAGES.glob("*.md"))] == [path.stem for path in SCRIPTS]
    for path in SCRIPTS:
        assert f"(course/{path.stem}.md)" in listed
