"""Poolings: states (batch, time, dim) and mask (batch, time) -> (batch, dim); an empty row gives zeros."""

from __future__ import annotations

import torch
from torch import Tensor


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

    >>> max_pool(torch.tensor([[[-2.0], [-4.0], [9.0]]]), torch.tensor([[True, True, False]])).item()
    -2.0
    """
    largest = states.masked_fill(~mask.unsqueeze(-1), float("-inf")).amax(dim=1)
    return largest.masked_fill(~mask.any(dim=1, keepdim=True), 0.0)


def last_pool(states: Tensor, mask: Tensor) -> Tensor:
    """Take the last real position of each row: (batch, dim).

    >>> last_pool(torch.tensor([[[2.0], [4.0], [9.0]]]), torch.tensor([[True, True, False]])).item()
    4.0
    """
    last = (mask.sum(dim=1) - 1).clamp(min=0)
    picked = states[torch.arange(len(states), device=states.device), last]
    return picked.masked_fill(~mask.any(dim=1, keepdim=True), 0.0)
