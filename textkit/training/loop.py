"""The training loop over accelerate: any task, device and number of processes.

Resumed to the same bytes.

In: a network, encoded training and validation rows, the recipe. Out: the history of epochs; the
network holds the best weights. A step is a pure function of the weights before it, of (seed, step)
and of the data: that makes resuming exact.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textkit.data.batching import padding_share
from textkit.errors import LimitError, UsageError
from textkit.evaluation.task_scores import FALLING, chosen_metric, score
from textkit.nn.devices import make_accelerator
from textkit.nn.network import Mix, TextNetwork, predict_outputs
from textkit.recipe import Recipe, TrainingSection
from textkit.training import checkpoints
from textkit.training.examples import Examples, plan_epoch
from textkit.training.losses import disagreements, row_losses, row_weights
from textkit.training.optimization import make_optimizer, rate_factor, set_rates
from textkit.training.processes import any_rank, sum_over_ranks
from textkit.watch import Epoch, History, Step, Watch


def train_network(
    network: TextNetwork,
    train: Examples,
    valid: Examples,
    recipe: Recipe,
    *,
    watch: Watch,
    folder: Path | None = None,
) -> History:
    """Train until the epochs or the time end, validation has not improved for `patience` epochs, or
    `watch` says stop.

    folder: where checkpoints go, every `checkpoint_seconds` and on a stop; from what lies there the
    training goes on. Raises UsageError when that belongs to other rows or another recipe, and
    LimitError with the step and the last good checkpoint when the loss is no longer finite. The
    network ends on the CPU in eval mode with the weights of the best epoch, or the present ones if
    none has ended.
    """
    return _Loop(network, train, valid, recipe, watch=watch, folder=folder).run()


class _Loop:
    """The state of one training.

    Everything that changes between two steps goes into `_checkpoint`.
    """

    def __init__(
        self,
        network: TextNetwork,
        train: Examples,
        valid: Examples,
        recipe: Recipe,
        *,
        watch: Watch,
        folder: Path | None,
    ) -> None:
        self.recipe, self.section, self.task = recipe, recipe.training, recipe.head.task
        self.network, self.train, self.valid, self.watch, self.folder = (
            network,
            train,
            valid,
            watch,
            folder,
        )
        if self.section.sampler == "balanced" and self.task != "single-label":
            raise UsageError(
                f"training.sampler = 'balanced' needs one label a row, not {self.task}"
            )
        if self.section.r_drop and recipe.augment.mixup:
            raise UsageError(
                "training.r_drop and augment.mixup exclude each other; set one of them to 0"
            )
        self.lengths = np.asarray(train.tokens.lengths)
        self.weights = row_weights(self.task, train.targets, self.section)
        self.accelerator = make_accelerator(self.section.device, precision=self.section.precision)
        self.rank, self.n_ranks = self.accelerator.process_index, self.accelerator.num_processes
        self.optimizer: Any
        if self.n_ranks == 1 and self.section.precision == "fp32":
            # `prepare` would do no more, and imports torch's distributed tensors and compiler: 2 s
            # of processor time.
            model = network.to(self.accelerator.device)
            self.optimizer = make_optimizer(model, self.section)
        else:
            model, self.optimizer = self.accelerator.prepare(
                network, make_optimizer(network, self.section)
            )
        # `dynamic`: every batch has another shape, and one compiled graph must do for all of them.
        self.model: Any = torch.compile(model, dynamic=True) if self.section.compile else model
        self.history = History(
            metric=chosen_metric(self.task, self.section.metric),
            device=self.accelerator.device.type,
        )
        self.best: dict[str, Tensor] = {}
        self.average = (
            {name: value.clone() for name, value in self._averaged()}
            if self.section.average
            else {}
        )
        # Where the training stands: the epoch, its batches that are done, and the optimiser's steps
        # in all.
        self.epoch, self.batches_done, self.steps = 1, 0, 0
        self.loss_sum, self.new_losses = 0.0, list[Tensor]()
        self.seconds_before = self.train_seconds = 0.0
        self.tokens_seen = 0
        self.started = self.last_saved = time.perf_counter()

    def run(self) -> History:
        """Go through the epochs from where the newest checkpoint stands."""
        self._resume()
        while self.history.ended == "epochs" and self.epoch <= self.section.epochs:
            plan = plan_epoch(
                self.lengths,
                self.train.targets,
                self.recipe,
                epoch=self.epoch,
                is_ragged=self.network.is_ragged,
            )
            began = time.perf_counter()
            finished = self._run_batches(plan)
            self.train_seconds += time.perf_counter() - began
            if finished:
                self._end_epoch(plan)
            if self._is_stopped():
                self._save()
        self.history.seconds = self._seconds()
        self.history.tokens_per_second = (
            self.tokens_seen / self.train_seconds if self.train_seconds else 0.0
        )
        if self.best:
            self.network.load_state_dict(self.best)
        if self.section.precision != "fp32":
            self.accelerator.unwrap_model(
                self.model, keep_fp32_wrapper=False
            )  # the network's own forward again
        self.network.to("cpu").eval()
        self.accelerator.free_memory()
        return self.history

    def _is_stopped(self) -> bool:
        return self.history.ended == "stopped"

    def _run_batches(self, plan: list[NDArray[np.int64]]) -> bool:
        """Train on the rest of an epoch's batches.

        False when asked to stop, or out of time, before the last.
        """
        self.model.train()
        limit = self.section.time_limit
        scores = [self._rising(epoch) for epoch in self.history.epochs]
        while self.batches_done < len(plan):
            if any_rank(self.watch.should_stop()):
                self.history.ended = "stopped"
                return False
            if limit is not None and any_rank(self._seconds() > limit):
                self.history.ended = "time"
                return False
            group = plan[self.batches_done : self.batches_done + self.section.accumulate]
            progress = (self.epoch - 1 + self.batches_done / len(plan)) / self.section.epochs
            rate = self.section.lr * rate_factor(self.section, progress, scores)
            began, seen = time.perf_counter(), self.tokens_seen
            loss = self._step(group, rate)
            self.batches_done += len(group)
            self.steps += 1
            # Reading a loss waits for a GPU, so there only one in ten is read.
            if loss.device.type == "cpu" or self.steps % 10 == 0 or self.batches_done == len(plan):
                self._read_losses()
                speed = (self.tokens_seen - seen) / max(time.perf_counter() - began, 1e-9)
                self._tell(loss.item(), rate, n_batches=len(plan), speed=speed)
            due = time.perf_counter() - self.last_saved > self.section.checkpoint_seconds
            if self.folder is not None and any_rank(due):
                self._save()
        return True

    def _tell(self, loss: float, rate: float, *, n_batches: int, speed: float) -> None:
        done = (self.epoch - 1) * n_batches + self.batches_done
        last = (
            self.history.epochs[-1].scores.get(self.history.metric) if self.history.epochs else None
        )
        self.watch.step(
            Step(self.epoch, done, self.section.epochs * n_batches, loss, rate, speed, last)
        )

    def _step(self, group: list[NDArray[np.int64]], rate: float) -> Tensor:
        """Do one step of the optimiser over a group of batches.

        Gives its mean loss a row, detached.
        """
        # Every random choice of a step comes from (seed, step, rank), so nothing has to be
        # remembered between steps.
        torch.manual_seed(
            int(
                np.random.SeedSequence([self.recipe.seed, self.steps, self.rank]).generate_state(1)[
                    0
                ]
            )
        )
        set_rates(self.optimizer, rate)
        self.optimizer.zero_grad(set_to_none=True)
        share = sum(float(self.weights[rows].sum()) for rows in group)
        total = torch.zeros((), device=self.accelerator.device)
        for number, rows in enumerate(group):
            last = number == len(group) - 1
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.model):
                loss = self._batch_loss(rows) / share
                # Ranks average their gradients, and each has only its part of the sum.
                self.accelerator.backward(loss * self.n_ranks)
            total += loss.detach() / len(self.network.members)
            self.tokens_seen += int(self.lengths[rows].sum())
        self.new_losses.append(total * share)
        if self.accelerator.scaler is not None:
            self.accelerator.unscale_gradients()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.section.clip)
        self.optimizer.step()
        if self.average:
            # The first averages are short: the weights of the first steps are not worth keeping.
            decay = min(self.section.average, (1 + self.steps) / (10 + self.steps))
            torch._foreach_lerp_(
                list(self.average.values()), [value for _, value in self._averaged()], 1 - decay
            )
        return total

    def _batch_loss(self, rows: NDArray[np.int64]) -> Tensor:
        """Sum every member's weighted losses of this rank's part of a batch, and its share of
        the penalty.
        """
        mine = rows[self.rank :: self.n_ranks]
        weights = self.weights[mine]
        if not len(mine):  # a rank without rows still takes part in the step
            mine, weights = rows[:1], np.zeros(1, dtype=np.float32)
        if self.section.r_drop:  # every row twice: the same words, other dropout
            mine = np.tile(mine, 2)
        device = self.accelerator.device
        tokens = self.train.take(mine, epoch=self.epoch)
        batch = self.network.make_batch(tokens, targets=self.train.targets[mine]).to(device)
        assert batch.targets is not None
        targets = self.network.standardize(batch.targets)
        mix = self._mix(mine)
        outputs = self.model(batch, mix=mix).float().view(len(self.network.members), len(mine), -1)
        losses = torch.stack([self._row_losses(member, targets, mix) for member in outputs]).sum(
            dim=0
        )
        weight = torch.from_numpy(weights).to(device)
        loss = (losses * weight).sum()
        if self.section.l1:
            norms = [
                value.abs().sum()
                for value in self.network.parameters()
                if value.requires_grad and value.ndim > 1
            ]
            loss = loss + self.section.l1 * torch.stack(norms).sum() * weight.sum()
        return loss

    def _row_losses(self, outputs: Tensor, targets: Tensor, mix: Mix | None) -> Tensor:
        """Compute one member's loss a row from outputs (batch, n_outputs).

        Under R-Drop from both passes of a row.
        """
        losses = row_losses(self.task, outputs, targets, self.section)
        if mix is not None:
            partners = row_losses(self.task, outputs, targets[mix.partners], self.section)
            losses = mix.share * losses + (1 - mix.share) * partners
        if not self.section.r_drop:
            return losses
        first, second = losses.chunk(2)
        apart = disagreements(self.task, *outputs.chunk(2))
        return (first + second + self.section.r_drop * apart) / 2

    def _mix(self, rows: NDArray[np.int64]) -> Mix | None:
        """Draw mixup's share and partners (Zhang et al. 2018).

        The embeddings are mixed, as Guo et al. 2019 do.
        """
        alpha = self.recipe.augment.mixup
        if not alpha:
            return None
        generator = np.random.default_rng([self.recipe.seed, self.steps, self.rank, int(rows[0])])
        partners = torch.from_numpy(generator.permutation(len(rows)))
        return Mix(float(generator.beta(alpha, alpha)), partners.to(self.accelerator.device))

    def _end_epoch(self, plan: list[NDArray[np.int64]]) -> None:
        """Validate, keep the best weights, and see whether the training is over."""
        self._read_losses()
        train_loss = sum_over_ranks(self.loss_sum) / sum(
            float(self.weights[rows].sum()) for rows in plan
        )
        with self._average_in_place():
            valid_loss, scores = self._validate()
            group = self.optimizer.param_groups[0]
            padding = 0.0 if self.network.is_ragged else padding_share(self.lengths, plan)
            result = Epoch(
                self.epoch, train_loss, valid_loss, scores, padding, group["lr"] / group["share"]
            )
            self.history.epochs.append(result)
            if self.history.best is None or self._order(result) > self._order(self.history.best):
                self.history.best = result
                self.best = {
                    name: value.cpu().clone() for name, value in self.network.state_dict().items()
                }
        self.watch.epoch(result)
        if self.epoch - self.history.best.epoch >= self.section.patience:
            self.history.ended = "early"
        self.epoch, self.batches_done, self.loss_sum = self.epoch + 1, 0, 0.0

    def _validate(self) -> tuple[float, dict[str, float]]:
        """Score the validation rows, shared among the ranks: the plain loss, and the scores of
        the task.
        """
        outputs = predict_outputs(self.network, self.valid.tokens, part=(self.rank, self.n_ranks))
        outputs = self.accelerator.reduce(
            outputs.to(self.accelerator.device), reduction="sum"
        ).cpu()
        targets = torch.from_numpy(self.valid.targets)
        standard = self.network.standardize(targets.to(self.accelerator.device)).cpu()
        loss = row_losses(self.task, outputs, standard, TrainingSection()).mean().item()
        return loss, score(self.task, self.network.restore(outputs).numpy(), self.valid.targets)

    def _order(self, epoch: Epoch) -> tuple[float, float]:
        """Higher is better: the watched score, and among equals the lower loss."""
        return self._rising(epoch), -epoch.valid_loss

    def _rising(self, epoch: Epoch) -> float:
        metric = self.history.metric
        value = epoch.valid_loss if metric == "loss" else epoch.scores[metric]
        return -value if metric in FALLING else value

    def _averaged(self) -> list[tuple[str, Tensor]]:
        return [
            (name, value.detach())
            for name, value in self.network.named_parameters()
            if value.requires_grad
        ]

    @contextlib.contextmanager
    def _average_in_place(self) -> Iterator[None]:
        """Put the average of the weights in their place for a while."""
        own = {name: value.clone() for name, value in self._averaged()} if self.average else {}
        for name, value in self._averaged() if self.average else ():
            value.copy_(self.average[name])
        yield
        for name, value in self._averaged() if self.average else ():
            value.copy_(own[name])

    def _read_losses(self) -> None:
        """Add up the losses of the last steps, in order.

        One that is not finite ends the training.
        """
        if not self.new_losses:
            return
        values = torch.stack(self.new_losses).tolist()
        self.new_losses.clear()
        for value in values:
            self.loss_sum += value
        if not np.isfinite(self.loss_sum):
            found = next(value for value in values if not np.isfinite(value))
            kept = None if self.folder is None else checkpoints.newest(self.folder)
            last = "" if kept is None else f"; the last good checkpoint is {kept}"
            raise LimitError(
                f"loss is {found} at epoch {self.epoch}, step {self.steps}; lower training.lr or"
                f" training.clip{last}"
            )

    def _seconds(self) -> float:
        return self.seconds_before + time.perf_counter() - self.started

    def _save(self) -> None:
        """Write a checkpoint of this moment, on one rank for all."""
        self._read_losses()
        loss_sum = sum_over_ranks(self.loss_sum)  # a resumed training may have other ranks
        self.last_saved = time.perf_counter()
        if self.folder is None or not self.accelerator.is_main_process:
            return
        slots = self.optimizer.state_dict()["state"].items()
        parts = {"network": self.network.state_dict(), "best": self.best, "average": self.average}
        parts |= {f"optimizer.{index}": values for index, values in slots}
        best = None if self.history.best is None else self.history.best.epoch
        state = {
            "epoch": self.epoch,
            "batches_done": self.batches_done,
            "steps": self.steps,
            "loss_sum": loss_sum,
            "tokens_seen": self.tokens_seen,
            "seconds": self._seconds(),
            "train_seconds": self.train_seconds,
            "ended": "early" if self.history.ended == "early" else "epochs",
            "best": best,
            "epochs": [epoch.to_dict() for epoch in self.history.epochs],
            "scaler": self.accelerator.scaler.state_dict()
            if self.accelerator.scaler is not None
            else None,
            "identity": self._identity,
        }
        checkpoints.save(self.folder, checkpoints.Checkpoint(parts, state), step=self.steps)

    def _resume(self) -> None:
        """Take the state of the newest checkpoint that is whole, if there is one."""
        if self.folder is None:
            return
        checkpoint, problems = checkpoints.load_newest(self.folder)
        self.history.notes += problems
        for problem in problems:
            self.watch.note(problem)
        if checkpoint is None:
            return
        state, device = checkpoint.state, self.accelerator.device
        checkpoints.check_identity(state["identity"], self._identity)
        parts = checkpoint.parts
        self.network.load_state_dict(parts["network"])
        self.best = parts.get("best", {})
        self.average = {name: parts["average"][name].to(device) for name in self.average}
        slots = {
            int(p.removeprefix("optimizer.")): v
            for p, v in parts.items()
            if p.startswith("optimizer.")
        }
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": slots})
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.epoch, self.batches_done, self.steps = (
            state["epoch"],
            state["batches_done"],
            state["steps"],
        )
        self.loss_sum = state["loss_sum"] if self.accelerator.is_main_process else 0.0
        self.tokens_seen, self.train_seconds = state["tokens_seen"], state["train_seconds"]
        self.seconds_before = state["seconds"]
        self.history.ended = state["ended"]
        self.history.epochs = [Epoch.from_dict(values) for values in state["epochs"]]
        self.history.best = next((e for e in self.history.epochs if e.epoch == state["best"]), None)
        for epoch in self.history.epochs:
            self.watch.epoch(epoch)
        self.watch.note(
            f"going on from epoch {self.epoch}, batch {self.batches_done}, step {self.steps}"
        )

    @functools.cached_property
    def _identity(self) -> dict[str, Any]:
        recipe = self.recipe.model_dump(mode="json")
        return checkpoints.identity(
            recipe, rows=self.train.fingerprint(), valid_rows=self.valid.fingerprint()
        )
