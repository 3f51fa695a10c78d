"""A linear model and the verdict of the baseline, as a shell sees them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_train import SIDES, SMALL, TEXTS, run, write_csv, write_jsonl


@pytest.mark.slow
def test_a_linear_model_from_a_file_to_predictions() -> None:
    write_csv("train.csv", SIDES)
    _, said = run("train", "train.csv", "-e", "linear", "-o", "run")
    assert "best: epoch 1, validation accuracy 1.000" in said
    assert "learnt at last from all 40 rows" in said
    assert "curves" not in said and "tokens/s" not in said and "nan" not in said
    out, _ = run("info", "run/model")
    assert "features   " in out and "words=[1, 2] characters=[2, 5]" in out
    assert "tokenizer  " not in out
    out, _ = run("predict", "run/model", input="good film\nbad walk\n\n")
    assert [line.split("\t")[0] for line in out.splitlines()[:2]] == ["pos", "neg"]
    out, _ = run("evaluate", "run/model", "train.csv", "--json")
    assert json.loads(out)["accuracy"] == 1.0
    again = ("train", "train.csv", "-e", "linear", "-o", "run", "--resume")
    assert "run is over" in run(*again)[1]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["multi-label", "regression"])
def test_a_linear_model_of_another_task_from_a_file_to_predictions(task: str) -> None:
    labels = [[side] for side in SIDES] if task == "multi-label" else [len(x) for x in TEXTS]
    write_jsonl("train.jsonl", labels)
    run("train", "train.jsonl", "-e", "linear", "--task", task, "-o", "run")
    out, _ = run("predict", "run/model", input="good film\n")
    first = out.split("\t")[0].strip()
    assert first == "pos" if task == "multi-label" else abs(float(first) - 9) < 1
    run("evaluate", "run/model", "train.jsonl")


@pytest.mark.slow
def test_a_baseline_that_wins_is_said_with_what_trains_it() -> None:
    write_csv("train.csv", SIDES)
    idle = ["-s", "training.lr=1e-9", "--epochs", "1", "-s", "training.patience=1"]
    _, said = run("train", "train.csv", "-o", "run", *SMALL, *idle)
    assert "the baseline is better on these rows; --encoder linear trains such a model" in said
    _, said = run("train", "train.csv", "-o", "good", *SMALL)
    assert "the baseline is better" not in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stream"], "a linear model learns from texts in memory"),
        (["--find-lr"], "a linear model has no learning rate"),
        (["--epochs", "3"], "training.epochs = 3 means nothing to a linear model"),
        (["-t", "bpe"], "tokenizer.name = 'bpe' means nothing to a linear model"),
    ],
)
@pytest.mark.slow
def test_what_a_linear_model_cannot_do_is_a_usage_error(arguments: list[str], message: str) -> None:
    write_csv("train.csv", SIDES)
    _, said = run("train", "train.csv", "-e", "linear", "-o", "run", *arguments, code=2)
    assert message in said
    assert not Path("run/model").exists()


@pytest.mark.slow
def test_only_says_what_may_be_chosen() -> None:
    write_csv("train.csv", SIDES)
    run("train", "train.csv", "--only", "linear", "-o", "run")
    choice = json.loads(Path("run/run.json").read_text(encoding="utf-8"))["choice"]
    assert [row["name"] for row in choice["board"]] == ["linear"]
    _, said = run("train", "train.csv", "--only", "linaer", "-o", "other", code=2)
    assert "unknown candidate 'linaer'; did you mean 'linear'?" in said
    _, said = run("train", "train.csv", "--only", "linear", "-e", "lstm", "-o", "other", code=2)
    assert "--only says what textkit may choose from" in said
