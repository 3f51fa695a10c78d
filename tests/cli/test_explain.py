"""`textkit explain` as a shell sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_evaluate import fails
from tests.shell import run_textkit
from textkit.classify.explain import explain
from textkit.classify.model_folder import load
from textkit.evaluation.explanation_text import render_explanation

MODEL = str(Path(__file__).parents[1] / "data" / "golden" / "model-2-lstm")


@pytest.mark.slow
def test_a_text_is_explained_as_lines_as_json_and_as_a_page() -> None:
    done = run_textkit("explain", MODEL, "a good film", "-o", "why.html")
    assert done.returncode == 0, done.stderr.decode()
    lines = done.stdout.decode().splitlines()
    assert lines[0].startswith("pos  probability 0.") and lines[1] == "  a good film"
    assert "logit gap" in lines[3] and "\x1b" not in done.stdout.decode()
    assert "page: why.html" in done.stderr.decode() and Path("why.html").is_file()
    Path("t.txt").write_text("a good film\nbad plot\n", encoding="utf-8")
    done = run_textkit("explain", MODEL, "t.txt", "--json", "--label", "neg", "--measure")
    report = json.loads(done.stdout)
    found = report["texts"][0]
    assert found["label"] == "neg" and found["gap"] == pytest.approx(found["sum"], rel=0.01)
    assert report["faithfulness"]["n_texts"] == 2


@pytest.mark.slow
def test_a_misspelt_file_is_one_line() -> None:
    assert "no such file" in fails(3, "explain", MODEL, "gone.csv")


def test_colours_are_ours_and_what_a_text_holds_steers_nothing() -> None:
    fitted = load(Path(MODEL), allow=())
    found = explain(fitted, ["\x1b[2Jgood\u202e film"], method="occlusion")[0]
    shown = render_explanation(found, colour=True)
    assert "\x1b[2J" not in shown and "\\x1b" in shown and "\u202e" not in shown
    assert "\x1b[38;5;" in shown and "\x1b" not in render_explanation(found, colour=False)
    long = explain(fitted, ["good " * 3000], method="occlusion")[0]
    assert "more characters)" in render_explanation(long, colour=False)
