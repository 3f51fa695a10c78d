"""Trials of a search: each is a training into a run folder of its own, and one number.

In: trials. Out: an Outcome a trial, in their order; with several workers from as many processes. A
trial that was stopped or killed goes on from its checkpoint when it is run again.
"""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from textkit.classify import model_folder
from textkit.data.labels import read_labelled
from textkit.data.targets import encode_labels
from textkit.errors import DataError, UsageError
from textkit.evaluation.goals import Answers, Goal
from textkit.io import files
from textkit.io.exchange import remove_folder
from textkit.jobs import runs
from textkit.jobs.train import train_run
from textkit.jobs.train_options import TrainOptions
from textkit.jobs.workers import end_with_parent
from textkit.recipe import Recipe
from textkit.watch import Epoch, Watch

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

OUTCOME = "outcome.json"
# Epochs of which a trial may not be given up: a first one says little.
_SPARED_EPOCHS = 1

State = Literal["done", "cut", "pruned", "too large", "failed", "stopped"]


@dataclass(frozen=True)
class Trial:
    """What is trained, and on what it is scored.

    bars: epoch -> the validation loss above which the trial is given up. size: the most bytes of
    its model folder. refused: why its values make no recipe, if they make none.
    """

    number: int
    recipe: Recipe
    folder: Path
    learn: Path
    valid: Path
    goal: Goal
    bars: Mapping[int, float] = field(default_factory=dict)
    size: int | None = None
    allow: Sequence[str] = ()
    refused: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    - state: done; cut (the time was over, and the best epoch so far counts); pruned (given up as
      worse than others); too large; failed; or stopped, which is to go on and counts as nothing.
    - score: of its model on the validation rows; None where it has none.
    - losses: of the validation rows, epoch by epoch.
    - reason: of a failure.
    """

    state: State
    score: float | None = None
    losses: tuple[float, ...] = ()
    seconds: float = 0.0
    n_bytes: int = 0
    reason: str = ""

    @property
    def counts(self) -> bool:
        """Tell whether its model may be the best one."""
        return self.state in ("done", "cut")

    def to_dict(self) -> dict[str, object]:
        """Give plain values."""
        return {**asdict(self), "losses": list(self.losses)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what to_dict gave."""
        return cls(**{**values, "losses": tuple(values["losses"])})


class Stop:
    """Why a trial should stop now: nothing, the user, the clock, or its own bar."""

    def __init__(self, trial: Trial, asked: Callable[[], str]) -> None:
        self.trial, self.asked = trial, asked
        self.is_worse = False
        self.losses: list[float] = []

    def take(self, epoch: Epoch) -> None:
        """Hear of an epoch; where the best so far is over the bar, or nothing, the trial ends.

        An epoch that is worse than the one before says little: a trial would have to be good in all
        of them.
        """
        self.losses.append(epoch.valid_loss)
        bar = self.trial.bars.get(epoch.epoch)
        if epoch.epoch <= _SPARED_EPOCHS or bar is None:
            return
        if math.isnan(epoch.valid_loss) or min(self.losses) > bar:
            self.is_worse = True

    def __call__(self) -> bool:
        return self.is_worse or bool(self.asked())


def run_trial(trial: Trial, asked: Callable[[], str], watch: Watch = Watch()) -> Outcome:
    """Train and score; `asked` says "user" or "clock" once the trial has to end.

    The run stays in the trial's folder with its outcome.
    """
    known = trial.folder / OUTCOME
    if known.is_file():
        return Outcome.from_dict(files.read_object(known))
    if trial.refused:
        return _keep(trial, Outcome("failed", reason=trial.refused))
    began, stop = time.perf_counter(), Stop(trial, asked)
    begun = (trial.folder / runs.RECIPE).is_file()
    try:
        report = train_run(
            TrainOptions(
                data=trial.learn,
                valid=trial.valid,
                out=trial.folder,
                recipe=trial.recipe,
                resume=begun,
                baseline=False,
                curves=False,
                allow=trial.allow,
            ),
            watch=Watch(step=watch.step, epoch=stop.take, should_stop=stop),
        )
    except (UsageError, DataError) as err:
        outcome = Outcome("failed", seconds=time.perf_counter() - began, reason=str(err))
        remove_folder(trial.folder)
        return _keep(trial, outcome)
    losses = tuple(epoch.valid_loss for epoch in report.history.epochs)
    outcome = Outcome("done", losses=losses)
    if report.stopped:
        reason = "" if stop.is_worse else asked()
        if reason == "user" or (reason == "clock" and not report.model.is_dir()):
            return Outcome("stopped")
        outcome = replace(outcome, state="pruned" if stop.is_worse else "cut")
    if outcome.state != "pruned":
        outcome = _score(trial, report.model, outcome)
    return _keep(trial, replace(outcome, seconds=time.perf_counter() - began))


