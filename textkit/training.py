"""The training loop: AdamW over accelerate, clipped gradients, early stopping that restores the best weights.

In: a network, encoded training and validation rows, the recipe's training section. Out: the history of epochs; the
network holds the best weights. Devices come from accelerate: CUDA, then MPS, then the CPU.
"""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from textkit.batch import TokenBatch
from textkit.batching import padding_share, plan_batches, plan_sorted
from textkit.collate import collate
from textkit.errors import LimitError, UsageError
from textkit.recipe import TrainingSection

Device = Literal["auto", "cpu", "cuda", "mps"]


@dataclass(frozen=True)
class Examples:
    """Encoded rows with their labels: labels (n_rows,) int64, indices into the classes."""

    tokens: TokenBatch
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Step:
    """What one optimiser step did, for a progress display."""

    epoch: int
    done: int
    total: int
    loss: float
    tokens_per_second: float
    valid_accuracy: float | None


@dataclass(frozen=True)
class Epoch:
    """The measured result of one pass; a pure function of data, recipe and seed on one machine."""

    epoch: int
    train_loss: float
    valid_loss: float
    valid_accuracy: float
    padding_share: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass
class History:
    """What a training did: its epochs, which was best, why it ended, how long it took and how fast it ran."""

    epochs: list[Epoch] = field(default_factory=list)
    best: Epoch | None = None
    ended: Literal["epochs", "early", "stopped"] = "epochs"
    seconds: float = 0.0
    tokens_per_second: float = 0.0
    device: str = "cpu"


@dataclass(frozen=True)
class Watch:
    """Callbacks of a training: each step, each epoch, and a question asked before every step: stop now?"""

    step: Callable[[Step], None] = lambda step: None
    epoch: Callable[[Epoch], None] = lambda epoch: None
    should_stop: Callable[[], bool] = lambda: False


def train_network(
    network: nn.Module,
    train: Examples,
    valid: Examples,
    section: TrainingSection,
    *,
    seed: int,
    pad_id: int,
    watch: Watch,
) -> History:
    """Train until the epochs end, validation has not improved for `patience` epochs, or `watch` says stop.

    Raises LimitError with the step when the loss is no longer finite. The network ends on the CPU in eval mode with the
    weights of the best epoch, or the present ones if none has ended.
    """
    accelerator = make_accelerator(section.device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=section.lr, weight_decay=section.weight_decay)
    model, optimizer = accelerator.prepare(network, optimizer)
    history = History(device=accelerator.device.type)
    best_state: dict[str, Tensor] | None = None
    started = time.perf_counter()
    tokens_seen = 0
    train_seconds = 0.0
    for epoch in range(1, section.epochs + 1):
        plan = plan_batches(train.tokens.lengths, batch_size=section.batch_size, seed=seed, epoch=epoch)
        losses: list[Tensor] = []
        model.train()
        epoch_started = time.perf_counter()
        for number, rows in enumerate(plan):
            if watch.should_stop():
                history.ended = "stopped"
                break
            batch = collate(train.tokens.take(rows), pad_id=pad_id, labels=train.labels[rows])
            losses.append(_step(accelerator, model, optimizer, batch.to(accelerator.device), section.clip))
            tokens_seen += int(batch.lengths.sum())
            if number % 10 == 0 or number == len(plan) - 1:
                loss = losses[-1].item()
                _check_finite(loss, epoch=epoch, step=number)
                speed = tokens_seen / (train_seconds + time.perf_counter() - epoch_started)
                accuracy = history.epochs[-1].valid_accuracy if history.epochs else None
                done, total = (epoch - 1) * len(plan) + number + 1, section.epochs * len(plan)
                watch.step(Step(epoch, done, total, loss, speed, accuracy))
        train_seconds += time.perf_counter() - epoch_started
        if history.ended == "stopped":
            break
        mean_loss = torch.stack(losses).mean().item()
        _check_finite(mean_loss, epoch=epoch, step=len(plan))
        valid_loss, valid_accuracy = _validate(model, valid, accelerator.device, pad_id=pad_id)
        result = Epoch(epoch, mean_loss, valid_loss, valid_accuracy, padding_share(train.tokens.lengths, plan))
        history.epochs.append(result)
        if history.best is None or _score(result) > _score(history.best):
            history.best, best_state = result, copy.deepcopy(network.state_dict())
        watch.epoch(result)
        if epoch - history.best.epoch >= section.patience:
            history.ended = "early"
            break
    history.seconds = time.perf_counter() - started
    history.tokens_per_second = tokens_seen / train_seconds if train_seconds else 0.0
    if best_state is not None:
        network.load_state_dict(best_state)
    network.to("cpu").eval()
    accelerator.free_memory()
    return history


def make_accelerator(device: Device) -> Accelerator:
    """Choose the device: "auto" takes CUDA, then MPS, then the CPU; a named one that is not there is refused."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True, "auto": True}
    if not available[device]:
        found = [name for name in ("cuda", "mps", "cpu") if available[name]]
        raise UsageError(f"device '{device}' is not available on this machine; found {', '.join(found)}; or use 'auto'")
    # accelerate keeps the device of the process in a singleton; a second training may ask for another one.
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(cpu=device == "cpu")


@contextlib.contextmanager
def cpu_threads(number: int) -> Iterator[None]:
    """Hold torch to a number of CPU threads, and give the caller's number back at the end."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def predict_logits(network: nn.Module, tokens: TokenBatch, *, pad_id: int, batch_size: int = 64) -> Tensor:
    """Compute the logits of every row in order: (n_rows, n_labels) float32 on the CPU."""
    device = next(network.parameters()).device
    network.eval()
    parts, order = [], []
    with torch.inference_mode():
        for rows in plan_sorted(tokens.lengths, batch_size=batch_size):
            parts.append(network(collate(tokens.take(rows), pad_id=pad_id).to(device)).float().cpu())
            order.append(rows)
    logits = torch.cat(parts)
    return torch.empty_like(logits).index_copy_(0, torch.from_numpy(np.concatenate(order)), logits)


def _step(accelerator: Accelerator, model: Any, optimizer: Any, batch: Any, clip: float) -> Tensor:
    optimizer.zero_grad(set_to_none=True)
    loss = functional.cross_entropy(model(batch), batch.labels)
    accelerator.backward(loss)
    accelerator.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return loss.detach()


def _validate(model: nn.Module, valid: Examples, device: torch.device, *, pad_id: int) -> tuple[float, float]:
    logits = predict_logits(model, valid.tokens, pad_id=pad_id)
    labels = torch.from_numpy(valid.labels)
    loss = functional.cross_entropy(logits, labels).item()
    return loss, (logits.argmax(dim=1) == labels).float().mean().item()


def _score(epoch: Epoch) -> tuple[float, float]:
    """Higher is better: accuracy, and among equals the lower loss."""
    return epoch.valid_accuracy, -epoch.valid_loss


def _check_finite(loss: float, *, epoch: int, step: int) -> None:
    if not np.isfinite(loss):
        raise LimitError(f"loss is {loss} at epoch {epoch}, step {step}; lower training.lr or training.clip")
