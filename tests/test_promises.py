"""docs/promises.md: every promise names tests that are there; and the one test that has no other
home.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shell import ROOT

PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
ROWS = [line.split(" | ") for line in PAGE.splitlines() if re.match(r"\| \d+ \|", line)]

# Raises where a process would speak to a network, and runs verbs one after the other.
_DEAF = """
import runpy, sys
def hear(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        raise SystemExit(f"asked the network: {event} {arguments[1:]}")
sys.addaudithook(hear)
for line in sys.stdin.read().splitlines():
    sys.argv = ["textkit", *line.split()]
    try:
        runpy.run_module("textkit", run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise SystemExit(f"{line}: {end.code}")
"""


def test_there_are_twelve_promises_each_with_what_is_not_promised() -> None:
    assert [int(row[0].strip("| ")) for row in ROWS] == list(range(1, 13))
    assert all(len(row) == 4 and row[3].strip("| ") for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip("| "))
def test_the_tests_that_hold_a_promise_are_there(row: list[str]) -> None:
    named = re.findall(r"`(tests/\S+\.py)::(\w+)`", row[2])
    assert named
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.slow
def test_no_verb_asks_the_network() -> None:
    rows = "".join(f"a {noun} is number {n},{noun}\n" for n in range(30) for noun in ("cat", "car"))
    Path("rows.csv").write_text("text,label\n" + rows, encoding="utf-8")
    Path("good.txt").write_text("cat 1 2\ncar 2 1\n", encoding="utf-8")
    verbs = [
        "tokenizer train rows.csv --kind wordpiece --size 60 -o tok",
        "tokenize rows.csv -t tok -o ids",
        "train rows.csv -e linear -o run",
        "train rows.csv -e bag --epochs 1 -o net",
        "predict run rows.csv -o answers.csv",
        "evaluate net rows.csv",
        "embed rows.csv -m good.txt -o vectors",
        "vectors nearest good.txt cat",
    ]
    done = subprocess.run(
        [sys.executable, "-c", _DEAF],
        input="\n".join(verbs).encode(),
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert Path("answers.csv").exists() and Path("vectors").exists()
