"""Where the time of a training goes: `train --profile`.

In: the stages that a training enters, by a Watch. Out: a TrainingProfile: seconds by stage beside
the whole, tokens a second, the share of the steps that waited for data, peak memory; as a table, as
`profile.json`, and as a trace for Chrome (chrome://tracing, or ui.perfetto.dev).
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from textkit.io import files
from textkit.jobs.memory import gpu_peak, peak_bytes, reset_gpu
from textkit.watch import History

PROFILE, TRACE = "profile.json", "profile-trace.json"
# Every stage in the order of the table, with what it is.
STAGES = {
    "read": "read the files, split the rows",
    "start": "import torch, draw the first weights",
    "tokenize": "tokenize, or count n-grams",
    "choose": "measure the candidates of auto",
    "data": "wait for data: take rows, augment them",
    "collate": "collate, copy to the device",
    "forward": "forward",
    "backward": "backward",
    "optimizer": "optimizer",
    "report": "look at the loss, say how far it is",
    "fit": "fit the linear machines",
    "evaluation": "evaluation",
    "checkpoint": "checkpoints",
    "save": "save the model, draw curves",
    "baseline": "baseline",
    "doctor": "doctor",
}
_OF_A_STEP = ("data", "collate", "forward", "backward", "optimizer")
# Passes through a stage that the trace shows, the first ones: 10 MB.
_MOST_MARKS = 100_000


@dataclass(frozen=True)
class TrainingProfile:
    """One training's numbers, in seconds.

    stages: by name, in order, those that were entered; they overlap nowhere. whole: from the first
    look at the clock to the last. counts: passes through each stage. peak_bytes: of the process;
    gpu_bytes: of its tensors. marks: stage, when it began, how long it took.
    """

    stages: dict[str, float]
    counts: dict[str, int]
    whole: float
    tokens_per_second: float
    device: str
    peak_bytes: int
    gpu_bytes: int
    marks: tuple[tuple[str, float, float], ...] = ()

    @property
    def n_steps(self) -> int:
        """Steps of the optimiser."""
        return self.counts.get("optimizer", 0)

    @property
    def data_share(self) -> float:
        """Share of the steps' time that waits for batches: taking, augmenting, collating them."""
        steps = sum(self.stages.get(name, 0.0) for name in _OF_A_STEP)
        data = sum(self.stages.get(name, 0.0) for name in ("data", "collate"))
        return data / steps if steps else 0.0

    def to_dict(self) -> dict[str, object]:
        """Give plain JSON values."""
        return {
            "device": self.device,
            "whole_seconds": self.whole,
            "stages_sum_seconds": sum(self.stages.values()),
            "stages_seconds": self.stages,
            "stages_counts": self.counts,
            "n_steps": self.n_steps,
            "tokens_per_second": self.tokens_per_second,
            "data_share": self.data_share,
            "peak_bytes": self.peak_bytes,
            "gpu_bytes": self.gpu_bytes,
        }

    def to_text(self) -> str:
        """Write a table: a line a stage, with its share of the whole.

        >>> print(TrainingProfile({"read": 1.0}, {"read": 1}, 2.0, 0.0, "cpu", 10**6, 0).to_text())
        stage                                     seconds   share    passes
        read the files, split the rows              1.000   50.0%         1
        all else                                    1.000   50.0%
        whole                                       2.000  100.0%
        peak memory: 1 MB
        """
        whole = self.whole or 1.0
        lines = [f"{'stage':40}{'seconds':>9}{'share':>8}{'passes':>10}"]
        for name, taken in self.stages.items():
            count = f"{self.counts[name]:>10,}"
            lines.append(f"{STAGES.get(name, name):40}{taken:9.3f}{taken / whole:8.1%}{count}")
        left = self.whole - sum(self.stages.values())
        lines.append(f"{'all else':40}{left:9.3f}{left / whole:8.1%}")
        lines.append(f"{'whole':40}{self.whole:9.3f}{1:8.1%}")
        if self.n_steps:
            lines.append(
                f"{self.tokens_per_second:,.0f} tokens/s on {self.device};"
                f" {self.data_share:.1%} of the steps' time waits for data"
            )
        on_gpu = f", of the GPU {self.gpu_bytes / 1e6:,.0f} MB" if self.gpu_bytes else ""
        lines.append(f"peak memory: {self.peak_bytes / 1e6:,.0f} MB{on_gpu}")
        return "\n".join(lines)

    def write(self, folder: Path) -> None:
        """Write `profile.json` and `profile-trace.json` into a folder."""
        files.write_json(folder / PROFILE, self.to_dict())
        events = [
            {
                "name": name,
                "cat": "training",
                "ph": "X",
                "ts": round(1e6 * began, 3),
                "dur": round(1e6 * taken, 3),
                "pid": 1,
                "tid": 1,
            }
            for name, began, taken in self.marks
        ]
        trace = {"traceEvents": events, "displayTimeUnit": "ms"}
        files.write_text(folder / TRACE, json.dumps(trace) + "\n")


class StageClock:
    """Times the stages of a training, from when it is made.

    A Watch with its `stage` hands it to a fit. On a GPU every stage waits until the device is done,
    so that the time stands where it belongs; the whole takes longer by that. A stage inside another
    counts as part of the outer one; other threads are not timed.

    >>> from textkit import TextClassifier
    >>> from textkit.watch import Watch
    >>> clock, rows = StageClock(), (["good film", "bad film"] * 20, ["pos", "neg"] * 20)
    >>> model = TextClassifier(encoder="linear").fit(*rows, watch=Watch(stage=clock.stage))
    >>> list(clock.profile(model.history_).stages)
    ['read', 'start', 'tokenize', 'fit', 'evaluation']
    """

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._thread, self._inside = threading.get_ident(), False
        self._seconds = dict.fromkeys(STAGES, 0.0)
        self._counts = dict.fromkeys(STAGES, 0)
        self._marks: list[tuple[str, float, float]] = []
        reset_gpu()

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage, also one that ends in an error."""
        if self._inside or threading.get_ident() != self._thread:
            yield
            return
        self._inside = True
        began = time.perf_counter()
        try:
            yield
        finally:
            _wait_for_gpu()
            taken = time.perf_counter() - began
            self._inside = False
            self._seconds[name] = self._seconds.get(name, 0.0) + taken
            self._counts[name] = self._counts.get(name, 0) + 1
            if len(self._marks) < _MOST_MARKS:
                self._marks.append((name, began - self._began, taken))

    def profile(self, history: History) -> TrainingProfile:
        """Give the numbers up to now."""
        entered = [name for name, count in self._counts.items() if count]
        return TrainingProfile(
            {name: self._seconds[name] for name in entered},
            {name: self._counts[name] for name in entered},
            time.perf_counter() - self._began,
            history.tokens_per_second,
            history.device,
            peak_bytes(),
            gpu_peak(),
            tuple(self._marks),
        )


def _wait_for_gpu() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()
