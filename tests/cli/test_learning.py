"""What `textkit tokenizer train` says while a library learns, and that Ctrl-C ends it in native
code.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from textkit import tokenizers
from textkit.cli import output
from textkit.cli.learning import LearningClock
from textkit.jobs.tokenizer import LEARNING
from textkit.watch import Progress

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
TRAIN = [sys.executable, "-m", "textkit", "tokenizer", "train"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [["-k", "bpe"], ["-k", "wordpiece"], ["-k", "bpe", "--memory", "1M"]], ids=" ".join
)
def test_ctrl_c_ends_a_training_that_waits_for_texts(options: list[str]) -> None:
    """bpe reads its texts in the library, where Python hears no signal: without a watch this
    would wait for ever.
    """
    child = subprocess.Popen(
        [*TRAIN, "-", *options, "-o", "tok"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert child.stdin and child.stdout and child.stderr
    try:
        child.stdin.write(
            b"low lower lowest\n" * 400_000
        )  # more than any buffer holds: the training reads
        child.stdin.flush()
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=60) == 130
    finally:
        child.kill()
    assert child.stderr.read().decode().splitlines()[-1] == "error: interrupted"
    assert child.stdout.read() == b""
    child.stdin.close()
    child.stdout.close()
    child.stderr.close()
    assert not list(Path().iterdir())


def test_lines_come_while_a_library_learns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "LINE_EVERY_SECONDS", 0.01)
    before = signal.getsignal(signal.SIGINT)
    with LearningClock("wordpiece") as watch:
        time.sleep(0.1)
        assert capsys.readouterr().err == ""  # reading has a progress line of its own
        watch.progress(Progress(LEARNING, 0))
        said, deadline = "", time.monotonic() + 60
        while not said and time.monotonic() < deadline:
            said = capsys.readouterr().err
    assert said.splitlines()[0].startswith("learning: 0:00 so far, ")
    assert signal.getsignal(signal.SIGINT) == before
    assert capsys.readouterr().out == ""


def test_an_interrupt_that_python_answers_is_an_exception() -> None:
    with pytest.raises(KeyboardInterrupt), LearningClock("bpe"):
        signal.raise_signal(signal.SIGINT)
        time.sleep(60)


def test_the_command_learns_what_the_library_learns() -> None:
    texts = ["low lower lowest newer"] * 50
    Path("a.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    done = subprocess.run(
        [*TRAIN, "a.txt", "--size", "300", "-o", "tok"], env=ENVIRONMENT, capture_output=True
    )
    assert (done.returncode, done.stdout) == (0, b"")
    assert (
        tokenizers.load("tok").fingerprint == tokenizers.train("bpe", texts, size=300).fingerprint
    )
