"""The course: every script runs, and its page shows what it really prints."""

from __future__ import annotations

import doctest
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "examples" / "course").glob("*.py"))
PAGES = ROOT / "docs" / "course"
BRIEF = ("01-neuron", "02-activations")  # the others take seconds of processor time each


def name(path: Path) -> str:
    return path.stem


@pytest.fixture
def same_threads() -> Iterator[None]:
    """Take back the number of threads that a script sets for itself."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("same_threads")
@pytest.mark.parametrize(
    "script",
    [pytest.param(p, marks=[] if p.stem in BRIEF else [pytest.mark.slow]) for p in SCRIPTS],
    ids=name,
)
def test_a_page_shows_what_its_script_prints(
    script: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
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
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == set(re.findall(r"\(\.\./images/course/(\S+)\)", page))


def test_every_page_has_its_script_and_a_line_in_the_list() -> None:
    listed = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert [page.stem for page in sorted(PAGES.glob("*.md"))] == [path.stem for path in SCRIPTS]
    assert {path.stem for path in (ROOT / "docs/images/course").iterdir()} <= {
        p.stem for p in SCRIPTS
    }
    for path in SCRIPTS:
        assert f"(course/{path.stem}.md)" in listed
