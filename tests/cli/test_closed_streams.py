"""Standard streams that are full, closed or read no further: one line, the right exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERBS = [["recipe", "show"], ["tokenize", "-"], ["tokenize", "-", "--count", "--json"], ["--help"]]


def shell(verb: list[str], streams: str, *, unbuffered: bool = False) -> tuple[int, str, str]:
    """Run a verb under sh with its streams redirected; give the exit code, output and messages."""
    command = f'"$0" -m textkit {" ".join(verb)} {streams}'
    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1" if unbuffered else ""},
        input="a b\n" * 5000,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("streams", "reason"),
    [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")],
)
@pytest.mark.parametrize("unbuffered", [False, True])
def test_output_that_cannot_be_written_is_one_line(
    verb: list[str], streams: str, reason: str, unbuffered: bool
) -> None:
    code, _, said = shell(verb, streams, unbuffered=unbuffered)
    assert (code, said) == (5, f"error: standard output: {reason}\n")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("streams", ["2>/dev/full", "2>&-"])
def test_messages_that_cannot_be_written_stop_no_work(verb: list[str], streams: str) -> None:
    code, out, _ = shell(verb, "")
    assert shell(verb, streams)[:2] == (code, out) and code == 0 and out


@pytest.mark.parametrize("streams", [">/dev/full 2>/dev/full", ">&- 2>&-"])
def test_a_failure_that_cannot_be_told_has_its_exit_code(streams: str) -> None:
    assert shell(["tokenize", "missing.txt"], streams) == (5, "", "")
    assert shell(["recipe", "show"], streams) == (5, "", "")


def test_a_closed_input_is_one_line() -> None:
    code, _, said = shell(["tokenize", "-"], "<&-")
    assert code == 5 and said.startswith("error: standard input: ") and said.count("\n") == 1


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = '"$0" -m textkit tokenize big.txt --to text; echo "exit $?" >&2'
    Path("big.txt").write_text("a b c\n" * 200_000, encoding="utf-8")
    done = subprocess.run(
        ["/bin/bash", "-c", f"({command}) | head -n 1", sys.executable],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.stdout, done.stderr) == ("a b c\n", "exit 141\n")


def test_no_file_of_a_run_gets_the_number_of_a_closed_stream() -> None:
    Path("a.txt").write_text("a b\n", encoding="utf-8")
    code, _, _ = shell(["tokenize", "a.txt", "-o", "out"], ">&- 2>&- <&-")
    assert code == 0 and Path("out/_manifest.json").exists()


@pytest.mark.parametrize("verb", [["--version"], ["--help"], ["train", "--help"]])
def test_a_reader_that_is_gone_already_is_the_same_everywhere(verb: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        done = subprocess.run(
            [sys.executable, "-m", "textkit", *verb],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=gone,
            stderr=subprocess.PIPE,
            timeout=120,
        )
    assert (done.returncode, done.stderr) == (141, b"")
