"""The convolutional encoder of Kim 2014, "Convolutional Neural Networks for Sentence Classification", masked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from textkit.encoders.layers import Norm, make_activation
from textkit.errors import UsageError


class CnnEncoder(nn.Module):
    """Look at windows of `widths` tokens around every position, with `dim` filters per width.

    Kim takes the maximum of each filter over the text: that is the pooling `max`. Differs from the paper in the edges:
    a window is centred on each token (an even one reaches one further to the right), with zeros beyond the text, so
    every real position has a result and rows shorter than a window need no care. Norm (`none`, `batch`, `layer`,
    `rms`) stands before the activation, dropout after it.

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
            raise UsageError(f"encoder 'cnn': widths = {list(widths)}, expected at least one, each 1 or more")
        self.in_dim, self.out_dim = in_dim, dim * len(widths)
        self.convolutions = nn.ModuleList(nn.Conv1d(in_dim, dim, width, padding=width // 2) for width in widths)
        self.norm = Norm(norm, dim=self.out_dim)
        self.activation = make_activation(activation)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, mask: Tensor, lengths: Tensor) -> Tensor:
        """states (batch, time, in_dim), mask (batch, time) bool, lengths (batch,) CPU -> (batch, time, out_dim)."""
        time, padding = states.shape[1], ~mask.unsqueeze(-1)
        channels = states.masked_fill(padding, 0.0).transpose(1, 2)
        # An even width padded on both sides gives one result too many, at the left edge.
        found = torch.cat([convolve(channels)[:, :, -time:] for convolve in self.convolutions], dim=1)
        output: Tensor = self.dropout(self.activation(self.norm(found.transpose(1, 2), mask)))
        return output.masked_fill(padding, 0.0)
