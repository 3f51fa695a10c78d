"""`textkit predict` into tables: what a shell sees."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import typer

from tests.golden.observations import GOLDEN
from tests.shell import run_textkit
from textkit.cli import app

MODEL = str(GOLDEN / "model-2-lstm")


def run(*arguments: str, input: str = "", code: int = 0) -> tuple[str, str]:
    done = run_textkit("predict", *arguments, input=input.encode())
    assert done.returncode == code, done.stderr.decode()
    return done.stdout.decode(), done.stderr.decode()


@pytest.mark.slow
def test_from_a_run_folder_to_parquet_and_from_a_pipe_to_a_pipe() -> None:
    shutil.copytree(MODEL, "runs/x/model")
    rows = "id,lang,text\n007,en,good film\n8,,bad walk\n"
    Path("data.csv").write_text(rows, encoding="utf-8")
    options = ["--keep", "id,lang", "--proba", "all", "--threshold", ".999", "--abstain"]
    _, said = run("runs/x", "data.csv", "-o", "out.parquet", *options)
    assert "out.parquet: 2 rows, 1 without a label" in said
    made = pq.read_table("out.parquet").to_pydict()
    assert made["id"] == ["007", "8"] and made["label"] == ["pos", None]
    out, _ = run("runs/x", "-", "--format", "csv", "--to", "csv", *options[2:], "?", input=rows)
    assert out.splitlines()[0] == "row,label,probability,probability_neg,probability_pos"
    assert [line.split(",")[1] for line in out.splitlines()[1:]] == ["pos", "?"]
    run("runs/x", "-", "--format", "csv", "--keep", "id", "-o", "piped.csv", input=rows)
    assert Path("piped.csv").read_text(encoding="utf-8").startswith("row,id,label,probability\n0,")
    assert sorted(path.name for path in Path().iterdir() if path.name != "runs") == [
        *("data.csv", "out.parquet", "piped.csv"),
    ]


def call(*arguments: str) -> Any:
    """Give the options that the shell's words stand for."""
    verb = typer.main.get_command(app).get_command(None, "predict")  # type: ignore[attr-defined]
    return verb.make_context("predict", list(arguments)).params


def test_the_word_of_abstain_may_be_left_out() -> None:
    assert call("m", "--abstain", "no", "d")["abstain"] == "no"
    assert call("m", "d", "--abstain")["abstain"] == ""
    assert call("m", "d", "--abstain", "--keep", "a")["abstain"] == ""
    assert call("m", "--abstain=x", "d")["abstain"] == "x"
    assert call("m", "d")["abstain"] is None


@pytest.mark.slow
def test_what_lines_and_tables_have_no_place_for_is_refused_in_words() -> None:
    Path("a.txt").touch()
    for arguments, message in (
        (["--keep", "id"], "--keep is for a table: name a file with -o, or say --to csv"),
        (["-o", "x.csv", "--top", "3"], "--top is for lines; with -o and --to it is --proba top3"),
        (["--to", "csv", "--resume"], "--overwrite and --resume are for a file"),
    ):
        out, said = run(MODEL, "a.txt", *arguments, code=2)
        assert f"error: {message}" in said and not out
