"""What a search for a model found: its trials, the best of them, and how far to believe its score.

In: trials with their values and scores. Out: a TuneReport for people and for machines. The best of
many trials was chosen by its validation score, which is too good for that reason; rows that no
trial saw say by how much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from textkit.evaluation.goals import Goal
from textkit.evaluation.intervals import Interval
from textkit.version import __version__

_SHOWN = 10


@dataclass(frozen=True)
class Tried:
    """A trial: the values that it changed, how it ended, and its score on the validation rows.

    state: as of textkit.jobs.tune_trials.Outcome. score: None where it has none.
    """

    number: int
    recipe: str
    values: Mapping[str, Any]
    state: str
    score: float | None
    seconds: float
    n_bytes: int
    losses: Sequence[float] = ()
    reason: str = ""

    @property
    def counts(self) -> bool:
        """Tell whether it may be the best one."""
        return self.state in ("done", "cut") and self.score is not None

    def spell_values(self) -> str:
        """Write the values as `--set` takes them."""
        return " ".join(f"{key}={spell_value(value)}" for key, value in self.values.items())


@dataclass(frozen=True)
class TuneReport:
    """All trials of a search in their order, and the best.

    valid, apart: the best trial's score on the rows that chose it, and on rows that no trial saw,
    with their 95 % intervals. n_rows: to learn from, to choose by, and kept apart.
    """

    metric: str
    task: str
    trials: Sequence[Tried]
    best: int
    valid: float
    valid_interval: Interval
    apart: float
    apart_interval: Interval
    n_rows: tuple[int, int, int]
    seconds: float
    ended: str

    @property
    def goal(self) -> Goal:
        """What was to be reached."""
        return Goal.parse(self.metric, self.task)  # type: ignore[arg-type]

    @property
    def optimism(self) -> float:
        """By how much the score that chose the best trial is better than on rows unseen."""
        gap = self.valid - self.apart
        return -gap if self.goal.falls else gap

    def ranked(self) -> list[Tried]:
        """Give the trials that count, best first, then the others."""
        sign = 1 if self.goal.falls else -1
        counting = [trial for trial in self.trials if trial.counts]
        counting.sort(key=lambda trial: sign * (trial.score or 0.0))
        return [*counting, *(trial for trial in self.trials if not trial.counts)]

    def to_dict(self) -> dict[str, object]:
        """Give everything as plain JSON values."""
        return {
            "textkit_version": __version__,
            "metric": self.metric,
            "task": self.task,
            "best": self.best,
            "valid": {"score": self.valid, **asdict(self.valid_interval)},
            "apart": {"score": self.apart, **asdict(self.apart_interval)},
            "optimism": self.optimism,
            "n_rows": dict(zip(("learn", "valid", "apart"), self.n_rows, strict=True)),
            "ended": self.ended,
            "seconds": round(self.seconds, 3),
            "trials": [asdict(trial) for trial in self.trials],
        }

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> TuneReport:
        """Read what to_dict gave."""
        valid, apart = dict(facts["valid"]), dict(facts["apart"])
        return cls(
            facts["metric"],
            facts["task"],
            [Tried(**trial) for trial in facts["trials"]],
            facts["best"],
            valid.pop("score"),
            Interval(**valid),
            apart.pop("score"),
            Interval(**apart),
            tuple(facts["n_rows"].values()),
            facts["seconds"],
            facts["ended"],
        )

    def to_text(self) -> str:
        """Write the best trials and the verdict for a terminal."""
        lines = [f"{'trial':>5}  {self.metric:>9}  {'seconds':>8}  recipe"]
        ranked = [trial for trial in self.ranked() if trial.counts]
        lines += [
            f"{trial.number:5d}  {trial.score:9.4f}  {trial.seconds:8.1f}"
            f"  {trial.recipe} {trial.spell_values()}".rstrip()
            for trial in ranked[:_SHOWN]
        ]
        if len(ranked) > _SHOWN:
            lines.append(f"       and {len(ranked) - _SHOWN} more")
        return "\n".join([*lines, *self._others(), "", *self.verdict()])

    def verdict(self) -> list[str]:
        """Say how good the best trial is, and how much of its score is luck."""
        _, n_valid, n_apart = self.n_rows
        return [
            f"best: trial {self.best}, {self.metric} {self.valid:.4f} on the {n_valid:,} rows that"
            f" chose it ({self.valid_interval:.4f})",
            f"on {n_apart:,} rows that no trial saw: {self.apart:.4f} ({self.apart_interval:.4f});"
            f" the choice flatters by {self.optimism:+.4f}",
        ]

    def _others(self) -> list[str]:
        found: dict[str, int] = {}
        for trial in self.trials:
            if not trial.counts:
                found[trial.state] = found.get(trial.state, 0) + 1
        said = [", ".join(f"{n} {state}" for state, n in found.items())] if found else []
        failed = next((trial for trial in self.trials if trial.state == "failed"), None)
        if failed is not None:
            said.append(f"trial {failed.number} failed: {failed.reason}")
        return said


def spell_value(value: object) -> str:
    """Write a value of a recipe, a float with five digits.

    >>> spell_value(0.123456789), spell_value([1, 2]), spell_value("auto")
    ('0.12346', '[1,2]', 'auto')
    """
    if isinstance(value, float):
        return f"{value:.5g}"
    return str(value).replace(" ", "") if isinstance(value, list) else str(value)
