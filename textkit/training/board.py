"""TensorBoard logs of a training: loss, rate and speed of every step, the scores of every epoch."""

from __future__ import annotations

from pathlib import Path

from textkit.errors import require
from textkit.watch import Epoch, Step


class Board:
    """Writes events into a folder; give `step` and `epoch` to a Watch."""

    def __init__(self, folder: Path) -> None:
        require("tensorboard", needed_by="--tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def step(self, step: Step) -> None:
        """Log one step."""
        for name, value in (
            ("loss", step.loss),
            ("lr", step.lr),
            ("tokens_per_second", step.tokens_per_second),
        ):
            self._writer.add_scalar(f"train/{name}", value, step.done)

    def epoch(self, epoch: Epoch) -> None:
        """Log one epoch, and flush."""
        for name, value in {
            "train_loss": epoch.train_loss,
            "loss": epoch.valid_loss,
            **epoch.scores,
        }.items():
            self._writer.add_scalar(f"valid/{name}", value, epoch.epoch)
        self._writer.flush()

    def close(self) -> None:
        """End the file."""
        self._writer.close()
