"""`textkit vectors` as a shell sees it: output, exit codes, one line an error, stop and resume."""

from __future__ import annotations

import json
import os
import pty
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.shell import ROOT, run_textkit

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "TERM": "xterm"}


def run(*arguments: str) -> tuple[int, str, str]:
    done = run_textkit("vectors", *arguments, environment={"COLUMNS": "100", "TERM": "xterm"})
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def check(*arguments: str) -> str:
    code, out, said = run(*arguments)
    assert code == 0, said
    return out


def fails(code: int, *arguments: str) -> str:
    ended, _, said = run(*arguments)
    assert ended == code, said
    lines = said.strip().splitlines()
    assert lines[-1].startswith("error: ")
    assert "Traceback" not in said
    return lines[-1]


@pytest.fixture
def vectors() -> str:
    rows = {
        "king": "1 0 0",
        "queen": "1 0.1 0",
        "man": "0 1 0",
        "woman": "0 1 0.1",
        "tree": "0 0 1",
    }
    Path("v.txt").write_text(
        "".join(f"{word} {values}\n" for word, values in rows.items()), encoding="utf-8"
    )
    return "v.txt"


@pytest.mark.slow
def test_nearest_and_analogy_write_lines_and_json(vectors: str) -> None:
    assert check("nearest", vectors, "king", "-k", "1") == "king\tqueen\t0.9950\n"
    found = json.loads(check("nearest", vectors, "king", "-k", "2", "--json"))
    assert [entry["word"] for entry in found["nearest"]] == ["queen", "man"]
    assert "\tqueen\t" in check("analogy", vectors, "man", "woman", "king", "-k", "1")


def test_nearest_imports_nothing_heavy(vectors: str) -> None:
    script = (
        "import sys; from textkit.cli import app; "
        f"app(['vectors', 'nearest', {vectors!r}, 'king'], standalone_mode=False); "
        "print(sorted({'torch', 'gensim', 'pandas', 'matplotlib', 'usearch', 'spacy', 'sklearn'} &"
        " sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=ENVIRONMENT, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_an_index_answers_as_the_exact_search_does(vectors: str) -> None:
    pytest.importorskip("usearch")
    check("index", vectors, "-o", "i")
    exact = check("nearest", vectors, "king", "-k", "2")
    assert check("nearest", vectors, "king", "-k", "2", "--index", "i") == exact
    Path("other.txt").write_text("king 1 2 3\nqueen 3 2 1\n", encoding="utf-8")
    assert "an index of other vectors than other.txt" in fails(
        4, "nearest", "other.txt", "king", "--index", "i"
    )


def test_nearest_is_a_table_on_a_terminal(vectors: str) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "textkit", "vectors", "nearest", vectors, "king"]
    done = subprocess.run(
        command, stdout=theirs, stderr=subprocess.PIPE, env=ENVIRONMENT, timeout=60
    )
    os.close(theirs)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert done.returncode == 0
    assert "queen" in shown
    assert "0.995" in shown
    assert "█" in shown


@pytest.mark.slow
def test_convert_info_and_evaluate(vectors: str) -> None:
    check("convert", vectors, "-o", "own", "--dtype", "float16")
    facts = json.loads(check("info", "own", "--json"))
    assert (facts["n_words"], facts["dim"], facts["dtype"], facts["verified"]) == (
        5,
        3,
        "float16",
        True,
    )
    assert "5 words, 3 wide, float16, all files verified" in check("info", "own")
    Path("pairs.tsv").write_text(
        "king\tqueen\t9\nman\twoman\t9\nking\ttree\t1\nking\tcar\t3\n", encoding="utf-8"
    )
    assert "3 of 4 pairs covered; missing: car" in check("evaluate", "own", "pairs.tsv")
    Path("questions.txt").write_text(": family\nman woman king queen\n", encoding="utf-8")
    assert "accuracy 1.000, 1 of 1 covered" in check("evaluate", "own", "questions.txt")
    Path("own/config.json").write_text("{}", encoding="utf-8")
    assert "own/config.json" in fails(4, "info", "own")


def test_plot_writes_a_page_and_a_picture(vectors: str) -> None:
    Path("w.tsv").write_text("king\trole\ntree\tplant\nnoword\tplant\n", encoding="utf-8")
    code, _, said = run("plot", vectors, "--words", "w.tsv", "-o", "p.html")
    assert code == 0 and "1 of 3 words are unknown and not drawn: noword" in said
    assert Path("p.html").stat().st_size > 5000
    assert Path("p.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_bad_input_is_one_line_and_a_code(vectors: str) -> None:
    assert fails(3, "nearest", vectors, "King").endswith("did you mean 'king'?")
    assert "no such file or folder" in fails(4, "info", "missing.bin")
    Path("bad.txt").write_text("a 1 2\nb 3\n", encoding="utf-8")
    assert "bad.txt:2: 'b' has 1 values, expected 2" in fails(4, "convert", "bad.txt", "-o", "out")
    assert fails(3, "plot", vectors, "nothing", "known").startswith("error: 0 of 2 words are among")
    assert fails(2, "train", "c.txt", "-o", "t", "--dim", "0")
    assert sorted(os.listdir()) == ["bad.txt", "v.txt"]  # noqa: PTH208


@pytest.mark.slow
def test_training_stops_at_a_signal_and_is_resumed_with_the_same_bytes() -> None:
    rng = random.Random(0)
    words = [f"w{i}" for i in range(200)]
    rows = (" ".join(rng.choices(words, k=20)) for _ in range(1000))
    Path("c.jsonl").write_text(
        "".join(json.dumps({"text": row}) + "\n" for row in rows), encoding="utf-8"
    )
    options = [
        "train",
        "c.jsonl",
        "-t",
        "whitespace",
        "--dim",
        "20",
        "--epochs",
        "8",
        "-m",
        "fasttext",
        "--buckets",
        "99",
    ]
    command = [sys.executable, "-m", "textkit", "vectors", *options, "-o", "v"]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    while not Path("v.training/corpus.safetensors").exists() and child.poll() is None:
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130, errors
    assert "to go on, add --resume to the same command" in errors
    assert not Path("v").exists()
    assert "go on with --resume" in fails(2, *options, "-o", "v")
    check(*options, "-o", "v", "--resume")
    check(*options, "-o", "whole")
    assert (
        Path("v/vectors.safetensors").read_bytes() == Path("whole/vectors.safetensors").read_bytes()
    )
    assert (
        Path("v/ngrams.safetensors").read_bytes() == Path("whole/ngrams.safetensors").read_bytes()
    )
    assert "unknown words have vectors too" in check("info", "v")
    assert check("nearest", "v", "w1w2", "-k", "2").count("\n") == 2