def _score(trial: Trial, model: Path, outcome: Outcome) -> Outcome:
    n_bytes = sum(path.stat().st_size for path in model.rglob("*") if path.is_file())
    score = trial.goal.score(answer(model, trial.valid, allow=trial.allow))
    over = trial.size is not None and n_bytes > trial.size
    state: State = "too large" if over else outcome.state
    return replace(outcome, state=state, score=score, n_bytes=n_bytes)


def _keep(trial: Trial, outcome: Outcome) -> Outcome:
    """Write the outcome; of a run whose model does not count only the epochs stay."""
    if not outcome.counts:
        drop_model(trial.folder)
    trial.folder.mkdir(parents=True, exist_ok=True)
    files.write_json(trial.folder / OUTCOME, outcome.to_dict())
    return outcome


def drop_model(folder: Path) -> None:
    """Remove the heavy part of a run."""
    for name in (runs.CHECKPOINTS, runs.MODEL):
        remove_folder(folder / name)


def answer(model: Path, rows: Path, *, allow: Sequence[str] = ()) -> Answers:
    """Let a model predict a file of rows that a search wrote."""
    fitted = model_folder.load(model, allow=allow)
    found = read_labelled(rows, task=fitted.task, text_column="text", label_column="label")
    targets = encode_labels(fitted.task, found.labels, fitted.classes)
    is_number = fitted.task == "regression"
    logits = fitted.logits(found.texts)
    outputs = logits.astype("float64") if is_number else fitted.calibrate(logits)
    classes = [str(label) for label in fitted.classes.tolist()]
    return Answers(fitted.task, classes, targets, outputs, fitted.thresholds)


class _Worker:
    """What this process asks before each step, where it is one of several."""

    user: Event
    clock: Event

    @classmethod
    def start(cls, user: Event, clock: Event) -> None:
        import threading

        cls.user, cls.clock = user, clock
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that began it decides
        threading.Thread(target=end_with_parent, daemon=True).start()

    @classmethod
    def asked(cls) -> str:
        return "user" if cls.user.is_set() else "clock" if cls.clock.is_set() else ""

    @classmethod
    def run(cls, trial: Trial) -> Outcome:
        return run_trial(trial, cls.asked)


class Trials:
    """Runs trials, in this process or in several.

    asked: says why to stop, as of `run_trial`. Results come in the order of the trials, so that
    what is learnt from them is the same for any number of workers.
    """

    def __init__(self, workers: int, asked: Callable[[], str], watch: Watch) -> None:
        self.workers, self.asked, self.watch = workers, asked, watch

    def run(self, trials: Sequence[Trial]) -> Iterator[tuple[Trial, Outcome]]:
        """Give the outcome of each trial; none that would begin once it is time to stop."""
        if self.workers == 1 or len(trials) == 1:
            for trial in trials:
                if self.asked():
                    return
                yield trial, run_trial(trial, self.asked, self.watch)
            return
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor, wait

        context = multiprocessing.get_context("spawn")
        user, clock = context.Event(), context.Event()
        pool = ProcessPoolExecutor(
            min(self.workers, len(trials)),
            context,
            initializer=_Worker.start,
            initargs=(user, clock),
        )
        with pool:
            futures = [pool.submit(_Worker.run, trial) for trial in trials]
            try:
                for trial, future in zip(trials, futures, strict=True):
                    while not wait([future], timeout=0.2).done:
                        reason = self.asked()
                        if reason:
                            (user if reason == "user" else clock).set()
                            for waiting in futures:
                                waiting.cancel()
                    if future.cancelled():
                        return
                    yield trial, future.result()
            finally:
                user.set()
                for future in futures:
                    future.cancel()


def write_rows(path: Path, texts: Sequence[str], labels: Sequence[object]) -> None:
    """Write rows as a file that `answer` and a training read."""
    rows = ({"text": t, "label": label} for t, label in zip(texts, labels, strict=True))
    files.write_text(path, "".join(f"{json.dumps(row)}\n" for row in rows))
