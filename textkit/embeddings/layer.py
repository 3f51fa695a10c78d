"""The embedding layer: ids (batch, time) -> states (batch, time, dim), padding always zero."""

from __future__ import annotations

from torch import Tensor, nn


class Embedding(nn.Module):
    """A trained table of vectors, one a token, with dropout.

    >>> import torch
    >>> layer = Embedding(n_tokens=10, dim=4).eval()
    >>> layer(torch.tensor([[1, 2, 0]]), torch.tensor([[True, True, False]])).shape
    torch.Size([1, 3, 4])
    """

    def __init__(self, *, n_tokens: int, dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.out_dim = dim
        self.table = nn.Embedding(n_tokens, dim)
        # Variance 1/dim keeps sums over words near unit length; torch's default of 1 trains slower here.
        nn.init.normal_(self.table.weight, std=dim**-0.5)
        self.dropout = nn.Dropout(dropout)

    def forward(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        """Look up input_ids (batch, time) int64 under mask (batch, time) bool: (batch, time, dim)."""
        states: Tensor = self.dropout(self.table(input_ids))
        return states.masked_fill(~mask.unsqueeze(-1), 0.0)
