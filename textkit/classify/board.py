"""The board of an automatic choice: what was measured of each candidate, and who was taken.

In: outputs for held-out rows. Out: scores with 95 % intervals, and differences of two candidates
with their standard errors, by the jackknife, which serves every metric.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from textkit.data.targets import Targets, Task
from textkit.evaluation.intervals import Interval
from textkit.evaluation.task_scores import FALLING, row_losses, score
from textkit.recipe import Recipe

# Parts of the held-out rows, of which each is left out once for a standard error.
_PARTS = 40


@dataclass(frozen=True)
class Standing:
    """One line of the board.

    score: by the board's metric, on the rows held out; interval: its 95 % interval. seconds: of the
    fits. n_bytes: of the model's files. reason: why it was taken or left. latency_ms: median
    milliseconds of the prediction of one text.
    """

    name: str
    score: float | None
    interval: Interval | None
    seconds: float
    n_bytes: int
    reason: str
    latency_ms: float = 0.0


@dataclass(frozen=True)
class Bounds:
    """What a model may cost. size: bytes of its files; latency: milliseconds of one text; 0 is no
    bound.

    >>> Bounds(size=2_000_000).refuse(3_500_000, 0.2)
    '3,500,000 bytes are above the 2,000,000 allowed'
    """

    size: int = 0
    latency: float = 0.0

    def refuse(self, n_bytes: int, latency_ms: float) -> str:
        """Say why something costs too much; nothing where it does not."""
        if self.size and n_bytes > self.size:
            return f"{n_bytes:,} bytes are above the {self.size:,} allowed"
        if self.latency and latency_ms > self.latency:
            return f"{latency_ms:,.2f} ms a text are above the {self.latency:g} ms allowed"
        return ""


@dataclass(frozen=True)
class Choice:
    """What was chosen, and the board that it was chosen by.

    metric: what the scores are. n_rows: how many rows were held out.
    """

    winner: str
    recipe: Recipe
    metric: str
    n_rows: int
    board: tuple[Standing, ...]

    def lines(self) -> list[str]:
        """Write the board as a table."""
        width = max(len(line.name) for line in self.board)
        title = f"{self.metric.replace('_', ' ')} on {self.n_rows:,} rows held out"
        made = [f"{'candidate':{width}}  {title:34} {'seconds':>7} {'size':>9} {'ms a text':>9}"]
        for line in self.board:
            shown = "-" if line.score is None else f"{line.score:.3f} ({line.interval})"
            size = f"{line.n_bytes / 1e6:,.1f} MB" if line.n_bytes else "-"
            latency = f"{line.latency_ms:,.2f}" if line.latency_ms else "-"
            made.append(
                f"{line.name:{width}}  {shown:34} {line.seconds:7.1f} {size:>9} {latency:>9}"
                f"  {line.reason}"
            )
        return [*made, *self._smaller()]

    def _smaller(self) -> list[str]:
        """Say what would be chosen at a tenth of the size, and at a tenth of the time."""
        lines = [line for line in self.board if line.score is not None]
        chosen = next((line for line in lines if line.name == self.winner), None)
        if chosen is None:
            return []
        small = [line for line in lines if line.n_bytes * 10 <= chosen.n_bytes]
        fast = [line for line in lines if line.latency_ms * 10 <= chosen.latency_ms]
        sign = -1.0 if self.metric in FALLING else 1.0
        said = []
        for what, cheap in (("size (--size)", small), ("time (--latency)", fast)):
            best = max(cheap, key=lambda line: sign * (line.score or 0.0), default=None)
            if best is not None and best.name != self.winner:
                said.append(
                    f"at a tenth of the {what}: {best.name}, {best.score:.3f},"
                    f" {best.n_bytes / 1e6:,.1f} MB, {best.latency_ms:,.2f} ms a text"
                )
        return said

    def to_dict(self) -> dict[str, object]:
        """Give plain values for JSON."""
        board = [asdict(line) for line in self.board]
        return {
            "winner": self.winner,
            "metric": self.metric,
            "n_rows": self.n_rows,
            "board": board,
        }


class Judge:
    """Scores of outputs for the rows held out, and differences of two, with standard errors."""

    def __init__(self, task: Task, metric: str, targets: Targets) -> None:
        self.task, self.metric, self.targets = task, metric, targets
        n = len(targets)
        order = np.random.default_rng([n, 0xB0A2]).permutation(n)
        self.parts = [order[part :: min(_PARTS, n)] for part in range(min(_PARTS, n))]

    def score(self, outputs: NDArray[np.float32]) -> tuple[float, Interval]:
        """Score outputs, with a 95 % interval."""
        value = self._value(outputs, self.targets)
        return value, Interval.around(value, _jackknife(self._without_each(outputs)))

    def compare(
        self, outputs: NDArray[np.float32], others: NDArray[np.float32]
    ) -> tuple[float, float]:
        """Say by how much outputs are better than others, and the standard error of that."""
        sign = -1.0 if self.metric in FALLING else 1.0
        gain = self._value(outputs, self.targets) - self._value(others, self.targets)
        differences = self._without_each(outputs) - self._without_each(others)
        return sign * gain, _jackknife(differences)

    def _without_each(self, outputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Score without each part of the rows (Quenouille's jackknife)."""
        found = []
        for part in self.parts:
            kept = np.ones(len(self.targets), dtype=bool)
            kept[part] = False
            found.append(self._value(outputs[kept], self.targets[kept]))
        return np.array(found)

    def _value(self, outputs: NDArray[np.float32], targets: Targets) -> float:
        if self.metric == "loss":
            return float(row_losses(self.task, outputs, targets).mean())
        return score(self.task, outputs, targets)[self.metric]


def _jackknife(values: NDArray[np.float64]) -> float:
    n = len(values)
    return float(np.sqrt((n - 1) / n * ((values - values.mean()) ** 2).sum()))
