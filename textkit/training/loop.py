"""The training loop over accelerate: any task, device and number of processes.

Resumed to the same bytes.

In: a network, encoded training and validation rows, the recipe. Out: the history of epochs; the
network holds the best weights. A step is a pure function of the weights before it, of (seed, step)
and of the data: that makes resuming exact.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textkit.data.batching import padding_share
from textkit.data.imbalance import row_weights
from textkit.evaluation.task_scores import chosen_metric
from textkit.nn.collate import to_device
from textkit.nn.devices import any_rank, sum_over_ranks
from textkit.nn.draws import seed_draws
from textkit.nn.network import TextNetwork
from textkit.recipe import Recipe
from textkit.threads import computed_once
from textkit.training import checkpoints
from textkit.training.engine import Engine
from textkit.training.examples import Examples, check_training, plan_epoch
from textkit.training.health import Probe
from textkit.training.losses import Taught, draw_mix, member_losses, sum_of_sizes
from textkit.training.optimization import WeightAverage, rate_factor, set_rates
from textkit.training.pruning import Pruning
from textkit.training.state import TrainingState
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
    with watch.stage("start"):
        loop = _Loop(network, train, valid, recipe, watch=watch, folder=folder)
    return loop.run()


class _Loop:
    """One training.

    What changes between two steps is its `state`, the weights, their average, and the optimiser.
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
        self.network, self.train, self.valid = network, train, valid
        self.watch, self.folder, self.stage = watch, folder, watch.stage
        check_training(recipe)
        self.lengths = np.asarray(train.tokens.lengths)
        self.weights = row_weights(self.task, train.targets, self.section, given=train.weights)
        self.engine = engine = Engine(network, self.section)
        self.accelerator, self.device, self.model = engine.accelerator, engine.device, engine.model
        self.rank, self.n_ranks, self.optimizer = engine.rank, engine.n_ranks, engine.optimizer
        metric = chosen_metric(self.task, self.section.metric)
        self.average = WeightAverage(network, decay=self.section.average)
        self.state = TrainingState(History(metric=metric, device=self.device.type))
        self.pruning = Pruning(network, recipe)
        self.probe = None if watch.health is None else Probe(network, clip=self.section.clip)
        self.new_losses = list[Tensor]()
        self.last_saved = self.state.started
        self.told = self.last_saved, 0  # when something was said, and the tokens seen by then

    def run(self) -> History:
        """Go through the epochs from where the newest checkpoint stands."""
        state = self.state
        with self.stage("checkpoint"):
            self._resume()
        while state.history.ended == "epochs" and state.epoch <= self.section.epochs:
            plan = plan_epoch(
                self.lengths,
                self.train.targets,
                self.recipe,
                epoch=state.epoch,
                is_ragged=self.network.is_ragged,
            )
            began = time.perf_counter()
            finished = self._run_batches(plan)
            state.train_seconds += time.perf_counter() - began
            if finished:
                with self.stage("evaluation"):
                    self._end_epoch(plan)
            if self._is_stopped():
                self._save()
        state.history.seconds = state.seconds
        state.history.tokens_per_second = (
            state.tokens_seen / state.train_seconds if state.train_seconds else 0.0
        )
        if state.best:
            self.network.load_state_dict(state.best)
        self.engine.release()
        return state.history

    def _is_stopped(self) -> bool:
        return self.state.history.ended == "stopped"

    def _run_batches(self, plan: list[NDArray[np.int64]]) -> bool:
        """Train on the rest of an epoch's batches.

        False when asked to stop, or out of time, before the last.
        """
        state = self.state
        self.model.train()
        limit = self.section.time_limit
        self.told = time.perf_counter(), state.tokens_seen
        while state.batches_done < len(plan):
            if any_rank(self.watch.should_stop()):
                state.history.ended = "stopped"
                return False
            if limit is not None and any_rank(state.seconds > limit):
                state.history.ended = "time"
                if state.history.best is None:
                    self._note(
                        f"training.time_limit = {limit:g} s was over after {state.batches_done} of"
                        f" {len(plan)} batches, before the first epoch ended: the model is hardly"
                        " trained and was never validated; give it more time"
                    )
                return False
            group = plan[state.batches_done : state.batches_done + self.section.accumulate]
            rate = self._rate(state.batches_done, n_batches=len(plan))
            is_last = state.batches_done + len(group) == len(plan)
            after = (state.batches_done + len(group)) / len(plan)
            progress = (state.epoch - 1 + after) / self.section.epochs
            loss = self._step(group, rate, progress=progress, is_last=is_last)
            state.batches_done += len(group)
            state.steps += 1
            # Reading a loss waits for a GPU, so there only one in ten is read.
            if self.device.type == "cpu" or state.steps % 10 == 0 or is_last:
                with self.stage("report"):
                    self._read_losses()
                    self._tell(loss.item(), rate, n_batches=len(plan))
            due = time.perf_counter() - self.last_saved > self.section.checkpoint_seconds
            if self.folder is not None and any_rank(due):
                self._save()
        return True

    def _rate(self, batch: int, *, n_batches: int) -> float:
        """Give the learning rate of the step that begins with a batch of the present epoch."""
        state, section = self.state, self.section
        progress = (state.epoch - 1 + batch / n_batches) / section.epochs
        scores = [state.rising(epoch) for epoch in state.history.epochs]
        return section.lr * rate_factor(section, progress, scores)

    def _note(self, line: str) -> None:
        """Say a line now, and keep it in the history."""
        self.state.history.notes.append(line)
        self.watch.note(line)

    def _tell(self, loss: float, rate: float, *, n_batches: int) -> None:
        """Say what the last step did, and how fast the steps were since the last word."""
        state = self.state
        now, (then, seen) = time.perf_counter(), self.told
        speed = (state.tokens_seen - seen) / max(now - then, 1e-9)
        self.told = now, state.tokens_seen
        done = (state.epoch - 1) * n_batches + state.batches_done
        history = state.history
        last = history.epochs[-1].scores.get(history.metric) if history.epochs else None
        self.watch.step(
            Step(state.epoch, done, self.section.epochs * n_batches, loss, rate, speed, last)
        )

    def _step(
        self, group: list[NDArray[np.int64]], rate: float, *, progress: float, is_last: bool
    ) -> Tensor:
        """Do one step of the optimiser over a group of batches; is_last: of the epoch. progress: of
        the training once it is done, to 1.

        Gives its mean loss a row, detached.
        """
        state = self.state
        # Every random choice of a step comes from (seed, step, rank), so nothing has to be
        # remembered between steps.
        luck = np.random.SeedSequence([self.recipe.seed, state.steps, self.rank])
        seed_draws(int(luck.generate_state(1)[0]))
        set_rates(self.optimizer, rate)
        self.optimizer.zero_grad(set_to_none=True)
        share = sum(float(self.weights[rows].sum()) for rows in group)
        total = torch.zeros((), device=self.device)
        for number, rows in enumerate(group):
            last = number == len(group) - 1
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.model):
                loss = self._batch_loss(rows) / share
                # Ranks average their gradients, and each has only its part of the sum.
                with self.stage("backward"):
                    self.accelerator.backward(loss * self.n_ranks)
                    total += loss.detach() / len(self.network.members)
            state.tokens_seen += int(self.lengths[rows].sum())
        self.new_losses.append(total * share)
        with self.stage("optimizer"):
            norm = self.engine.clip()
            if self.probe is not None:
                self.probe.before_step(norm, is_last=is_last)
            self.optimizer.step()
            self.pruning.apply(progress)
            if self.probe is not None:
                self.probe.after_step()
            self.average.update(state.steps)
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
        device = self.device
        with self.stage("data"):
            tokens = self.train.take(mine, epoch=self.state.epoch)
        with self.stage("collate"):
            # All copies before the first computation, so that none waits for it.
            batch = self.network.make_batch(tokens, targets=self.train.targets[mine]).to(device)
            weight = to_device(torch.from_numpy(weights), device)
            taught = self._taught(mine)
            mix = draw_mix(self.recipe, mine, (self.state.steps, self.rank), device=device)
        assert batch.targets is not None
        with self.stage("forward"):
            targets = self.network.standardize(batch.targets)
            outputs = self.model(batch, mix=mix).float()
            outputs = outputs.view(len(self.network.members), len(mine), -1)
            each = [
                member_losses(self.task, part, targets, mix, self.section, taught)
                for part in outputs
            ]
            loss = (torch.stack(each).sum(dim=0) * weight).sum()
            if self.section.l1:
                loss = loss + self.section.l1 * sum_of_sizes(self.network) * weight.sum()
        return loss

    def _taught(self, rows: NDArray[np.int64]) -> Taught | None:
        """Give what a teacher says of rows, in the network's own scale; None without one."""
        lesson, distil = self.train.lesson, self.recipe.distil
        if lesson is None:
            return None
        heat = 1.0 if distil is None else distil.temperature
        taught = Taught.of(lesson, self.task, rows, heat=heat).to(self.device)
        return replace(taught, said=self.network.standardize(taught.said))

    def _end_epoch(self, plan: list[NDArray[np.int64]]) -> None:
        """Validate, keep the best weights, and see whether the training is over."""
        state = self.state
        self._read_losses()
        train_loss = sum_over_ranks(state.loss_sum) / sum(
            float(self.weights[rows].sum()) for rows in plan
        )
        with self.average.in_place():
            self.pruning.apply(state.epoch / self.section.epochs)  # an average has fewer zeros
            valid_loss, scores = self.engine.validate(self.valid, self.task)
            # Not the optimiser's: a training that goes on from the epoch's very end has not set it.
            last = (len(plan) - 1) // self.section.accumulate * self.section.accumulate
            padding = 0.0 if self.network.is_ragged else padding_share(self.lengths, plan)
            result = Epoch(
                state.epoch,
                train_loss,
                valid_loss,
                scores,
                padding,
                self._rate(last, n_batches=len(plan)),
            )
            state.check_finite(result, self.folder)
            if self.probe is not None and self.watch.health is not None:
                self.watch.health(self.probe.end_epoch(state.epoch, self.valid.tokens))
            settled = self.pruning.settled_from
            patience = self.section.patience
            state.end_epoch(result, self.network, patience=patience, settled_from=settled)
        self.watch.epoch(result)

    def _read_losses(self) -> None:
        """Add up the losses of the last steps, in order.

        One that is not finite ends the training.
        """
        state = self.state
        if not self.new_losses:
            return
        values = torch.stack(self.new_losses).tolist()
        self.new_losses.clear()
        for value in values:
            state.loss_sum += value
        if not np.isfinite(state.loss_sum):
            found = next(value for value in values if not np.isfinite(value))
            raise state.diverged(f"loss is {found} at", self.folder)

    def _save(self) -> None:
        """Write a checkpoint of this moment, on one rank for all."""
        with self.stage("checkpoint"):
            self._write_checkpoint()

    def _write_checkpoint(self) -> None:
        state = self.state
        self._read_losses()
        loss_sum = sum_over_ranks(state.loss_sum)  # a resumed training may have other ranks
        self.last_saved = time.perf_counter()
        if self.folder is None or not self.accelerator.is_main_process:
            return
        checkpoint = state.pack(
            self.network,
            self.optimizer,
            self.average,
            loss_sum=loss_sum,
            scaler=self.accelerator.scaler,
            identity=self._identity,
        )
        checkpoints.save(self.folder, checkpoint, step=state.steps)

    def _resume(self) -> None:
        """Take the state of the newest checkpoint that is whole, if there is one."""
        state = self.state
        if self.folder is None:
            return
        any_rank(flag=False)  # waits for the first rank, which may have cleared the folder
        checkpoint, problems = checkpoints.load_newest(self.folder)
        state.history.notes += problems
        for problem in problems:
            self.watch.note(problem)
        if checkpoint is None:
            return
        checkpoints.check_identity(checkpoint.state["identity"], self._identity)
        state.unpack(
            checkpoint,
            self.network,
            self.optimizer,
            self.average,
            scaler=self.accelerator.scaler,
            is_main=self.accelerator.is_main_process,
        )
        for epoch in state.history.epochs:
            self.watch.epoch(epoch)
        here = f"epoch {state.epoch}, batch {state.batches_done}, step {state.steps}"
        self.watch.note(f"going on from {here}")

    @computed_once
    def _identity(self) -> checkpoints.Identity:
        """What a checkpoint belongs to; hashing all rows takes its time, so once."""
        return checkpoints.identity(
            self.recipe, rows=self.train.fingerprint(), valid_rows=self.valid.fingerprint()
        )
