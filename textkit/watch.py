"""What long work reports while it runs: how far it is, each step and epoch of a training, notes.

A library call prints nothing. Whoever wants to see or to stop a piece of work gives it a Watch.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Ended = Literal["epochs", "early", "time", "stopped"]


@dataclass(frozen=True)
class Progress:
    """How far a piece of work is.

    title: what is being done, as "tokenizing". done, total: in `unit`; total is None while it is
    not known. details: what stands behind the bar, as "12.3 MB/s".

    >>> Progress("tokenizing", done=3, total=8)
    Progress(title='tokenizing', done=3, total=8, unit='rows', details='')
    """

    title: str
    done: int
    total: int | None = None
    unit: str = "rows"
    details: str = ""


@dataclass(frozen=True)
class Step:
    """What one step did, for a progress display and a log."""

    epoch: int
    done: int
    total: int
    loss: float
    lr: float
    tokens_per_second: float
    valid_score: float | None


@dataclass(frozen=True)
class Epoch:
    """The measured result of one pass; a pure function of data, recipe and seed on one machine.

    >>> epoch = Epoch(1, 0.9, 0.8, {"accuracy": 0.7}, 0.02, 0.004)
    >>> epoch.valid_accuracy, Epoch.from_dict(epoch.to_dict()) == epoch
    (0.7, True)
    """

    epoch: int
    train_loss: float
    valid_loss: float
    scores: dict[str, float]
    padding_share: float
    lr: float

    def __getattr__(self, name: str) -> float:
        scores = self.__dict__.get("scores", {})
        if name.startswith("valid_") and name.removeprefix("valid_") in scores:
            return float(scores[name.removeprefix("valid_")])
        raise AttributeError(name)

    def to_dict(self) -> dict[str, float]:
        """Give plain values; each score as `valid_NAME`."""
        values = asdict(self)
        scores = values.pop("scores")
        return values | {f"valid_{name}": value for name, value in scores.items()}

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Epoch:
        """Read what to_dict gave."""
        own = ("epoch", "train_loss", "valid_loss", "padding_share", "lr")
        scores = {
            name.removeprefix("valid_"): value for name, value in values.items() if name not in own
        }
        return Epoch(**{name: values[name] for name in own}, scores=scores)


@dataclass(frozen=True)
class Health:
    """What went on inside a network in an epoch, by layer where it is a dict.

    gradient_norm: the median over the steps, before clipping; clipped_share: of the steps.
    update_ratio: length of the last step's update beside that of the weights. activation: root mean
    square of a layer's outputs for validation rows; dead_share: of its units, those that gave the
    same at every position.
    """

    epoch: int
    gradient_norm: float
    clipped_share: float
    update_ratio: dict[str, float] = field(default_factory=dict)
    activation: dict[str, float] = field(default_factory=dict)
    dead_share: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Give plain values."""
        return asdict(self)


@dataclass
class History:
    """What a training did: its epochs, which was best, why it ended, how long it took and how
    fast it ran.
    """

    epochs: list[Epoch] = field(default_factory=list)
    best: Epoch | None = None
    ended: Ended = "epochs"
    metric: str = "accuracy"
    seconds: float = 0.0
    tokens_per_second: float = 0.0
    device: str = "cpu"
    notes: list[str] = field(default_factory=list)


_NOTHING = nullcontext()


def untimed(name: str) -> AbstractContextManager[object]:
    """Time nothing: what a Watch does with a stage unless it is told otherwise.

    >>> with untimed("forward"):
    ...     pass
    """
    return _NOTHING


@dataclass(frozen=True)
class Watch:
    """What the caller of long work hears, and the question that the work asks it: stop now?

    - progress: how far the work is, often.
    - step, epoch: of a training, each batch and each pass over the data.
    - note: a line for the user, such as which column was guessed.
    - health: of each epoch, where it is given; measuring it takes a little time.
    - stage: entered around each stage of a training, by name ("forward"); for a profile.
    - should_stop: asked between two steps of the work, which then ends early and whole.

    >>> said = []
    >>> Watch(note=said.append).note("text = 'text' (guessed)")
    >>> said
    ["text = 'text' (guessed)"]
    """

    progress: Callable[[Progress], None] = lambda progress: None
    step: Callable[[Step], None] = lambda step: None
    epoch: Callable[[Epoch], None] = lambda epoch: None
    note: Callable[[str], None] = lambda line: None
    should_stop: Callable[[], bool] = lambda: False
    health: Callable[[Health], None] | None = None
    stage: Callable[[str], AbstractContextManager[object]] = untimed
