"""TrainingState: all that changes between two steps of a training, and its way into a checkpoint
and back.

In: the state with the network, the optimiser and the average of the weights as they stand. Out: a
Checkpoint, from which another process goes on as if nothing had happened. What a step needs beside
it is a pure function of the recipe, the rows and the number of the step.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from textkit.errors import ArtifactError, LimitError
from textkit.evaluation.task_scores import FALLING
from textkit.nn.network import TextNetwork
from textkit.training import checkpoints
from textkit.training.checkpoints import Checkpoint, Identity, SavedState
from textkit.training.optimization import WeightAverage
from textkit.watch import Epoch, History


@dataclass
class TrainingState:
    """Where a training stands.

    epoch: the one that is run, from 1. batches_done: of it. steps: the optimiser's, in all.
    loss_sum: of the epoch's rows on this rank. best: the weights of the best epoch, on the CPU.
    seconds_before: those of the runs before this one.
    """

    history: History
    epoch: int = 1
    batches_done: int = 0
    steps: int = 0
    loss_sum: float = 0.0
    tokens_seen: int = 0
    train_seconds: float = 0.0
    seconds_before: float = 0.0
    best: dict[str, Tensor] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """How long the training has taken, over all its runs."""
        return self.seconds_before + time.perf_counter() - self.started

    def rising(self, epoch: Epoch) -> float:
        """Give the watched score of an epoch so that higher is better."""
        metric = self.history.metric
        value = epoch.valid_loss if metric == "loss" else epoch.scores[metric]
        return -value if metric in FALLING else value

    def end_epoch(
        self, epoch: Epoch, network: TextNetwork, *, patience: int, settled_from: int = 1
    ) -> None:
        """Take the result of an epoch, and its weights where it is the best; among equal scores
        the lower loss counts.

        settled_from: the first epoch that may stay the best; of those before it the last one is.
        """

        def order(epoch: Epoch) -> tuple[float, float]:
            return self.rising(epoch), -epoch.valid_loss

        self.history.epochs.append(epoch)
        best = self.history.best
        if best is None or best.epoch < settled_from or order(epoch) > order(best):
            self.history.best = best = epoch
            self.best = {name: value.cpu().clone() for name, value in network.state_dict().items()}
        if epoch.epoch - best.epoch >= patience:
            self.history.ended = "early"
        self.epoch, self.batches_done, self.loss_sum = epoch.epoch + 1, 0, 0.0

    def check_finite(self, epoch: Epoch, folder: Path | None) -> None:
        """Refuse an epoch that has a loss or a score which is no number; `folder` is as in
        `diverged`.
        """
        for name, value in epoch.to_dict().items():
            if not math.isfinite(value):
                raise self.diverged(f"{name.replace('_', ' ')} is {value} after", folder)

    def diverged(self, what: str, folder: Path | None) -> LimitError:
        """Make the error of a training that left all bounds. folder: where its checkpoints lie."""
        kept = None if folder is None else checkpoints.newest(folder)
        last = "" if kept is None else f"; the last good checkpoint is {kept}"
        return LimitError(
            f"{what} epoch {self.epoch}, step {self.steps}; lower training.lr or"
            f" training.clip{last}"
        )

    def pack(
        self,
        network: TextNetwork,
        optimizer: torch.optim.Optimizer,
        average: WeightAverage,
        *,
        loss_sum: float,
        scaler: torch.amp.GradScaler | None,
        identity: Identity,
    ) -> Checkpoint:
        """Make a checkpoint of this moment. loss_sum: over all ranks."""
        slots = optimizer.state_dict()["state"].items()
        parts = {"network": network.state_dict(), "best": self.best, "average": average.values}
        parts |= {f"optimizer.{index}": values for index, values in slots}
        best = self.history.best
        state: SavedState = {
            "epoch": self.epoch,
            "batches_done": self.batches_done,
            "steps": self.steps,
            "loss_sum": loss_sum,
            "tokens_seen": self.tokens_seen,
            "seconds": self.seconds,
            "train_seconds": self.train_seconds,
            "ended": "early" if self.history.ended == "early" else "epochs",
            "best": None if best is None else best.epoch,
            "epochs": [epoch.to_dict() for epoch in self.history.epochs],
            "scaler": None if scaler is None else scaler.state_dict(),
            "identity": identity,
        }
        return Checkpoint(parts, state)

    def unpack(
        self,
        checkpoint: Checkpoint,
        network: TextNetwork,
        optimizer: torch.optim.Optimizer,
        average: WeightAverage,
        *,
        scaler: torch.amp.GradScaler | None,
        is_main: bool,
    ) -> None:
        """Take the state of a checkpoint, in place. is_main: the rank that goes on with its sum of
        losses.
        """
        parts, state = checkpoint.parts, checkpoint.state
        try:
            network.load_state_dict(parts["network"])
            self.best = parts.get("best", {})
            average.load(parts.get("average", {}))
            slots = {
                int(part.removeprefix("optimizer.")): values
                for part, values in parts.items()
                if part.startswith("optimizer.")
            }
            optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})
            if scaler is not None and state["scaler"] is not None:
                scaler.load_state_dict(state["scaler"])
        except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as err:
            reason = " ".join(str(err).split())
            raise ArtifactError(f"the checkpoint does not fit its recipe: {reason[:300]}") from err
        self.epoch, self.batches_done = state["epoch"], state["batches_done"]
        self.steps = state["steps"]
        self.loss_sum = state["loss_sum"] if is_main else 0.0
        self.tokens_seen, self.train_seconds = state["tokens_seen"], state["train_seconds"]
        self.seconds_before = state["seconds"]
        self.history.ended = state["ended"]
        self.history.epochs = [Epoch.from_dict(values) for values in state["epochs"]]
        self.history.best = next((e for e in self.history.epochs if e.epoch == state["best"]), None)
