"""Magnitude pruning while a network trains: more and more of its weights are held at zero.

In: a network and a recipe's `prune` section. Out: the same network with the smallest weights of
each matrix at zero, after every step. Their share grows from 0 to `sparsity` by the polynomial of
Zhu & Gupta (2017), fast at first, from `begin` to `end` of the training. Which weights are zero is
seen in the weights themselves, so that a training goes on exactly, and a weight may come back.
"""

from __future__ import annotations

import math

import torch

from textkit.nn.network import TextNetwork
from textkit.recipe import Recipe
from textkit.recipe.sections import PruneSection


class Pruning:
    """What prunes a network; a recipe without `prune` prunes nothing."""

    def __init__(self, network: TextNetwork, recipe: Recipe) -> None:
        self.section = recipe.prune
        self.epochs = recipe.training.epochs
        self.matrices = [
            weight for weight in network.parameters() if weight.requires_grad and weight.ndim > 1
        ]

    @property
    def settled_from(self) -> int:
        """The first epoch, from 1, at whose end all is pruned: earlier ones are not the best."""
        if self.section is None:
            return 1
        return max(1, min(self.epochs, math.ceil(self.section.end * self.epochs - 1e-9)))

    def apply(self, progress: float) -> None:
        """Set the smallest weights to zero. progress: 0 to 1 of the epochs."""
        if self.section is None:
            return
        share = sparsity_at(self.section, progress)
        with torch.no_grad():
            for weight in self.matrices:
                n_zero = int(share * weight.numel())
                if n_zero:
                    sizes = weight.detach().abs()
                    limit = sizes.flatten().kthvalue(n_zero).values
                    weight.masked_fill_(sizes <= limit, 0.0)


def sparsity_at(section: PruneSection, progress: float) -> float:
    """Give the share of weights that are zero at a progress of 0 to 1.

    >>> section = PruneSection(sparsity=0.8, begin=0.0, end=0.5)
    >>> [round(sparsity_at(section, progress), 2) for progress in (0.0, 0.25, 0.5, 1.0)]
    [0.0, 0.7, 0.8, 0.8]
    """
    if progress >= section.end:
        return section.sparsity
    done = max(0.0, (progress - section.begin) / (section.end - section.begin))
    return float(section.sparsity * (1 - (1 - done) ** 3))
