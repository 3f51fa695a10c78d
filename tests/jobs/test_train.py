"""A training as a Python call: the shell's run folder, nothing printed, heard, stopped, gone on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from textkit.errors import ArtifactError, DataError, UsageError
from textkit.jobs import TrainOptions, suggest_rate, train_run
from textkit.jobs.runs import CHECKPOINTS
from textkit.recipe import read_recipe
from textkit.watch import Epoch, Progress, Step, Watch

ROOT = Path(__file__).parents[2]
NOUNS = ["film", "plot", "cast", "song", "book", "meal", "walk", "game", "talk", "room"]
TEXTS = [f"{word} {noun}" for word in ("good", "fine", "bad", "poor") for noun in NOUNS]
SIDES = ["pos"] * 20 + ["neg"] * 20
SMALL = ["training.device=cpu", "training.threads=1", "encoder.dim=4", "embedding.dim=4"]
SMALL += ["training.batch_size=4", "training.epochs=3", "training.checkpoint_seconds=0", "seed=1"]


def write_csv(name: str, labels: list[str], *, delimiter: str = ",") -> Path:
    pairs = zip(TEXTS, labels, strict=True)
    lines = ["text,label", *(f"{text},{label}" for text, label in pairs)]
    Path(name).write_text("\n".join(lines).replace(",", delimiter) + "\n", encoding="utf-8")
    return Path(name)


def options(run: str, **more: Any) -> TrainOptions:
    chosen = {"data": Path("train.csv"), "overrides": SMALL, "baseline": False, **more}
    return TrainOptions(out=Path(run), **chosen)


def contents(run: str) -> dict[str, bytes]:
    """Give the bytes of a run's files, but for what says when and how fast it ran."""
    files = (path for path in Path(run).rglob("*") if path.is_file())
    bytes_of = {str(path.relative_to(run)): path.read_bytes() for path in files}
    report = json.loads(bytes_of["run.json"])
    bytes_of["run.json"] = json.dumps(report | {"seconds": 0, "tokens_per_second": 0}).encode()
    return bytes_of


@pytest.mark.slow
def test_the_call_makes_the_folder_of_the_shell_and_prints_nothing(capfd: Any) -> None:
    write_csv("train.csv", SIDES)
    sets = [word for value in SMALL for word in ("--set", value)]
    subprocess.run(
        [sys.executable, "-m", "textkit", "train", "train.csv", "-o", "shell", *sets],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        timeout=120,
    )
    capfd.readouterr()
    notes: list[str] = []
    report = train_run(options("call", baseline=True), watch=Watch(note=notes.append))
    assert capfd.readouterr() == ("", "")
    assert contents("call") == contents("shell")
    assert notes[0].startswith("train.csv: text = 'text', label = 'label' (guessed")
    assert json.loads(Path("call/run.json").read_bytes()) == json.loads(
        json.dumps(report.to_dict())
    )
    assert report.baseline_score == "accuracy" and report.baseline is not None
    assert (report.n_rows, report.stopped, report.was_over) == (40, False, False)


def test_a_watch_hears_every_step_and_epoch() -> None:
    write_csv("train.csv", SIDES)
    steps: list[Step] = []
    epochs: list[Epoch] = []
    progress: list[Progress] = []
    watch = Watch(step=steps.append, epoch=epochs.append, progress=progress.append)
    report = train_run(options("run"), watch=watch)
    assert progress[0].title == "training"
    assert [step.done for step in steps] == list(range(1, steps[-1].total + 1))
    assert epochs == report.history.epochs
    lines = Path("run/metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [epoch.to_dict() for epoch in epochs]


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_bytes() -> None:
    write_csv("train.csv", SIDES)
    whole = train_run(options("whole"))
    steps: list[Step] = []
    stop = Watch(step=steps.append, should_stop=lambda: len(steps) >= 13)
    report = train_run(options("run", baseline=True), watch=stop)
    assert (report.stopped, report.history.ended) == (True, "stopped")
    assert report.model.is_dir() and report.baseline is None
    assert any((report.run / CHECKPOINTS).glob("step-*"))
    with pytest.raises(UsageError, match=r"^run holds a run that is not over; go on with --resume"):
        train_run(options("run"))
    with pytest.raises(UsageError, match=r"seed was 1, not 2; leave these options out"):
        train_run(options("run", overrides=[*SMALL, "seed=2"], resume=True))
    report = train_run(options("run", overrides=[], resume=True))
    assert (report.stopped, report.history.ended) == (False, "epochs")
    assert report.history.epochs == whole.history.epochs
    assert contents("run") == contents("whole")


@pytest.mark.slow
def test_a_run_that_is_over_is_read_and_left_as_it_is() -> None:
    write_csv("train.csv", SIDES)
    first = train_run(options("run", baseline=True))
    before = contents("run")
    again = train_run(options("run", overrides=[], resume=True))
    assert again.was_over and contents("run") == before
    assert again.to_dict() == first.to_dict()
    assert again.history.epochs == first.history.epochs
    Path("run/metrics.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"^run: report of a run cannot be read: 'epoch'"):
        train_run(options("run", overrides=[], resume=True))
    write_csv("train.csv", SIDES[::-1])
    with pytest.raises(DataError, match=r"^train\.csv: file has changed since the run began"):
        train_run(options("run", overrides=[], resume=True))


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
def test_a_long_label_separator_is_obeyed(stream: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path("cache").absolute()))
    pairs = zip(SIDES, TEXTS, strict=True)
    several = [f"{side} || film" if "film" in text else side for side, text in pairs]
    write_csv("train.csv", several)
    write_csv("valid.csv", several)
    notes: list[str] = []
    chosen = {"label_separator": "||", "stream": stream, "valid": Path("valid.csv")}
    report = train_run(
        options("run", overrides=[*SMALL, "head.task=multi-label"], **chosen),
        watch=Watch(note=notes.append),
    )
    config = json.loads((report.model / "config.json").read_text(encoding="utf-8"))
    assert config["labels"] == ["film", "neg", "pos"]
    assert "train.csv: white space round labels was dropped in 4 rows" in notes


@pytest.mark.slow
def test_a_recipe_may_be_an_object_and_overridden() -> None:
    write_csv("train.csv", SIDES)
    recipe = read_recipe(None, SMALL)
    report = train_run(options("run", recipe=recipe, overrides=["training.epochs=1"]))
    assert report.recipe.training.epochs == len(report.history.epochs) == 1
    assert report.recipe.encoder.options["dim"] == 4


@pytest.mark.parametrize("labels", [[*SIDES[:-1], ""], [*SIDES[:-1], "a\x1fb"]])
def test_rows_are_refused_before_the_run_begins(labels: list[str]) -> None:
    write_csv("train.csv", labels)
    with pytest.raises(DataError, match=r"^train\.csv:41: the "):
        train_run(options("run"))
    assert not Path("run").exists()


@pytest.mark.slow
def test_a_rate_is_suggested_and_drawn() -> None:
    write_csv("train.csv", SIDES)
    rate = suggest_rate(options("run"))
    assert 0 < rate.suggested < 1 and rate.picture == Path("run/lr.png")
    assert rate.picture.read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in Path("run").iterdir()] == ["lr.png"]
