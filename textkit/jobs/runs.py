"""The run folder of a training: how to begin one, to go on with one, to finish one and to read it.

- recipe.toml: repeats the run alone.
- data.json: names the training file by its hash.
- checkpoints/: what going on needs, until the run is over.
- _rejects.txt: the rows that were left out, where there are some.
- metrics.jsonl: a line an epoch; curves.png draws it, and health.jsonl where that was asked for.
- profile.json, profile-trace.json: where the time went, where that was asked for.
- model/: the result.
- run.json: what ran, how fast, and what came out; written last, it seals the run.

A run that is to replace a finished one stands in `RUN.new` until it is finished itself (see
textkit/io/staging.py), so a model never lies beside the recipe of another.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from textkit.data.targets import Task
from textkit.errors import ArtifactError, DataError, UsageError
from textkit.evaluation.baseline import BASELINE_SCORES
from textkit.evaluation.diagnosis import Finding
from textkit.evaluation.task_scores import FALLING, chosen_metric
from textkit.io import files, hub, locks
from textkit.io.exchange import remove_folder
from textkit.io.staging import Stage
from textkit.io.text_folders import hash_data
from textkit.jobs.train_profile import PROFILE, TRACE, TrainingProfile
from textkit.recipe import Recipe, check_code, flatten, read_recipe
from textkit.version import __version__
from textkit.watch import Epoch, History

RECIPE, DATA, METRICS, REPORT = "recipe.toml", "data.json", "metrics.jsonl", "run.json"
MODEL, CHECKPOINTS, CURVES = "model", "checkpoints", "curves.png"
HEALTH = "health.jsonl"
PICTURE_OF_RATES = "lr.png"
PROFILES = (PROFILE, TRACE)

# What run.json takes over by name.
_OF_HISTORY = ("device", "seconds", "tokens_per_second", "ended", "notes")
_OF_THE_RUN = ("n_rows", "n_weights", "n_truncated_rows", "temperature")


@dataclass(frozen=True)
class TrainReport:
    """What a training left in its run folder.

    run: the folder. n_truncated_rows: cut at the recipe's max_length. n_valid_rows: of n_rows those
    held out. class_rows: the rows of each class. coverage: what the recipe's vectors knew.
    baseline: its score on the validation rows, by the name `baseline_score`. choice: the board of
    an `auto` run, as Choice.to_dict gives it.
    stopped: the watch ended it early, and it can go on. was_over: it had ended before this call.
    findings: of the doctor; None where none was asked. profile: where the time went, likewise.
    """

    run: Path
    recipe: Recipe
    history: History
    n_rows: int
    n_weights: int
    n_truncated_rows: int
    temperature: float
    n_valid_rows: int | None = None
    class_rows: Mapping[str, int] | None = None
    coverage: Mapping[str, object] | None = None
    baseline: float | None = None
    choice: Mapping[str, object] | None = None
    stopped: bool = False
    was_over: bool = False
    findings: Sequence[Finding] | None = None
    profile: TrainingProfile | None = None

    @property
    def model(self) -> Path:
        """The model folder."""
        return self.run / MODEL

    @property
    def curves(self) -> Path:
        """The picture of losses and scores; there is none where no epoch ended."""
        return self.run / CURVES

    @property
    def task(self) -> Task:
        """The task of the recipe."""
        return self.recipe.head.task

    @property
    def baseline_score(self) -> str:
        """Name what the baseline is scored by: accuracy, micro_f1 or mae."""
        return BASELINE_SCORES[self.task]

    @property
    def baseline_wins(self) -> bool:
        """Tell whether the baseline is better on the validation rows than the best epoch."""
        best, name = self.history.best, self.baseline_score
        if self.baseline is None or best is None:
            return False
        own = best.scores[name]
        return self.baseline < own if name in FALLING else self.baseline > own

    def to_dict(self) -> dict[str, object]:
        """Give what run.json holds."""
        history = self.history
        facts: dict[str, object] = {
            "textkit_version": __version__,
            "device": history.device,
            "seconds": round(history.seconds, 3),
            "tokens_per_second": round(history.tokens_per_second),
            "n_rows": self.n_rows,
            "n_valid_rows": self.n_valid_rows,
            "class_rows": self.class_rows,
            "n_weights": self.n_weights,
            "n_truncated_rows": self.n_truncated_rows,
            "temperature": self.temperature,
            "ended": history.ended,
            "notes": history.notes,
            "best": None if history.best is None else history.best.to_dict(),
        }
        if self.coverage is not None:
            facts["coverage"] = self.coverage
        if self.choice is not None:
            facts["choice"] = self.choice
        if self.baseline is not None:
            facts[f"baseline_valid_{self.baseline_score}"] = self.baseline
        if self.findings is not None:
            facts["doctor"] = [finding.to_dict() for finding in self.findings]
        return facts


def is_main() -> bool:
    """Tell whether this process speaks and writes: of those that torchrun started, the first."""
    return os.environ.get("RANK", "0") == "0"


def is_alone() -> bool:
    """Tell whether this process trains for itself: torchrun started no other."""
    return os.environ.get("WORLD_SIZE", "1") == "1"


def find_model(place: str | Path) -> Path:
    """Give the model folder of a run folder; a model folder is its own, that of a name
    `hf:USER/NAME` is fetched from the hub.

    Raises ArtifactError for a run that has no model yet.

    >>> find_model("runs/first/model").as_posix()
    'runs/first/model'
    """
    place = hub.find_folder(place)
    has_model = (place / MODEL / files.MANIFEST).is_file()
    is_run = has_model or (place / RECIPE).is_file()
    if not is_run or (place / files.MANIFEST).is_file():
        return place
    if not has_model:
        how = "it is not over" if _has_checkpoints(place) else "its training has not ended"
        raise ArtifactError(
            f"the run has no model yet: {how}; go on with textkit train ... -o {place} --resume",
            where=str(place),
        )
    return place / MODEL


def kept(run: Path) -> contextlib.AbstractContextManager[None]:
    """Keep a run folder to this training, and to the other processes of it that torchrun began."""
    return locks.held(run) if is_main() else contextlib.nullcontext()


def stage(run: Path) -> Stage:
    """Tell where a run is made: in its folder, or beside it while that holds a finished one."""
    made = (RECIPE, DATA, METRICS, REPORT, MODEL, CHECKPOINTS, CURVES, HEALTH, *PROFILES)
    return Stage(run, REPORT, made)


def check_folder(run: Path) -> None:
    """Refuse a folder that is somebody else's.

    A picture of rates may lie there, and what a run left that was killed in its first moments.
    """
    is_free = not run.exists() or (run.is_dir() and {*_names(run)} <= {PICTURE_OF_RATES, DATA})
    if not is_free and not (run / RECIPE).is_file():
        raise UsageError(f"{run} exists and is no run folder; choose another -o")


def check_new(run: Path, *, overwrite: bool) -> None:
    """Refuse a folder that is somebody else's, or, unless `overwrite` lets it go, one that holds a
    run which is finished or could go on.
    """
    check_folder(run)
    if not overwrite and _has_checkpoints(run):
        raise UsageError(
            f"{run} holds a run that is not over; go on with --resume, or begin anew with"
            " --overwrite"
        )
    stage(run).clear(resume=False, overwrite=overwrite)
    files.refuse_finished(run, overwrite=overwrite, seal=f"{MODEL}/{files.MANIFEST}")


def _names(folder: Path) -> Iterator[str]:
    return (path.name for path in folder.iterdir() if not path.name.endswith(".part"))


def _has_checkpoints(run: Path) -> bool:
    found = (run / CHECKPOINTS).glob
    return any(any(found(name)) for name in ("step-*", "auto-*", "teacher-*"))


def open_again(
    run: Path, data: Path, chosen: Recipe | None, *, allow: Sequence[str] = ()
) -> Recipe:
    """Give the recipe of a run to go on with.

    Refuse another file or another recipe by name, and code that only the run names and `allow` does
    not.
    """
    if not (run / RECIPE).is_file():
        raise UsageError(f"{run} holds no run to go on with; leave --resume out to start one")
    recipe = read_recipe(run / RECIPE)
    if chosen is None:  # what the user's own recipe names, the user trusts
        check_code(recipe, allow=allow, where=str(run / RECIPE))
    elif chosen != recipe:
        differences = _differences(recipe.model_dump(mode="json"), chosen.model_dump(mode="json"))
        raise UsageError(
            f"the run has another recipe: {'; '.join(differences)}; leave these options out, or"
            f" choose another -o"
        )
    known = files.read_json(run / DATA)
    if not isinstance(known, dict) or not {"path", "sha256"} <= known.keys():
        raise ArtifactError("it does not name the run's file and hash", where=str(run / DATA))
    if known["sha256"] != hash_data(data):
        raise DataError(
            f"file has changed since the run began (it was {known['path']}); start a new run with"
            f" another -o",
            where=str(data),
        )
    return recipe


def is_over(run: Path) -> bool:
    """Tell whether a run has its model and nothing to go on from."""
    is_whole = (run / REPORT).is_file() and (run / MODEL / files.MANIFEST).is_file()
    return is_whole and not (run / CHECKPOINTS).exists()


def check_start(run: Path, start: Mapping[str, str | None]) -> None:
    """Refuse to go on with other options than the run began with, those that no recipe holds.

    start: for each option the hash of what it names, or None where it is not given.
    """
    known = files.read_json(run / DATA).get("start", start)
    for option, value in start.items():
        if known.get(option) != value:
            how = "without it" if known.get(option) is None else "with it, on the same files"
            raise UsageError(f"{option} is not as when the run began; go on {how}")


def was_taught(run: Path) -> bool:
    """Tell whether a run began with a teacher."""
    known = files.read_json(run / DATA) if (run / DATA).is_file() else {}
    start = known.get("start") if isinstance(known, dict) else None
    return isinstance(start, dict) and start.get("--teacher") is not None


def begin(run: Path, data: Path, recipe: Recipe, start: Mapping[str, str | None]) -> None:
    """Write what the run is to be, once what a killed one left there has gone.

    The recipe comes last: without one there is nothing to go on with.
    """
    for name in (CHECKPOINTS, MODEL):
        remove_folder(run / name)
    (run / RECIPE).unlink(missing_ok=True)
    facts = {"path": str(data), "sha256": hash_data(data), "start": dict(start)}
    files.write_json(run / DATA, facts)
    files.write_text(run / RECIPE, recipe.to_toml())
    files.write_text(run / METRICS, "")


def write_metrics(run: Path, epochs: Sequence[Epoch]) -> None:
    """Write metrics.jsonl whole, so that it never holds half a line."""
    lines = (json.dumps(epoch.to_dict(), allow_nan=False) + "\n" for epoch in epochs)
    files.write_text(run / METRICS, "".join(lines))


def _read_findings(facts: Mapping[str, Any]) -> list[Finding] | None:
    return [Finding(**each) for each in facts["doctor"]] if "doctor" in facts else None


def finish(report: TrainReport, run: Path) -> TrainReport:
    """Bring a run to its folder `run` and write what came out; one that cannot go on needs its
    checkpoints no more.

    A stopped run that is to replace a finished one stays where it is, to go on.
    """
    if report.run != run:
        if report.stopped:
            return report
        stage(run).finish()
        report = replace(report, run=run)
    files.write_json(run / REPORT, report.to_dict())
    if not report.stopped:
        remove_folder(run / CHECKPOINTS)
    return report


def give_up(work: Path, run: Path, *, is_new: bool) -> None:
    """Remove what a run that failed left, where it cannot go on: all of one that was to replace
    another; of a new one that has not ended an epoch what `begin` wrote.
    """
    if not is_main() or _has_checkpoints(work):
        return
    metrics = work / METRICS
    if work != run:
        remove_folder(work)
    elif is_new and metrics.is_file() and not metrics.stat().st_size:
        for name in (RECIPE, DATA, METRICS):
            (work / name).unlink(missing_ok=True)
        remove_folder(work / CHECKPOINTS)
        with contextlib.suppress(OSError):  # rows that were left out stay to be read
            work.rmdir()


def read_report(run: Path) -> TrainReport:
    """Read what a run that is over left in its folder; ArtifactError where it was damaged."""
    recipe, facts = read_recipe(run / RECIPE), files.read_json(run / REPORT)
    try:
        lines = (run / METRICS).read_text(encoding="utf-8").splitlines()
        history = History(
            epochs=[Epoch.from_dict(json.loads(line)) for line in lines],
            best=None if facts["best"] is None else Epoch.from_dict(facts["best"]),
            metric=chosen_metric(recipe.head.task, recipe.training.metric),
            **{name: facts[name] for name in _OF_HISTORY},
        )
        report = TrainReport(
            run,
            recipe,
            history,
            n_valid_rows=facts.get("n_valid_rows"),
            class_rows=facts.get("class_rows"),
            coverage=facts.get("coverage"),
            choice=facts.get("choice"),
            baseline=facts.get(f"baseline_valid_{BASELINE_SCORES[recipe.head.task]}"),
            was_over=True,
            findings=_read_findings(facts),
            **{name: facts[name] for name in _OF_THE_RUN},
        )
        json.dumps(report.to_dict(), allow_nan=False)  # what cannot be said again is damaged
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError) as err:
        raise ArtifactError(f"report of a run cannot be read: {err}", where=str(run)) from err
    return report


def _differences(then: dict[str, object], now: dict[str, object]) -> list[str]:
    old, new = flatten(then), flatten(now)
    return [
        f"{key} was {old.get(key)!r}, not {new.get(key)!r}"
        for key in {**old, **new}
        if old.get(key) != new.get(key)
    ]
