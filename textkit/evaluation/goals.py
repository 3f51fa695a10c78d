"""Goals of a search for a model: one number of its answers, the better the higher it is or lower.

In: a name such as "accuracy", "f1:spam" or "precision@recall=.3:spam". Out: a Goal, which scores
truths and outputs, tells which of two scores is the better one, and gives its interval.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textkit.data.targets import Targets, Task
from textkit.errors import UsageError, unknown_name
from textkit.evaluation import task_scores
from textkit.evaluation.intervals import Interval

_KNOWN: dict[Task, tuple[str, ...]] = {
    "single-label": ("accuracy", "macro_f1", "log_loss"),
    "multi-label": ("micro_f1", "macro_f1", "subset_accuracy", "log_loss"),
    "regression": ("r2", "mae", "rmse"),
}
_FALLING = ("log_loss", "mae", "rmse")
# Of one label: f1:LABEL, precision@recall=.3:LABEL.
_OF_A_LABEL = re.compile(
    r"(?P<name>f1|precision@recall|recall@precision)"
    r"(?:=(?P<bound>[^:]*))?(?::(?P<label>.+))?",
    re.DOTALL,
)
_RESAMPLES = 400


@dataclass(frozen=True)
class Answers:
    """What a model says of rows, and what is true of them.

    - classes: the labels, or the names of the numbers of a regression.
    - targets: as textkit.data.targets makes them.
    - outputs: probabilities (n, n_classes), or numbers (n, n_outputs).
    - thresholds: of a multi-label model, (n_classes,).
    """

    task: Task
    classes: Sequence[str]
    targets: Targets
    outputs: NDArray[np.float64]
    thresholds: NDArray[np.float64]

    def take(self, rows: NDArray[np.int64]) -> Answers:
        """Give the answers of some rows."""
        return Answers(
            self.task, self.classes, self.targets[rows], self.outputs[rows], self.thresholds
        )

    def has(self, code: int) -> NDArray[np.bool_]:
        """Tell of each row whether a class is true of it."""
        is_single = self.task == "single-label"
        return self.targets == code if is_single else self.targets[:, code] > 0

    def says(self, code: int) -> NDArray[np.bool_]:
        """Tell of each row whether the model says a class."""
        if self.task == "single-label":
            return np.asarray(self.outputs.argmax(axis=1) == code)
        return np.asarray(self.outputs[:, code] > self.thresholds[code])


@dataclass(frozen=True)
class Goal:
    """A number to reach for.

    bound: the least recall of precision@recall, or the least precision of the other. label: the
    class that it is of; None is the mean over all.

    >>> Goal.parse("precision@recall=.3:spam", "single-label")
    Goal(name='precision@recall', bound=0.3, label='spam')
    >>> Goal.parse("auto", "regression").name, Goal.parse("mae", "regression").falls
    ('r2', True)
    """

    name: str
    bound: float = 0.0
    label: str | None = None

    @classmethod
    def parse(cls, text: str, task: Task) -> Goal:
        """Read a name; UsageError for one that the task does not have.

        "auto" is the first of the task: accuracy, micro_f1 or r2.
        """
        if text == "auto":
            return cls(_KNOWN[task][0])
        if text in _KNOWN[task]:
            return cls(text)
        found = None if task == "regression" else _OF_A_LABEL.fullmatch(text)
        if found is None:
            raise UsageError(_unknown(text, task))
        name, bound, label = found["name"], found["bound"], found["label"]
        if name == "f1":
            if label is None or bound is not None:
                raise UsageError(f"metric '{text}' names no label; write f1:LABEL, or macro_f1")
            return cls(name, label=label)
        return cls(name, _share(bound, text), label)

    @property
    def falls(self) -> bool:
        """Tell whether a smaller number is the better one."""
        return self.name in _FALLING

    @property
    def shown(self) -> str:
        """The name as it is written, and read again.

        >>> Goal("recall@precision", 0.9).shown
        'recall@precision=0.9'
        """
        bound = f"={self.bound:g}" if "@" in self.name else ""
        return self.name + bound + ("" if self.label is None else f":{self.label}")

    def check(self, classes: Sequence[str]) -> None:
        """Refuse a label that is none of the classes."""
        if self.label is not None and self.label not in classes:
            raise UsageError(unknown_name("label of the metric", self.label, classes))

    def is_better(self, score: float, other: float) -> bool:
        """Tell whether a score is better than another.

        >>> Goal("mae").is_better(0.1, 0.2), Goal("accuracy").is_better(0.1, 0.2)
        (True, False)
        """
        return score < other if self.falls else score > other

    def score(self, answers: Answers) -> float:
        """Compute the number."""
        if self.name == "f1":
            return _f1(answers, answers.classes.index(str(self.label)))
        if "@" in self.name:
            return self._reach(answers)
        return _SCORES[self.name](answers)

    def spread(self, answers: Answers, *, seed: int = 0) -> Interval:
        """Give the 95 % interval of the number: a bootstrap over the rows, the same for a seed."""
        generator = np.random.default_rng([seed, 0x60A1])
        n = len(answers.targets)
        scores = [self.score(answers.take(generator.integers(0, n, n))) for _ in range(_RESAMPLES)]
        is_share = self.name not in (*_FALLING, "r2")
        least = -np.inf if self.name == "r2" else 0.0
        most = 1.0 if is_share or self.name == "r2" else np.inf
        return Interval.of(self.score(answers), np.array(scores), least=least, most=most)

    def _reach(self, answers: Answers) -> float:
        labels = [self.label] if self.label is not None else list(answers.classes)
        codes = [answers.classes.index(label) for label in labels]
        reached = [
            _reach(answers.has(code), answers.outputs[:, code], self.name, self.bound)
            for code in codes
            if self.label is not None or answers.has(code).any()
        ]
        return float(np.mean(reached)) if reached else 0.0


def _unknown(text: str, task: Task) -> str:
    known = list(_KNOWN[task])
    if task != "regression":
        known += ["f1:LABEL", "precision@recall=R:LABEL", "recall@precision=P:LABEL"]
    return unknown_name(f"metric for {task}", text, known)


def _share(text: str | None, metric: str) -> float:
    try:
        bound = float(text or "")
    except ValueError:
        bound = -1.0
    if not 0 < bound <= 1:
        raise UsageError(f"metric '{metric}': expected a number above 0 and up to 1 behind '='")
    return bound


def _accuracy(answers: Answers) -> float:
    return float((answers.outputs.argmax(axis=1) == answers.targets).mean())


def _f1(answers: Answers, code: int) -> float:
    true, said = answers.has(code), answers.says(code)
    total = int(true.sum()) + int(said.sum())
    return 2 * int((true & said).sum()) / total if total else 0.0


def _macro_f1(answers: Answers) -> float:
    """Average over the classes that occur, in truth or in what the model says."""
    codes = range(len(answers.classes))
    seen = [code for code in codes if answers.has(code).any() or answers.says(code).any()]
    return float(np.mean([_f1(answers, code) for code in seen])) if seen else 0.0


def _log_loss(answers: Answers) -> float:
    outputs = np.clip(answers.outputs, 1e-12, 1 - 1e-12)
    if answers.task == "single-label":
        rows = np.arange(len(outputs))
        return float(-np.log(outputs[rows, answers.targets.astype(np.int64)]).mean())
    true = answers.targets > 0
    return float(-np.log(np.where(true, outputs, 1 - outputs)).mean())


def _micro_f1(answers: Answers) -> float:
    return task_scores.micro_f1(answers.targets, answers.outputs > answers.thresholds)


def _subset_accuracy(answers: Answers) -> float:
    same = (answers.outputs > answers.thresholds) == (answers.targets > 0)
    return float(same.all(axis=1).mean())


def _r2(answers: Answers) -> float:
    return task_scores.r_squared(answers.targets.astype(np.float64), answers.outputs)


def _mae(answers: Answers) -> float:
    return float(np.abs(answers.outputs - answers.targets).mean())


def _rmse(answers: Answers) -> float:
    return float(np.sqrt(((answers.outputs - answers.targets) ** 2).mean()))


_SCORES: dict[str, Callable[[Answers], float]] = {
    "accuracy": _accuracy,
    "macro_f1": _macro_f1,
    "log_loss": _log_loss,
    "micro_f1": _micro_f1,
    "subset_accuracy": _subset_accuracy,
    "r2": _r2,
    "mae": _mae,
    "rmse": _rmse,
}


def _reach(true: NDArray[np.bool_], values: NDArray[np.float64], name: str, bound: float) -> float:
    """Give the best precision where recall is at least `bound`, or the other way round; 0 where no
    threshold reaches it.

    >>> true, values = np.array([True, False, True]), np.array([0.9, 0.8, 0.3])
    >>> _reach(true, values, "precision@recall", 0.5), _reach(true, values, "recall@precision", 0.9)
    (1.0, 0.5)
    """
    if not true.any():
        return 0.0
    order = np.argsort(-values, kind="stable")
    hits = np.cumsum(true[order])
    ordered = values[order]
    ends = np.append(ordered[:-1] != ordered[1:], True)  # rows of one value fall on the same side
    precision = (hits / np.arange(1, len(hits) + 1))[ends]
    recall = (hits / hits[-1])[ends]
    kept, asked = (precision, recall) if name == "precision@recall" else (recall, precision)
    fits = asked >= bound - 1e-12
    return float(kept[fits].max()) if fits.any() else 0.0
