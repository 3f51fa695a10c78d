"""Which plan makes a model small enough and loses little enough: from cheap to dear.

In: a Fitted, a size or an allowed loss, and what measures a compressed model on rows that chose
nothing else. Out: the Trial that was taken. The order is float16, int8, unused rows, fewer members,
fewer rows, and these trained once more where they lose too much; of a size alone the first that
fits is taken, of a loss alone the smallest that is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from textkit.classify.compressing import Needs, Plan, narrow, pack
from textkit.classify.compression import Compression
from textkit.classify.fitted import Fitted
from textkit.errors import LimitError

# Shares of the rows that are tried where no size says how many.
_SHARES = (0.9, 0.75, 0.5, 0.35, 0.25, 0.15, 0.1, 0.05)
# How often a number of rows is corrected to meet a size.
_CORRECTIONS = 8
# What fewer rows may lose, where nothing is said, before they are trained once more.
_LITTLE = 0.005


@dataclass(frozen=True)
class Trial:
    """A plan, the model that it gives, its size, and its score on the check rows, if there are
    any.
    """

    plan: Plan
    fitted: Fitted
    done: Compression
    n_bytes: int
    score: float | None


@dataclass(frozen=True)
class Bench:
    """What makes and measures trials.

    size_of: the bytes of a model's files. score: by the check rows, None without any. retrain:
    trains what is left of a model once more, None without training texts.
    """

    original: Fitted
    needs: Needs | None
    texts: Sequence[str]
    size_of: Callable[[Fitted], int]
    score: Callable[[Fitted], float | None]
    retrain: Callable[[Fitted], Fitted] | None

    def attempt(self, plan: Plan) -> Trial:
        """Make and measure what a plan gives."""
        small, done = narrow(self.original, plan, self.needs, self.texts)
        if plan.retrain and self.retrain is not None:
            small = self.retrain(small)
        packed = pack(small, done)
        return Trial(plan, packed, done, self.size_of(packed), self.score(packed))


def search(bench: Bench, *, size: int | None, max_loss: float | None) -> Trial:
    """Take the first trial that fits the size and the loss; without a size the smallest one.

    Raises LimitError where none does, which says how near the nearest came.
    """
    before = bench.score(bench.original)
    failed: list[Trial] = []
    best: Trial | None = None
    allowed = float("inf") if max_loss is None else max_loss
    for trial in _trials(bench, before, size, _LITTLE if max_loss is None else max_loss):
        fits = size is None or trial.n_bytes <= size
        if fits and _loss(before, trial) <= allowed:
            if size is not None:
                return trial
            best = trial if best is None or trial.n_bytes < best.n_bytes else best
        else:
            failed.append(trial)
            is_last_try = trial.plan.retrain or bench.retrain is None
            if size is None and trial.plan.rows is not None and is_last_try:
                break
    if best is not None:
        return best
    raise LimitError(_explain(failed, before, size=size, max_loss=max_loss))


def _loss(before: float | None, trial: Trial) -> float:
    return 0.0 if before is None or trial.score is None else before - trial.score


def _trials(
    bench: Bench, before: float | None, size: int | None, allowed: float
) -> Iterator[Trial]:
    for numbers in ("float16", "int8"):
        last = bench.attempt(Plan(numbers=numbers))
        yield last
    if bench.texts:
        used = bench.attempt(Plan(used=True))
        if used.done.n_rows < last.done.n_rows:
            yield used
    for members in range(bench.original.recipe.encoder.members - 1, 0, -1):
        last = bench.attempt(Plan(members=members))
        yield last
    if bench.needs is None:
        return
    if size is not None:
        trial = _fit_rows(bench, last, size)
        if trial is not None:
            yield from _twice(bench, trial, before, allowed)
        return
    for share in _SHARES:
        rows = max(1, int(share * len(bench.needs.values)))
        trial = bench.attempt(replace(last.plan, rows=rows))
        yield from _twice(bench, trial, before, allowed)


def _twice(bench: Bench, trial: Trial, before: float | None, allowed: float) -> Iterator[Trial]:
    """Give a trial of fewer rows, and where it loses more than is allowed the same one trained once
    more, the better one first: a training changes labels that were right enough.
    """
    if bench.retrain is None or trial.score is None or _loss(before, trial) <= allowed:
        yield trial
        return
    again = bench.attempt(replace(trial.plan, retrain=True))
    assert again.score is not None
    yield from sorted((trial, again), key=lambda one: -(one.score or 0.0))


def _fit_rows(bench: Bench, whole: Trial, size: int) -> Trial | None:
    """Find how many rows fit into a size, by the sizes of two trials; None where none do."""
    assert bench.needs is not None
    n_all = len(bench.needs.values)
    silent = replace(bench, score=lambda fitted: None)
    low = silent.attempt(replace(whole.plan, rows=max(1, n_all // 20)))
    rows, slope = n_all, (whole.n_bytes - low.n_bytes) / max(whole.done.n_rows - low.done.n_rows, 1)
    trial = whole
    for _ in range(_CORRECTIONS):
        rows = int(rows - max((trial.n_bytes - size) / max(slope, 1e-9), rows / 200)) - 1
        if rows < 1 or low.n_bytes > size:
            return None
        trial = silent.attempt(replace(whole.plan, rows=rows))
        if trial.n_bytes <= size:
            return replace(trial, score=bench.score(trial.fitted))
    return None


def _explain(
    failed: Sequence[Trial], before: float | None, *, size: int | None, max_loss: float | None
) -> str:
    smallest = min(failed, key=lambda trial: trial.n_bytes)
    if size is not None and smallest.n_bytes > size:
        return (
            f"the smallest that was tried has {smallest.n_bytes:,} bytes ({smallest.done}), more"
            f" than the {size:,} of --size; allow more, or write a .zip"
        )
    fitting = [trial for trial in failed if size is None or trial.n_bytes <= size]
    nearest = min(fitting, key=lambda trial: _loss(before, trial))
    return (
        f"the least that is lost is {_loss(before, nearest):.4f} ({nearest.done}), more than the"
        f" {max_loss:g} of --max-loss; allow more"
        + ("" if size is None else ", or a larger --size")
    )
