"""Losses: logits and targets of a batch -> one loss a row and one weight a row, for every task.

A batch's loss is the weighted sum of its rows' losses over the sum of the weights of the whole
step, so that batches, accumulated batches and batches spread over processes give the same gradient.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from textkit.data.lessons import Lesson
from textkit.data.targets import Task
from textkit.nn.collate import to_device
from textkit.nn.network import Mix
from textkit.recipe import Recipe
from textkit.recipe.sections import TrainingSection


def row_losses(task: Task, logits: Tensor, targets: Tensor, section: TrainingSection) -> Tensor:
    """Compute (batch,) losses: cross-entropy, binary cross-entropy or squared error, smoothed or
    focal as asked.

    logits: (batch, n_classes). targets: (batch,) int64, or (batch, n_classes) float.
    """
    if task == "regression":
        return functional.mse_loss(logits, targets, reduction="none").mean(dim=1)
    smoothing = section.label_smoothing
    if task == "multi-label":
        smooth = targets * (1 - smoothing) + smoothing / 2
        losses = functional.binary_cross_entropy_with_logits(logits, smooth, reduction="none")
        if section.loss == "focal":
            right = torch.where(targets > 0, logits, -logits).sigmoid()
            losses = losses * (1 - right) ** section.focal_gamma
        return losses.mean(dim=1)
    losses = functional.cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing)
    if section.loss == "focal":
        # Lin et al. 2017: rows that are already right count less.
        right = logits.softmax(dim=1).gather(1, targets[:, None])[:, 0]
        losses = losses * (1 - right) ** section.focal_gamma
    return losses


def disagreements(task: Task, first: Tensor, second: Tensor) -> Tensor:
    """Compute (batch,) how far apart two passes over the same rows are, for R-Drop (Liang et al.
    2021).

    The mean of both Kullback-Leibler divergences, of a label each in multi-label; of numbers their
    squared distance. first, second: (batch, n_outputs).

    >>> first, second = torch.tensor([[1.0, 2.0]]), torch.tensor([[2.0, 3.0]])
    >>> disagreements("single-label", first, second).abs().item() < 1e-6
    True
    """
    if task == "regression":
        return (first - second).square().mean(dim=1)
    if task == "multi-label":
        # Between two coins: the difference of their probabilities times the difference of their
        # logits.
        return ((first.sigmoid() - second.sigmoid()) * (first - second)).mean(dim=1) / 2
    p, q = first.log_softmax(dim=1), second.log_softmax(dim=1)
    return ((p.exp() - q.exp()) * (p - q)).sum(dim=1) / 2


@dataclass(frozen=True)
class Taught:
    """What a teacher says of a batch's rows, on the device of their outputs.

    said: (batch, n_outputs), softened by `heat`. share: (batch,), its part of each row's loss.
    """

    said: Tensor
    share: Tensor
    heat: float

    @staticmethod
    def of(lesson: Lesson, task: Task, rows: NDArray[np.int64], *, heat: float) -> Taught:
        """Give what a lesson says of some rows, probabilities softened to those of logits that are
        divided by `heat`.
        """
        said, share = (torch.from_numpy(part[rows]) for part in (lesson.said, lesson.share))
        if task != "regression" and heat != 1:
            mild = said ** (1 / heat)
            other = (1 - said) ** (1 / heat)
            said = mild / (mild + other if task == "multi-label" else mild.sum(1, keepdim=True))
        return Taught(said, share, heat)

    def to(self, device: torch.device) -> Taught:
        """Give it on a device."""
        return replace(self, said=to_device(self.said, device), share=to_device(self.share, device))

    def take(self, rows: Tensor) -> Taught:
        """Give what is said of some of the rows."""
        return replace(self, said=self.said[rows], share=self.share[rows])

    def losses(self, task: Task, outputs: Tensor, known: Tensor) -> Tensor:
        """Compute (batch,) losses from those that the rows' own labels give, `known` (batch,).

        The teacher's part is the cross-entropy at the temperature times its square, so that its
        gradient keeps its size.

        >>> taught = Taught(torch.tensor([[0.5, 0.5]]), torch.tensor([1.0]), heat=1.0)
        >>> logits = torch.tensor([[3.0, 3.0]])
        >>> round(taught.losses("single-label", logits, torch.zeros(1)).item(), 3)
        0.693
        """
        if task == "regression":
            apart = (outputs - self.said).square().mean(dim=1)
        elif task == "multi-label":
            entropy = functional.binary_cross_entropy_with_logits
            apart = entropy(outputs / self.heat, self.said, reduction="none").mean(dim=1)
        else:
            apart = functional.cross_entropy(outputs / self.heat, self.said, reduction="none")
        return (1 - self.share) * known + self.share * self.heat**2 * apart


def member_losses(
    task: Task,
    outputs: Tensor,
    targets: Tensor,
    mix: Mix | None,
    section: TrainingSection,
    taught: Taught | None = None,
) -> Tensor:
    """Compute one member's loss a row from outputs (batch, n_outputs), under mixup to both
    partners' targets.

    Under R-Drop, where every row stands in the batch twice, from both passes: (batch / 2,).
    """
    losses = row_losses(task, outputs, targets, section)
    if taught is not None:
        losses = taught.losses(task, outputs, losses)
    if mix is not None:
        partners = row_losses(task, outputs, targets[mix.partners], section)
        if taught is not None:
            partners = taught.take(mix.partners).losses(task, outputs, partners)
        losses = mix.share * losses + (1 - mix.share) * partners
    if not section.r_drop:
        return losses
    first, second = losses.chunk(2)
    apart = disagreements(task, *outputs.chunk(2))
    return (first + second + section.r_drop * apart) / 2


def draw_mix(
    recipe: Recipe, rows: NDArray[np.int64], luck: tuple[int, int], *, device: torch.device
) -> Mix | None:
    """Draw mixup's share and partners for a batch's rows (Zhang et al. 2018); None where the recipe
    asks for no mixup.

    luck: the step and the rank, from which they are drawn. The embeddings are mixed, as Guo et al.
    2019 do.
    """
    alpha = recipe.augment.mixup
    if not alpha:
        return None
    generator = np.random.default_rng([recipe.seed, *luck, int(rows[0])])
    partners = torch.from_numpy(generator.permutation(len(rows)))
    return Mix(float(generator.beta(alpha, alpha)), to_device(partners, device))


def sum_of_sizes(network: nn.Module) -> Tensor:
    """Add up the sizes of all trained weights but biases and norms, for the l1 penalty."""
    trained = (value for value in network.parameters() if value.requires_grad and value.ndim > 1)
    return torch.stack([value.abs().sum() for value in trained]).sum()
