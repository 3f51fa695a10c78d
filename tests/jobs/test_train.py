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
from textkit.jobs.runs import CHECKPOINTS, TrainReport
from textkit.recipe import Recipe, read_recipe
from textkit.watch import Epoch, History, Progress, Step, Watch

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


def kill_in(process: subprocess.Popen[str], *, place: Path) -> None:
    """Kill a training as soon as it has written its recipe, before any checkpoint."""
    while not (place / "metrics.jsonl").exists():
        assert process.poll() is None, process.communicate()
    process.kill()
    process.communicate()


def start(*arguments: str) -> subprocess.Popen[str]:
    sets = [word for value in [*SMALL, "training.checkpoint_seconds=99"] for word in ("-s", value)]
    return subprocess.Popen(
        [sys.executable, "-m", "textkit", "train", "train.csv", "--no-baseline", *sets, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_finished_run_is_replaced_only_when_that_is_said() -> None:
    write_csv("train.csv", SIDES)
    train_run(options("run"))
    Path("run/notes.txt").write_text("mine", encoding="utf-8")
    before = contents("run")
    for other in ([*SMALL, "seed=2"], SMALL):
        with pytest.raises(UsageError, match=r"^run holds finished work; .* with --overwrite"):
            train_run(options("run", overrides=other))
    with pytest.raises(UsageError, match=r"leave one out$"):
        train_run(options("run", overwrite=True, resume=True))
    assert contents("run") == before
    notes: list[str] = []
    watch = Watch(note=notes.append)
    report = train_run(options("run", overrides=[*SMALL, "seed=2"], overwrite=True), watch=watch)
    assert notes[0] == "run stays as it is until the new run, now in run.new, is finished"
    assert report.run == Path("run") and report.recipe.seed == 2
    train_run(options("fresh", overrides=[*SMALL, "seed=2"]))
    assert contents("run") == contents("fresh") | {"notes.txt": b"mine"}
    assert sorted(path.name for path in Path().iterdir()) == ["fresh", "run", "train.csv"]


@pytest.mark.slow
@pytest.mark.parametrize("same_recipe", [False, True])
def test_a_killed_replacement_never_mixes_the_runs(same_recipe: bool) -> None:
    write_csv("train.csv", SIDES)
    train_run(options("run"))
    before = contents("run")
    write_csv("train.csv", SIDES[::-1])
    seed = 1 if same_recipe else 7
    kill_in(start("-o", "run", "--overwrite", "-s", f"seed={seed}"), place=Path("run.new"))
    assert contents("run") == before
    with pytest.raises(
        UsageError, match=r"^run\.new is to replace run and is not over; go on with"
    ):
        train_run(options("run"))
    report = train_run(options("run", overrides=[], resume=True))
    assert report.recipe.seed == seed and not report.was_over
    again = [*SMALL, "training.checkpoint_seconds=99", f"seed={seed}"]
    train_run(options("fresh", overrides=again))
    assert contents("run") == contents("fresh")
    assert train_run(options("run", overrides=[], resume=True)).was_over


@pytest.mark.slow
def test_a_run_that_was_killed_early_is_begun_anew_and_a_stopped_one_waits() -> None:
    write_csv("train.csv", SIDES)
    kill_in(start("-o", "run"), place=Path("run"))
    steps: list[Step] = []
    stop = Watch(step=steps.append, should_stop=lambda: len(steps) >= 3)
    assert train_run(options("run"), watch=stop).stopped
    with pytest.raises(UsageError, match=r"^run holds a run that is not over"):
        train_run(options("run"))
    whole = train_run(options("run", overwrite=True))  # a stopped run has a report: it stays so far
    assert not whole.stopped and not Path("run.new").exists()
    steps.clear()
    stopped = train_run(options("run", overwrite=True), watch=stop)
    assert stopped.stopped and stopped.model == Path("run.new/model")
    finished = train_run(options("run", overrides=[], resume=True))
    assert finished.run == Path("run") and finished.history.epochs == whole.history.epochs


@pytest.mark.slow
def test_a_killed_run_goes_on_only_with_what_it_began_with() -> None:
    write_csv("train.csv", SIDES)
    write_csv("valid.csv", SIDES)
    train_run(options("first"))
    start_from = {"init_from": Path("first/model"), "valid": Path("valid.csv")}
    chosen = ["--init-from", "first/model", "--valid", "valid.csv"]
    kill_in(start("-o", "run", *chosen), place=Path("run"))
    again = {"overrides": [], "resume": True, **start_from}
    for name, flag in (("init_from", "--init-from"), ("valid", "--valid")):
        with pytest.raises(UsageError, match=f"^{flag} is not as when the run began; go on with"):
            train_run(options("run", **{**again, name: None}))
    write_csv("valid.csv", SIDES[::-1])
    with pytest.raises(UsageError, match=r"^--valid is not as when the run began"):
        train_run(options("run", **again))
    write_csv("valid.csv", SIDES)
    train_run(options("run", **again))
    longer = [*SMALL, "training.checkpoint_seconds=99"]
    train_run(options("fresh", overrides=longer, **start_from))
    assert contents("run") == contents("fresh")


@pytest.mark.parametrize("left", ["data.json", ".data.json.0.part", ".recipe.toml.0.part"])
def test_a_run_that_was_killed_in_its_first_moments_is_begun_anew(left: str) -> None:
    write_csv("train.csv", SIDES)
    Path("run").mkdir()
    Path("run", left).write_text("{", encoding="utf-8")
    train_run(options("run"))
    train_run(options("fresh"))
    assert contents("run") == contents("fresh")


def test_a_run_that_fails_leaves_the_finished_one_alone() -> None:
    write_csv("train.csv", SIDES)
    train_run(options("run"))
    before = contents("run")
    write_csv("train.csv", ["pos"] * 40)
    with pytest.raises(DataError):
        train_run(options("run", overwrite=True))
    assert contents("run") == before and not Path("run.new").exists()


@pytest.mark.slow
def test_two_trainings_in_one_folder_are_refused() -> None:
    write_csv("train.csv", SIDES)
    both = [start("-o", "run", "--epochs", "60"), start("-o", "run", "--epochs", "60")]
    said = [process.communicate()[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 2], said
    refused = next(line for process, line in zip(both, said, strict=True) if process.returncode)
    assert "error: run is being written by process" in refused


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


@pytest.mark.parametrize(
    ("task", "name", "own", "baseline", "wins"),
    [
        ("single-label", "accuracy", 0.8, 0.9, True),
        ("single-label", "accuracy", 0.9, 0.9, False),
        ("multi-label", "micro_f1", 0.9, 0.8, False),
        ("multi-label", "micro_f1", 0.2, 0.8, True),
        ("regression", "mae", 2.0, 1.0, True),
        ("regression", "mae", 1.0, 2.0, False),
        ("regression", "mae", 1.0, None, False),
    ],
)
def test_the_baseline_wins_by_the_score_of_the_task(
    task: Any, name: str, own: float, baseline: float | None, wins: bool
) -> None:
    best = Epoch(1, 0.0, 0.0, {name: own}, 0.0, 0.0)
    recipe = Recipe.model_validate({"head": {"task": task}})
    report = TrainReport(
        Path("run"), recipe, History([best], best), 9, 9, 0, 1.0, baseline=baseline
    )
    assert report.baseline_wins is wins


@pytest.mark.parametrize("place", ["data", "valid", "unlabelled"])
def test_a_pipe_is_refused_before_it_is_read(place: str) -> None:
    os.mkfifo("rows.csv")
    given = {"data": Path("train.csv"), place: Path("rows.csv")}
    options = TrainOptions(**given, out=Path("run"))
    with pytest.raises(UsageError, match=r"^rows.csv is a pipe and cannot be read a second time"):
        train_run(options)
    assert not Path("run").exists()
