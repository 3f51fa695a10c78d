"""The pages do what they say: every python block runs, page by page, in a scratch folder.

On the pages of `docs/coming-from/` every shell block runs too, in the order of the page, what it
shows is what the command prints, and what their tables promise stands in a block that ran.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shell import run_textkit

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMING_FROM = sorted((ROOT / "docs" / "coming-from").glob("*.md"))
OTHERS = [page for page in PAGES if page not in COMING_FROM]
# Their blocks train, most on all the quick-start data: 1 to 6 s of processor time each.
TRAINING = ("README.md", "classify.md", "embed.md", "evaluate.md", "tutorial.md")

BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def run_page(page: Path, *, console: bool) -> None:
    """Run the blocks of a page in its order: python, all in one namespace, and the shell's."""
    names: dict[str, object] = {"__name__": page.stem}
    for number, (language, block) in enumerate(
        BLOCK.findall(page.read_text(encoding="utf-8")), start=1
    ):
        if language == "python":
            exec(compile(block, f"{page.name}, block {number}", "exec"), names)
        elif console:
            run_console(block)


def run_console(block: str) -> None:
    """Run the lines after `$ ` by the shell; compare what stands below with what it prints.

    `...` stands for any text, and standard error is not looked at.
    """
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, wanted = re.sub(r"\\\n\s*", "", part).partition("\n")
        done = run_command(command)
        assert done.returncode == 0, f"{command}\n{done.stderr.decode()}"
        said, flags = done.stdout.decode(), doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        if wanted.strip():
            assert doctest.OutputChecker().check_output(wanted, said, flags), f"{command}\n{said}"


def run_command(command: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line by `sh`; a textkit at its end by tests.shell, which has imported torch already."""
    before, _, last = command.rpartition(" | ")
    if not last.startswith("textkit ") or set(last) & set("<>&;$`*"):
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
        return subprocess.run(["sh", "-c", command], env=environment, capture_output=True)
    given = subprocess.run(["sh", "-c", before], stdout=subprocess.PIPE, check=True).stdout
    return run_textkit(*shlex.split(last)[1:], input=given)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] if page.name in TRAINING else [])
        for page in OTHERS
    ],
    ids=name,
)
def test_every_python_block_runs(page: Path) -> None:
    run_page(page, console=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", COMING_FROM, ids=name)
def test_every_block_of_coming_from_runs(page: Path) -> None:
    run_page(page, console=True)


def promises(text: str) -> Iterator[str]:
    """Give the code of the last column of the tables that lead here: what textkit is told to do."""
    for table in re.findall(
        r"^\|[^\n]*\| textkit \|\n\|[-| ]+\|\n((?:\|.*\n)+)", text, flags=re.MULTILINE
    ):
        for row in table.splitlines():
            yield from re.findall(r"`([^`]+)`", re.split(r"(?<!\\)\|", row)[-2].replace("\\|", "|"))


@pytest.mark.parametrize("page", COMING_FROM, ids=name)
def test_what_coming_from_promises_stands_in_a_block(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    blocks = re.sub(r"\\\n\s*", "", "\n".join(block for _, block in BLOCK.findall(text)))
    promised = list(promises(text))
    assert promised
    assert [code for code in promised if code not in blocks] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_local_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
