"""Examples: encoded rows with their targets, as a training takes them.

In: rows in memory or in mapped files, and what a loss wants of each. Out: the rows of an epoch as
its augmentation leaves them, dealt into batches, and a fingerprint by which a checkpoint knows
them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch
from textkit.data.batching import WINDOW_BATCHES, plan_batches, plan_token_budget
from textkit.data.imbalance import balanced_rows
from textkit.data.lessons import Lesson
from textkit.data.rows import Rows, in_blocks
from textkit.data.targets import Targets
from textkit.errors import UsageError
from textkit.recipe import Recipe

# Rows (n,) and an epoch -> the rows' tokens as they are augmented in it.
Change = Callable[[NDArray[np.int64], int], TokenBatch]


@dataclass(frozen=True)
class Examples:
    """Encoded rows with their targets, (n_rows, ...) as textkit.data.targets makes them.

    change: gives the tokens of rows as the augmentation of an epoch leaves them; None for rows as
    they are. weights: (n_rows,) float32, what each counts for in the loss; None for all alike.
    lesson: what a teacher says of the rows; None without one.
    """

    tokens: Rows
    targets: Targets
    change: Change | None = None
    weights: NDArray[np.float32] | None = None
    lesson: Lesson | None = None

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Tell which rows have a label of their own: (n_rows,)."""
        if self.lesson is None:
            return np.ones(len(self.targets), np.bool_)
        return self.lesson.is_labelled

    def take(self, rows: NDArray[np.int64], *, epoch: int) -> TokenBatch:
        """Give the tokens of some rows in an epoch."""
        return self.tokens.take(rows) if self.change is None else self.change(rows, epoch)

    def fingerprint(self) -> str:
        """Hash the ids of these rows, their lengths, targets and weights, and their lesson."""
        digest = hashlib.sha256()
        for batch in in_blocks(self.tokens):
            digest.update(batch.ids.data)
        weights = () if self.weights is None else (self.weights,)
        said = () if self.lesson is None else (self.lesson.said, self.lesson.share)
        for part in (self.tokens.lengths, self.targets, *weights, *said):
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()


def check_training(recipe: Recipe) -> None:
    """Refuse choices of a training that exclude each other."""
    section, task = recipe.training, recipe.head.task
    if section.sampler == "balanced" and task != "single-label":
        raise UsageError(f"training.sampler = 'balanced' needs one label a row, not {task}")
    if isinstance(section.class_weights, dict) and task == "regression":
        raise UsageError("training.class_weights names classes, and a regression has none")
    if section.r_drop and recipe.augment.mixup:
        raise UsageError(
            "training.r_drop and augment.mixup exclude each other; set one of them to 0"
        )


def plan_epoch(
    lengths: NDArray[np.int64], targets: Targets, recipe: Recipe, *, epoch: int, is_ragged: bool
) -> list[NDArray[np.int64]]:
    """Deal an epoch's rows into batches as the recipe says; a pure function of its arguments, and
    so the same on every rank.

    lengths: (n_rows,) tokens a row. is_ragged: the network pads nothing, so that batches of any
    lengths do.
    """
    section, seed = recipe.training, recipe.seed
    drawn = None
    if section.sampler == "balanced":
        codes = targets.astype(np.int64)
        drawn = balanced_rows(codes, n_classes=int(codes.max()) + 1, seed=seed, epoch=epoch)
        lengths = lengths[drawn]
    if section.batch_tokens is not None:
        plan = plan_token_budget(lengths, batch_tokens=section.batch_tokens, seed=seed, epoch=epoch)
    else:
        window = 1 if is_ragged else WINDOW_BATCHES
        plan = plan_batches(
            lengths,
            batch_size=section.batch_size,
            seed=seed,
            epoch=epoch,
            window_batches=window,
        )
    return plan if drawn is None else [drawn[rows] for rows in plan]
