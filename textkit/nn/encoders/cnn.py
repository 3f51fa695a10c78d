"""The convolutional encoder of Kim 2014, "Convolutional Neural Networks for Sentence
Classification", masked.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from textkit.errors import UsageError
from textkit.nn.layers import Dropout, Norm, make_activation


class CnnEncoder(nn.Module):
    """Look at windows of `widths` tokens around every position, with `dim` filters per width.

    Kim takes the maximum of each filter over the text: that is the pooling `max`. Differs from the
    paper in the edges: a window is centred on each token (an even one reaches one further to the
    right), with zeros beyond the text, so every real position has a result and rows shorter than a
    window need no care. Norm (`none`, `batch`, `layer`, `rms`) stands before the activation,
    dropout after it.

    >>> encoder = CnnEncoder(in_dim=3, dim=4, widths=(2, 3))
    >>> mask = torch.tensor([[True, True], [False, False]])
    >>> encoder(torch.ones(2, 2, 3), mask, mask.sum(1)).shape
    torch.Size([2, 2, 8])
    """

    def __init__(
        self,
        *,
        in_dim: int,
        dim: int = 100,
        widths: Sequence[int] = (3, 4, 5),
        activation: str = "relu",
        norm: str = "none",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not widths or min(widths) < 1:
            raise UsageError(
                f"encoder 'cnn': widths = {list(widths)}, expected at least one, each 1 or more"
            )
        self.in_dim, self.out_dim = in_dim, dim * len(widths)
        self.widths = tuple(widths)
        # Products over copied windows: a step of 58 ms where Conv1d takes 81 on one core
        # (benchmarks/encoders.py), with the same initial spread.
        self.filters = nn.ModuleList(nn.Linear(width * in_dim, dim) for width in widths)
        self.norm = Norm(norm, dim=self.out_dim)
        self.activation = make_activation(activation)
        self.dropout = Dropout(dropout)

    def forward(self, states: Tensor, mask: Tensor, lengths: Tensor) -> Tensor:
        """states (batch, time, in_dim), mask (batch, time) bool, lengths (batch,) CPU -> (batch,
        time, out_dim).
        """
        padding = ~mask.unsqueeze(-1)
        windows = self._windows(states.masked_fill(padding, 0.0))
        found = []
        for width, filters in zip(self.widths, self.filters, strict=True):
            start = (max(self.widths) - 1) // 2 - (width - 1) // 2
            found.append(
                filters(windows[:, :, start * self.in_dim : (start + width) * self.in_dim])
            )
        output: Tensor = self.dropout(self.activation(self.norm(torch.cat(found, dim=-1), mask)))
        return output.masked_fill(padding, 0.0)

    def _windows(self, states: Tensor) -> Tensor:
        """Copy the widest window round every position: (batch, time, widest * in_dim), zeros
        beyond the ends.
        """
        time, widest = states.shape[1], max(self.widths)
        padded = pad(states, (0, 0, (widest - 1) // 2, widest // 2))
        return torch.cat([padded[:, start : start + time] for start in range(widest)], dim=-1)
