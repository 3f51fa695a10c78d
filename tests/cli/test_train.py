"""`textkit train` and what follows it, for every task and way of running."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.shell import ROOT, run_textkit

NOUNS = ["film", "plot", "cast", "song", "book", "meal", "walk", "game", "talk", "room"]
TEXTS = [f"{word} {noun}" for word in ("good", "fine", "bad", "poor") for noun in NOUNS]
SIDES = ["pos"] * 20 + ["neg"] * 20
SMALL = [
    "--device",
    "cpu",
    "-s",
    "training.threads=1",
    "-s",
    "encoder.dim=8",
    "-s",
    "training.batch_size=4",
]
SMALL += ["-s", "training.lr=0.02", "-s", "training.patience=9", "--epochs", "8"]


def run(
    *arguments: str, launcher: tuple[str, ...] = (), code: int = 0, input: str = ""
) -> tuple[str, str]:
    """Call textkit; give what it wrote and what it said."""
    if launcher:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, *launcher, "-m", "textkit", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, timeout=300)
    else:
        done = run_textkit(*arguments, input=input.encode())
    assert done.returncode == code, done.stderr.decode()
    return done.stdout.decode(), done.stderr.decode()


def write_jsonl(name: str, labels: list[Any]) -> None:
    rows = [{"text": text, "label": label} for text, label in zip(TEXTS, labels, strict=True)]
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_csv(name: str, labels: list[str]) -> None:
    lines = [f"{text},{label}" for text, label in zip(TEXTS, labels, strict=True)]
    Path(name).write_text("\n".join(["text,label", *lines]) + "\n", encoding="utf-8")


@pytest.mark.slow
def test_several_labels_from_jsonl_to_predictions() -> None:
    several = [
        [side, "film"] if "film" in text else [side]
        for side, text in zip(SIDES, TEXTS, strict=True)
    ]
    write_jsonl("train.jsonl", several)
    _, said = run(
        "train",
        "train.jsonl",
        "-o",
        "run",
        "--task",
        "multi-label",
        *SMALL,
        "-s",
        "head.thresholds=0.5",
    )
    assert "baseline: TF-IDF + LinearSVC on the same rows, validation micro F1" in said
    assert "best: epoch" in said and "micro f1" in said
    out, _ = run("predict", "run/model", input="good film\nbad walk\n")
    first, second = (line.split("\t")[::2] for line in out.splitlines())
    assert first[0] == "pos" and second == ["neg"]
    out, said = run(
        "evaluate", "run/model", "train.jsonl", "--json", "--html", "report.html", "--errors", "3"
    )
    report = json.loads(out)
    low, high = report["intervals"]["micro_f1"]
    assert low <= report["micro_f1"] <= high
    assert sum(report["reliability"]["rows"]) == 3 * len(TEXTS)
    assert {row["threshold"] for row in report["classes"].values()} == {0.5}
    for name in ("run/labels.png", "run/reliability.png"):
        assert f"picture: {name}" in said and Path(name).read_bytes().startswith(b"\x89PNG")
    assert "report: report.html" in said and "Subset accuracy" in Path("report.html").read_text(
        encoding="utf-8"
    )
    assert (
        "--compare and --baseline are for one label a text"
        in (run("evaluate", "run/model", "train.jsonl", "--compare", "run/model", code=2)[1])
    )
    assert (
        "several labels; train with --task multi-label"
        in run("train", "train.jsonl", "-o", "x", code=3)[1]
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train.csv", "train.txt"])
def test_labels_of_one_row_in_csv_and_txt(name: str) -> None:
    several = [
        f"{side}|film" if "film" in text else side for side, text in zip(SIDES, TEXTS, strict=True)
    ]
    if name == "train.csv":
        write_csv(name, several)
    else:
        lines = [
            " ".join(f"__label__{label}" for label in labels.split("|")) + f" {text}\n"
            for labels, text in zip(several, TEXTS, strict=True)
        ]
        Path(name).write_text("".join(lines), encoding="utf-8")
    run("train", name, "-o", "run", "--task", "multi-label", "--no-baseline", *SMALL)
    config = json.loads(Path("run/model/config.json").read_text(encoding="utf-8"))
    assert config["labels"] == ["film", "neg", "pos"]


@pytest.mark.slow
def test_numbers_from_a_file_to_predictions() -> None:
    write_csv("train.csv", [("5.5" if side == "pos" else "-1e1") for side in SIDES])
    _, said = run("train", "train.csv", "-o", "run", "--task", "regression", *SMALL)
    assert "baseline: TF-IDF + Ridge on the same rows, validation mean absolute error" in said
    out, _ = run("predict", "run/model", input="good film\nbad walk\n")
    high, low = map(float, out.split())
    assert abs(high - 5.5) < 4 and abs(low + 10) < 4
    out, said = run(
        "evaluate", "run/model", "train.csv", "--json", "--html", "report.html", "--png", "c.png"
    )
    report = json.loads(out)
    for name in ("mae", "rmse", "r2", "pearson", "bias"):
        low, high = report["intervals"][name]
        assert low <= report[name] <= high
    assert sum(report["residuals"]["rows"]) + report["residuals"]["outside"] == len(TEXTS)
    assert "picture: c.png" in said and Path("c.png").read_bytes().startswith(b"\x89PNG")
    assert "report: report.html" in said and "Worst errors" in Path("report.html").read_text(
        encoding="utf-8"
    )
    write_csv("bad.csv", [*["1"] * 39, "much"])
    message = run("train", "bad.csv", "-o", "x", "--task", "regression", code=3)[1]
    assert "bad.csv:41: the label is 'much'; regression wants a finite number" in message


@pytest.mark.slow
def test_two_processes_write_one_run() -> None:
    write_csv("train.csv", SIDES)
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")
    _, said = run("train", "train.csv", "-o", "two", *SMALL, launcher=launcher)
    assert said.count("best: epoch") == said.count("(guessed") == 1
    assert len(Path("two/metrics.jsonl").read_text(encoding="utf-8").splitlines()) == 8
    out, _ = run("predict", "two/model", input="good film\nbad walk\n")
    assert [line.split("\t")[0] for line in out.splitlines()] == ["pos", "neg"]


@pytest.mark.slow
def test_a_streamed_file_and_a_validation_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path("cache").absolute()))
    write_csv("train.csv", SIDES)
    write_csv("valid.csv", SIDES)
    run("train", "train.csv", "-o", "run", "--stream", "--valid", "valid.csv", *SMALL)
    assert json.loads(Path("run/run.json").read_text(encoding="utf-8"))["n_rows"] == 80
    assert (
        "--stream goes with neither"
        in run("train", "train.csv", "-o", "x", "--stream", "--find-lr", code=2)[1]
    )


@pytest.mark.slow
def test_a_rate_is_suggested_and_nothing_is_trained() -> None:
    write_csv("train.csv", SIDES)
    _, said = run("train", "train.csv", "-o", "run", "--find-lr", *SMALL)
    assert "suggested: --set training.lr=" in said
    assert {path.name for path in Path("run").iterdir()} == {"lr.png"}


@pytest.mark.slow
def test_logs_for_tensorboard_are_readable() -> None:
    pytest.importorskip("tensorboard")
    write_csv("train.csv", SIDES)
    run("train", "train.csv", "-o", "run", "--tensorboard", "--no-baseline", *SMALL)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator("run/tensorboard").Reload()
    assert {"train/loss", "train/lr", "valid/accuracy"} <= set(events.Tags()["scalars"])
    assert len(events.Scalars("valid/accuracy")) == 8


@pytest.mark.slow
def test_more_data_for_a_model_that_exists() -> None:
    write_csv("train.csv", SIDES)
    run("train", "train.csv", "-o", "run", "--no-baseline", *SMALL)
    write_csv("more.csv", [*SIDES[:-5], *["odd"] * 5])
    run("train", "more.csv", "-o", "more", "--no-baseline", "--init-from", "run/model", *SMALL)
    config = json.loads(Path("more/model/config.json").read_text(encoding="utf-8"))
    assert config["labels"] == ["neg", "odd", "pos"]


@pytest.mark.slow
def test_the_coverage_of_vectors_is_said_and_kept() -> None:
    write_csv("train.csv", SIDES)
    lines = ["3 4", "good 1 0 0 0", "bad -1 0 0 0", "film 0 1 0 0"]
    Path("small.vec").write_text("\n".join(lines) + "\n", encoding="utf-8")
    vectors = ["-s", "embedding.vectors=small.vec", "-s", "embedding.dim=4"]
    _, said = run("train", "train.csv", "-o", "run", "--no-baseline", *vectors, *SMALL)
    assert "vectors small.vec: 3 of 14 words have vectors (21.4%)" in said
    coverage = json.loads(Path("run/run.json").read_text(encoding="utf-8"))["coverage"]
    assert (coverage["n_words"], coverage["n_covered"]) == (14, 3) and coverage["missing"]
    wrong = run(
        "train", "train.csv", "-o", "x", "-s", "embedding.vectors=small.vec", *SMALL, code=2
    )[1]
    assert "vectors have 4 columns but embedding.dim = 100" in wrong


@pytest.mark.slow
def test_a_recipe_is_shown_whole() -> None:
    out, _ = run("recipe", "show", "--set", "encoder.name=gru")
    Path("r.toml").write_text(out, encoding="utf-8")
    assert run("recipe", "show", "r.toml")[0] == out
    assert (
        "did you mean 'training.epochs'"
        in run("recipe", "show", "--set", "training.epoch=1", code=2)[1]
    )


@pytest.mark.parametrize("text", ["5x", "", "m"])
def test_a_bad_time_limit_is_refused(text: str) -> None:
    write_csv("train.csv", SIDES)
    message = run("train", "train.csv", "-o", "x", "--time-limit", text, code=2)[1]
    assert f"--time-limit is '{text}', expected a time such as 90s, 5m or 2h" in message
