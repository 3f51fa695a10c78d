"""Poolings: states (batch, time, dim) and mask (batch, time) -> (batch, out_dim).

An empty row gives zeros.

Each is an nn.Module made by `textkit.nn.encoders.create_pooling(name, dim=...)`. States at padding
may hold anything.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn


class Pooling(nn.Module):
    """A pooling without parameters, made of a function.

    >>> MEAN(dim=4).out_dim
    4
    """

    def __init__(self, pool: Callable[[Tensor, Tensor], Tensor], *, dim: int) -> None:
        super().__init__()
        self.pool = pool
        self.out_dim = dim

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """states (batch, time, dim), mask (batch, time) bool -> (batch, dim)."""
        return self.pool(states, mask)


class AttentionPooling(nn.Module):
    """Weigh the real positions by a learned query (Yang et al.
    2016, "Hierarchical Attention Networks", word level).

    >>> states, mask = torch.ones(1, 2, 4), torch.tensor([[True, False]])
    >>> AttentionPooling(dim=4)(states, mask).tolist()
    [[1.0, 1.0, 1.0, 1.0]]
    """

    def __init__(self, *, dim: int) -> None:
        super().__init__()
        self.out_dim = dim
        self.project = nn.Linear(dim, dim)
        self.query = nn.Parameter(nn.init.normal_(torch.empty(dim)).mul_(dim**-0.5))

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """states (batch, time, dim), mask (batch, time) bool -> (batch, dim)."""
        states = states.masked_fill(~mask.unsqueeze(-1), 0.0)
        return (self.weigh(states, mask).unsqueeze(1) @ states).squeeze(1)

    def weigh(self, states: Tensor, mask: Tensor) -> Tensor:
        """Give what each position counts for, zeros at padding: (batch, time)."""
        scores = torch.tanh(self.project(states)) @ self.query
        # The lowest number, not -inf: a row without a real position must not become NaN.
        return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=1)


def mean_pool(states: Tensor, mask: Tensor) -> Tensor:
    """Average the real positions of each row; an empty row gives zeros.

    states: (batch, time, dim) float; mask: (batch, time) bool, True = real.
    Returns (batch, dim) in the dtype of states.

    >>> mean_pool(torch.tensor([[[2.0], [4.0], [9.0]]]), torch.tensor([[True, True, False]])).item()
    3.0
    """
    total = states.masked_fill(~mask.unsqueeze(-1), 0.0).sum(dim=1)
    return total / mask.sum(dim=1, keepdim=True).clamp(min=1)


def max_pool(states: Tensor, mask: Tensor) -> Tensor:
    """Take the largest real value of each feature: (batch, dim).

    >>> states, mask = torch.tensor([[[-2.0], [-4.0], [9.0]]]), torch.tensor([[True, True, False]])
    >>> max_pool(states, mask).item()
    -2.0
    """
    largest = states.masked_fill(~mask.unsqueeze(-1), float("-inf")).amax(dim=1)
    return largest.masked_fill(~mask.any(dim=1, keepdim=True), 0.0)


def first_pool(states: Tensor, mask: Tensor) -> Tensor:
    """Take the first position of each row, where BERT puts [CLS]: (batch, dim).

    >>> states, mask = torch.tensor([[[2.0], [4.0], [9.0]]]), torch.tensor([[True, True, False]])
    >>> first_pool(states, mask).item()
    2.0
    """
    return states[:, 0].masked_fill(~mask[:, :1], 0.0)


def last_pool(states: Tensor, mask: Tensor) -> Tensor:
    """Take the last real position of each row: (batch, dim).

    >>> last_pool(torch.tensor([[[2.0], [4.0], [9.0]]]), torch.tensor([[True, True, False]])).item()
    4.0
    """
    last = (mask.sum(dim=1) - 1).clamp(min=0)
    picked = states[torch.arange(states.shape[0], device=states.device), last]
    return picked.masked_fill(~mask.any(dim=1, keepdim=True), 0.0)


MEAN = partial(Pooling, mean_pool)
MAX = partial(Pooling, max_pool)
FIRST = partial(Pooling, first_pool)
LAST = partial(Pooling, last_pool)
