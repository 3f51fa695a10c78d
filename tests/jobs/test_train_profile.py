"""`train --profile`: the stages of a training, their sum, and that looking changes nothing."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.shell import run_textkit
from textkit import TextClassifier
from textkit.jobs import StageClock, TrainingProfile, TrainOptions, train_run
from textkit.watch import History, Watch

SMALL = [
    "encoder.name=lstm",
    "encoder.dim=8",
    "embedding.dim=8",
    "training.epochs=2",
    "training.batch_size=8",
    "training.device=cpu",
]


@pytest.fixture
def rows() -> Path:
    lines = [f"a {word} film {i},{word}" for i in range(40) for word in ("good", "bad")]
    path = Path("train.csv")
    path.write_text("text,label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def profiled(data: Path, out: str, **options: Any) -> TrainingProfile:
    options = {"overrides": SMALL, "profile": True, "baseline": False} | options
    report = train_run(TrainOptions(data=data, out=Path(out), **options))
    assert report.profile is not None
    return report.profile


@pytest.mark.slow
def test_a_training_is_timed_stage_by_stage(rows: Path) -> None:
    profile = profiled(rows, "run")
    assert set(profile.stages) == {
        *("read", "start", "tokenize", "data", "collate", "forward", "backward", "optimizer"),
        *("report", "evaluation", "checkpoint", "save"),
    }
    steps = 2 * 9  # 72 of the 80 rows, 8 a batch
    names = ("data", "collate", "forward", "backward", "optimizer")
    assert [profile.counts[name] for name in names] == [steps] * 5 and profile.n_steps == steps
    assert 0.7 * profile.whole < sum(profile.stages.values()) <= profile.whole
    assert 0 < profile.data_share < 1 and profile.tokens_per_second > 0
    assert profile.peak_bytes > 10**7 and profile.gpu_bytes == 0


@pytest.mark.slow
def test_the_run_folder_holds_the_numbers_and_a_trace(rows: Path) -> None:
    profile = profiled(rows, "run")
    facts = json.loads(Path("run/profile.json").read_text(encoding="utf-8"))
    assert facts == profile.to_dict()
    events = json.loads(Path("run/profile-trace.json").read_text(encoding="utf-8"))["traceEvents"]
    assert len(events) == sum(profile.counts.values())
    for name, taken in profile.stages.items():
        dur = sum(event["dur"] for event in events if event["name"] == name)
        assert dur == pytest.approx(1e6 * taken, abs=1)
    ends = 0.0
    for event in events:  # no stage lies in another
        assert event["ts"] >= ends - 1
        ends = event["ts"] + event["dur"]


@pytest.mark.slow
def test_the_model_is_the_same_and_an_older_profile_goes(rows: Path) -> None:
    profiled(rows, "run")
    weights = Path("run/model/model.safetensors").read_bytes()
    plain = TrainOptions(data=rows, out=Path("run"), overrides=SMALL, baseline=False)
    report = train_run(TrainOptions(**{**plain.__dict__, "overwrite": True}))
    assert report.profile is None
    assert Path("run/model/model.safetensors").read_bytes() == weights
    assert not Path("run/profile.json").exists() and not Path("run/profile-trace.json").exists()


@pytest.mark.slow
def test_linear_models_and_the_baseline_have_stages_too(rows: Path) -> None:
    profile = profiled(rows, "run", overrides=["encoder.name=linear"], baseline=True)
    assert {"read", "tokenize", "fit", "evaluation", "save", "baseline"} <= set(profile.stages)
    assert profile.n_steps == 0 and profile.data_share == 0 and "tokens/s" not in profile.to_text()


def test_a_stream_is_tokenized_once_for_the_vocabulary_and_once_for_the_rows(rows: Path) -> None:
    profile = profiled(rows, "run", stream=True)
    assert profile.counts["tokenize"] == 2


@pytest.mark.slow
def test_a_stopped_training_has_a_profile_and_goes_on(rows: Path) -> None:
    asked = iter(range(100))
    watch = Watch(should_stop=lambda: next(asked) > 5)
    options = TrainOptions(
        data=rows, out=Path("run"), overrides=SMALL, profile=True, baseline=False
    )
    report = train_run(options, watch=watch)
    assert report.stopped and report.profile is not None
    assert report.profile.counts["checkpoint"] == 2  # looked for one, wrote one
    assert 0 < report.profile.n_steps < 18
    again = profiled(rows, "run", overrides=(), resume=True)
    assert again.n_steps == 18 - report.profile.n_steps


@pytest.mark.slow
def test_the_table_stands_on_stderr(rows: Path) -> None:
    settings = [part for setting in SMALL for part in ("--set", setting)]
    command = ["train", "train.csv", "-o", "run", "--profile", "--no-baseline", *settings]
    done = run_textkit(*command)
    assert done.returncode == 0 and not done.stdout
    lines = done.stderr.decode().splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("stage"))
    assert lines[first + 1].startswith("read the files") and lines[first + 1].split()[-1] == "2"
    assert any(line.startswith("whole") and line.endswith("100.0%") for line in lines)
    assert any("of the steps' time waits for data" in line for line in lines)
    assert "profile: run/profile.json, trace: run/profile-trace.json" in lines


class Ticks:
    """A clock that is one second later at each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_a_stage_in_another_belongs_to_it_and_errors_are_timed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "perf_counter", Ticks())
    clock = StageClock()  # 1
    with clock.stage("evaluation"), clock.stage("collate"):  # 2 to 3
        pass
    with pytest.raises(ValueError), clock.stage("forward"):  # 4 to 5
        raise ValueError
    with clock.stage("forward"):  # 6 to 7
        pass
    profile = clock.profile(History())  # 8
    assert profile.stages == {"forward": 2.0, "evaluation": 1.0}
    assert profile.counts == {"forward": 2, "evaluation": 1}
    assert profile.whole == 7.0
    assert profile.marks[1] == ("forward", 3.0, 1.0)


def test_other_threads_are_not_timed() -> None:
    clock = StageClock()

    def work() -> None:
        with clock.stage("forward"):
            pass

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert clock.profile(History()).stages == {}


def test_a_fit_in_python_is_timed_by_its_watch() -> None:
    clock = StageClock()
    model = TextClassifier(
        encoder="cnn", encoder__dim=4, training__epochs=1, training__device="cpu"
    )
    model.fit(["good film", "bad film"] * 20, ["pos", "neg"] * 20, watch=Watch(stage=clock.stage))
    profile = clock.profile(model.history_)
    assert profile.n_steps == 2 and profile.device == "cpu"
    assert f"{model.history_.tokens_per_second:,.0f} tokens/s on cpu" in profile.to_text()
