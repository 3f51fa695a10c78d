"""Recurrent encoders: Elman RNN, GRU (Cho et al. 2014) and LSTM (Hochreiter & Schmidhuber 1997), packed and masked."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class RecurrentEncoder(nn.Module):
    """Run recurrent cells over the real positions of each row, in both directions unless told otherwise.

    Rows are packed, so padding costs nothing and reaches no state. Output: (batch, time, dim * directions), zeros at
    padding and for empty rows.

    >>> import torch
    >>> encoder = LSTM(in_dim=3, dim=4)
    >>> mask = torch.tensor([[True, True], [False, False]])
    >>> encoder(torch.ones(2, 2, 3), mask, mask.sum(1)).shape
    torch.Size([2, 2, 8])
    """

    def __init__(
        self,
        cell: type[nn.RNNBase],
        *,
        in_dim: int,
        dim: int = 64,
        layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.in_dim = in_dim
        self.out_dim = dim * (2 if bidirectional else 1)
        between = dropout if layers > 1 else 0.0
        options: dict[str, Any] = {"num_layers": layers, "bidirectional": bidirectional, "dropout": between}
        self.rnn = cell(input_size=in_dim, hidden_size=dim, batch_first=True, **options)

    def forward(self, states: Tensor, mask: Tensor, lengths: Tensor) -> Tensor:
        """states (batch, time, in_dim), mask (batch, time) bool, lengths (batch,) CPU -> (batch, time, out_dim)."""
        # An empty row cannot be packed: it runs one step, and the mask removes what comes out.
        packed = pack_padded_sequence(states, lengths.clamp(min=1), batch_first=True, enforce_sorted=False)
        output, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=states.shape[1])
        return output.masked_fill(~mask.unsqueeze(-1), 0.0)


LSTM = partial(RecurrentEncoder, nn.LSTM)
# Three quarters of the parameters of an LSTM.
GRU = partial(RecurrentEncoder, nn.GRU)
# Plain tanh units: the smallest, and the first to forget.
RNN = partial(RecurrentEncoder, nn.RNN)
