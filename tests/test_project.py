"""What goes with the code: the changelog, the hooks before a commit, the steps of a release."""

from __future__ import annotations

import re
import runpy
import sys
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest

from textkit import __version__
from textkit.cli import VERBS

ROOT = Path(__file__).parents[1]
ENTRIES = re.findall(
    r"^## (\S+) \((\S+)\)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE
)


def test_the_changelog_begins_with_the_version() -> None:
    assert ENTRIES[0][0] == __version__


def test_versions_fall_and_all_but_the_newest_are_dated() -> None:
    numbers = [tuple(map(int, version.split("."))) for version, _ in ENTRIES]
    assert all(newer > older for newer, older in pairwise(numbers))
    days = [day for _, day in ENTRIES]
    dates = [date.fromisoformat(day) for day in days[days[0] == "unreleased" :]]
    assert dates == sorted(dates, reverse=True)


def test_every_heading_of_the_changelog_is_a_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert len(ENTRIES) == len(re.findall(r"^## ", text, flags=re.MULTILINE))


def test_the_hooks_are_the_projects_own_tools_and_nothing_is_fetched() -> None:
    clientlib = pytest.importorskip("pre_commit.clientlib", reason="pre-commit is not installed")
    repos = clientlib.load_config(ROOT / ".pre-commit-config.yaml")["repos"]
    assert {repo["repo"] for repo in repos} == {"local"}
    hooks = [hook for repo in repos for hook in repo["hooks"]]
    for hook in hooks:
        folder, _, tool = hook["entry"].split()[0].rpartition("/")
        assert folder == ".venv/bin" and Path(sys.executable).with_name(tool).exists(), hook
    lint = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlint:")[2].split("\n\n")[0]
    tools = set(re.findall(r"\$\(BIN\)/(\S+)", lint))
    assert {Path(hook["entry"].split()[0]).name for hook in hooks} == tools


@pytest.mark.parametrize("name", ["RELEASING.md", "SECURITY.md", "CONTRIBUTING.md"])
def test_what_a_page_names_is_there(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / target).exists(), target
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= set(targets)
    for path in re.findall(r"`((?:textkit|tests|scripts|docs|\.ci|pipelines)/[\w/.-]*)`", text):
        assert (ROOT / path).exists(), path


def test_the_check_of_the_wheel_tries_every_verb() -> None:
    program = runpy.run_path(str(ROOT / "scripts" / "check_wheel.py"))
    lines = program["WORKS"].splitlines()
    lines += [line.partition(" ")[2].strip() for line in program["NEEDS"].splitlines()]
    assert set(VERBS) <= {line.split()[0] for line in lines if line}
