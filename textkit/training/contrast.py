"""Contrastive fine-tuning of an encoder: vectors of texts of one class are drawn together, and away
from those of other classes (supervised contrastive loss; Khosla et al. 2020).

In: a network, and encoded rows with one label each. Out: the same network, its encoder tuned; the
head stays as it was. A step:

1. classes are drawn, all of them where a batch has room, and rows of each: no list of pairs, so
   that memory is the same at any number of rows;
2. every row passes twice, under other dropout, so that also a class of one row has a pair;
3. the loss of each vector is the mean of -log softmax over its cosines to all others, at those of
   its class.

A step is a pure function of the weights before it and of (seed, step), as in the training loop: a
tuning that was stopped goes on to the same bytes.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from textkit.data.targets import Targets
from textkit.errors import UsageError
from textkit.nn.draws import seed_draws
from textkit.nn.network import TextNetwork
from textkit.recipe import Recipe
from textkit.recipe.sections import ContrastSection
from textkit.training import checkpoints
from textkit.training.engine import Engine
from textkit.training.examples import Examples
from textkit.training.optimization import WeightAverage, rate_factor, set_rates
from textkit.training.state import TrainingState
from textkit.watch import History, Step, Watch

_NO_DIFFERENCE = 0.02


def contrastive_losses(vectors: Tensor, codes: Tensor, *, temperature: float) -> Tensor:
    """Compute (batch,) losses of vectors (batch, dim) with classes codes (batch,); a vector that is
    the only one of its class has none.

    >>> vectors = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    >>> right, wrong = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    >>> together = contrastive_losses(vectors, right, temperature=0.1).mean().item()
    >>> apart = contrastive_losses(vectors, wrong, temperature=0.1).mean().item()
    >>> round(together, 3), round(apart, 3)
    (0.0, 10.0)
    """
    directions = functional.normalize(vectors.float(), dim=1)
    itself = torch.eye(len(codes), dtype=torch.bool, device=codes.device)
    cosines = (directions @ directions.T / temperature).masked_fill(itself, -torch.inf)
    shares = cosines.log_softmax(dim=1).masked_fill(itself, 0.0)
    alike = (codes[:, None] == codes[None]) & ~itself
    return -(shares * alike).sum(dim=1) / alike.sum(dim=1).clamp(min=1)


def is_collapsed(loss: float, n_vectors: int) -> bool:
    """Tell whether a batch's loss is that of vectors with the same cosine each to each.

    >>> is_collapsed(4.14, 64), is_collapsed(3.5, 64), is_collapsed(6.0, 64)
    (True, False, False)
    """
    return n_vectors > 1 and abs(loss - math.log(n_vectors - 1)) < _NO_DIFFERENCE


@dataclass(frozen=True)
class RowsByClass:
    """Rows sorted by class: those of the i-th are order[starts[i] : starts[i + 1]]."""

    order: NDArray[np.int64]
    starts: NDArray[np.int64]

    @staticmethod
    def of(targets: Targets) -> RowsByClass:
        """Sort rows by their targets (n_rows,); classes without a row are left out."""
        codes = targets.astype(np.int64)
        order = np.argsort(codes, kind="stable")
        starts = np.flatnonzero(np.diff(codes[order], prepend=-1, append=-1))
        return RowsByClass(order, starts)

    def draw(self, n_rows: int, luck: np.random.Generator) -> NDArray[np.int64]:
        """Draw rows, none twice: of all classes alike where each can have two, else of some; fewer
        where these have no more.

        >>> rows = RowsByClass.of(np.array([0, 1, 0, 1, 0, 2]))
        >>> sorted(rows.draw(6, np.random.default_rng(0)).tolist())
        [0, 1, 2, 3, 4, 5]
        """
        n_classes = len(self.starts) - 1
        n_here = min(n_classes, max(1, n_rows // 2))
        left, parts = n_rows, []
        classes = luck.choice(n_classes, n_here, replace=False)
        sizes = np.diff(self.starts)
        for i, at in enumerate(classes[np.argsort(sizes[classes], kind="stable")].tolist()):
            n_own = min(int(sizes[at]), left // (n_here - i))
            parts.append(self.starts[at] + luck.choice(int(sizes[at]), n_own, replace=False))
            left -= n_own
        drawn: NDArray[np.int64] = self.order[np.concatenate(parts)]
        return drawn


def tune_vectors(
    network: TextNetwork,
    train: Examples,
    recipe: Recipe,
    *,
    watch: Watch = Watch(),
    folder: Path | None = None,
) -> History:
    """Tune the encoder of a network, on the device of the recipe; it ends on the CPU in eval mode.

    folder: where checkpoints go, every `checkpoint_seconds`, on a stop and at last. The history
    has no epoch, and says how the tuning ended. Raises LimitError where a loss is not finite.
    """
    with watch.stage("start"):
        tuning = _Tuning(network, train, recipe, watch=watch, folder=folder)
    return tuning.run()


class _Tuning:
    """One tuning; what changes between two steps is its `state`, the weights, the optimiser."""

    def __init__(
        self,
        network: TextNetwork,
        train: Examples,
        recipe: Recipe,
        *,
        watch: Watch,
        folder: Path | None,
    ) -> None:
        assert recipe.contrast is not None
        self.contrast: ContrastSection = recipe.contrast
        rates = {"lr": self.contrast.lr, "encoder_lr": None, "schedule": "linear", "warmup": 0.1}
        self.section = recipe.training.model_copy(update=rates)
        self.network, self.train, self.recipe = network, train, recipe
        self.watch, self.folder = watch, folder
        self.engine = Engine(network, self.section)
        if self.engine.n_ranks > 1:
            raise UsageError("contrast tunes in one process; leave torchrun out")
        self.rows = RowsByClass.of(train.targets)
        self.lengths = np.asarray(train.tokens.lengths)
        self.average = WeightAverage(network, decay=0.0)
        self.state = TrainingState(History(metric="loss", device=self.engine.device.type))
        self.last_saved = time.perf_counter()
        self.loss, self.n_vectors = 0.0, 0  # of the last step

    def run(self) -> History:
        """Do the steps from where the newest checkpoint stands."""
        state = self.state
        self._resume()
        while state.steps < self.contrast.steps:
            limit = self.section.time_limit
            if self.watch.should_stop() or (limit is not None and state.seconds > limit):
                state.history.ended = "stopped" if self.watch.should_stop() else "time"
                break
            began = time.perf_counter()
            loss, n_tokens = self._step()
            self.loss = loss
            state.steps += 1
            state.tokens_seen += n_tokens
            seconds = time.perf_counter() - began
            state.train_seconds += seconds
            if not np.isfinite(loss):
                raise state.diverged(f"contrastive loss is {loss} at", self.folder)
            rate = self.section.lr * self._factor
            self.watch.step(
                Step(1, state.steps, self.contrast.steps, loss, rate, n_tokens / seconds, None)
            )
            if time.perf_counter() - self.last_saved > self.section.checkpoint_seconds:
                self._save()
        self._save()
        if is_collapsed(self.loss, self.n_vectors):
            self.watch.note(
                f"contrastive loss {self.loss:.3f} is that of vectors which are all alike: the"
                " tuning tells no class from another; lower contrast.lr, or take --encoder frozen"
            )
        state.history.seconds = state.seconds
        state.history.tokens_per_second = state.tokens_seen / max(state.train_seconds, 1e-9)
        self.engine.release()
        return state.history

    @property
    def _factor(self) -> float:
        return rate_factor(self.section, self.state.steps / self.contrast.steps)

    def _step(self) -> tuple[float, int]:
        """Do one step: its loss, and the tokens that it saw."""
        luck = np.random.SeedSequence([self.recipe.seed, self.state.steps])
        seed_draws(int(luck.generate_state(1)[0]))
        rows = self.rows.draw(self.contrast.batch_size, np.random.default_rng(luck))
        rows = np.tile(rows, 2)
        self.n_vectors = len(rows)
        set_rates(self.engine.optimizer, self.section.lr * self._factor)
        self.engine.optimizer.zero_grad(set_to_none=True)
        with self.watch.stage("data"):
            tokens = self.train.take(rows, epoch=self.state.steps + 1)
            batch = self.network.make_batch(tokens).to(self.engine.device)
        self.network.train()
        with self.watch.stage("forward"), self.engine.accelerator.autocast():
            vectors = self.network.pooled(batch)
        codes = torch.from_numpy(self.train.targets[rows].astype(np.int64)).to(vectors.device)
        losses = contrastive_losses(vectors, codes, temperature=self.contrast.temperature)
        loss = losses.mean()
        with self.watch.stage("backward"):
            self.engine.accelerator.backward(loss)
        with self.watch.stage("optimizer"):
            self.engine.clip()
            self.engine.optimizer.step()
        return loss.item(), int(self.lengths[rows].sum())

    def _save(self) -> None:
        self.last_saved = time.perf_counter()
        if self.folder is None:
            return
        with self.watch.stage("checkpoint"):
            checkpoint = self.state.pack(
                self.network,
                self.engine.optimizer,
                self.average,
                loss_sum=0.0,
                scaler=self.engine.accelerator.scaler,
                identity=self._identity(),
            )
            checkpoints.save(self.folder, checkpoint, step=self.state.steps)

    def _resume(self) -> None:
        if self.folder is None:
            return
        checkpoint, problems = checkpoints.load_newest(self.folder)
        for problem in problems:
            self.watch.note(problem)
        if checkpoint is None:
            return
        checkpoints.check_identity(checkpoint.state["identity"], self._identity())
        self.state.unpack(
            checkpoint,
            self.network,
            self.engine.optimizer,
            self.average,
            scaler=self.engine.accelerator.scaler,
            is_main=True,
        )
        self.watch.note(f"going on from step {self.state.steps} of the contrastive tuning")

    def _identity(self) -> checkpoints.Identity:
        rows = self.train.fingerprint()
        return checkpoints.identity(self.recipe, rows=rows, valid_rows=rows)
