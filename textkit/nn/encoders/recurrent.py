"""Recurrent encoders: Elman RNN, GRU (Cho et al.
2014) and LSTM (Hochreiter & Schmidhuber 1997), masked.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import chain, islice, repeat

import torch
from torch import Tensor, nn

from textkit.nn.layers import Dropout, Norm


class RecurrentEncoder(nn.Module):
    """Run recurrent cells over the real positions of each row, in both directions unless told
    otherwise.

    Output: (batch, time, dim * directions), zeros at padding. dropout: between layers. norm: of the
    output (`none`, `batch`, `layer`, `rms`). Padding stands after a row's end, so going ahead never
    meets it; going back, each row is turned round within its own length. That takes the padding
    along, yet half the time of packed rows on the CPU, whose fused kernels know no packing: 55 and
    109 ms for a step of LSTM(128, 64) over 32 rows of 36 to 40 tokens, 1 thread
    (benchmarks/encoders.py).

    >>> encoder = LSTM(in_dim=3, dim=4)
    >>> mask = torch.tensor([[True, True], [False, False]])
    >>> encoder(torch.ones(2, 2, 3), mask, mask.sum(1)).shape
    torch.Size([2, 2, 8])
    """

    def __init__(
        self,
        cell: Callable[..., nn.RNNBase],
        *,
        in_dim: int,
        dim: int = 64,
        layers: int = 1,
        bidirectional: bool = True,
        norm: str = "none",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.in_dim = in_dim
        self.out_dim = dim * (2 if bidirectional else 1)

        def make_layers(n: int) -> nn.ModuleList:
            # One at a time: a config may say a billion, and is refused at the first too many.
            widths = chain([in_dim], repeat(self.out_dim))
            return nn.ModuleList(cell(w, dim, batch_first=True) for w in islice(widths, n))

        self.ahead = make_layers(layers)
        self.back = make_layers(layers if bidirectional else 0)
        self.dropout = Dropout(dropout)
        self.norm = Norm(norm, dim=self.out_dim)

    def forward(self, states: Tensor, mask: Tensor, lengths: Tensor) -> Tensor:
        """states (batch, time, in_dim), mask (batch, time) bool, lengths (batch,) CPU -> (batch,
        time, out_dim).
        """
        kind = states.device.type
        if torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) == torch.bfloat16:
            # The fused kernels of the CPU refuse bfloat16 on most machines, and cuDNN's are run in
            # float16 by torch's autocast, whose small gradients are lost without a scaled loss.
            with torch.autocast(kind, enabled=False):
                return self._run(states.to(self._dtype), mask)
        return self._run(states, mask)

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    def _run(self, states: Tensor, mask: Tensor) -> Tensor:
        padding = ~mask.unsqueeze(-1)
        states = states.masked_fill(padding, 0.0)
        turned = turned_positions(mask) if self.back else None
        for layer, ahead in enumerate(self.ahead):
            if layer:
                states = self.dropout(states)
            found = ahead(states)[0]
            if turned is not None:
                found = torch.cat(
                    [found, _turn(self.back[layer](_turn(states, turned))[0], turned)], dim=-1
                )
            states = found
        output: Tensor = self.norm(states, mask)
        return output.masked_fill(padding, 0.0)


def turned_positions(mask: Tensor) -> Tensor:
    """Give the position that each one takes when rows are turned round, padding staying where it
    is: (batch, time, 1).

    >>> turned_positions(torch.tensor([[True, True, True, False]])).flatten().tolist()
    [2, 1, 0, 3]
    """
    positions = torch.arange(mask.shape[1], device=mask.device)
    return torch.where(mask, mask.sum(dim=1, keepdim=True) - 1 - positions, positions).unsqueeze(-1)


def _turn(states: Tensor, positions: Tensor) -> Tensor:
    return states.gather(1, positions.expand(-1, -1, states.shape[-1]))


LSTM = partial(RecurrentEncoder, nn.LSTM)
# Three quarters of the parameters of an LSTM.
GRU = partial(RecurrentEncoder, nn.GRU)
# Plain tanh units: the smallest, and the first to forget.
RNN = partial(RecurrentEncoder, nn.RNN)
