"""The bag encoder: each position for itself, so that mean pooling after it is fastText's average
(Joulin et al. 2017).

In: states and mask, or a RaggedBatch of ids. Out: the states, zeros at padding; or, by `pool_mean`,
the average of each row's vectors straight from the embedding table, without a padded rectangle:
equal numbers, a fraction of the time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from textkit.nn.collate import RaggedBatch
from textkit.nn.draws import own_generator


class BagEncoder(nn.Module):
    """Leave every position as it is, with zeros at padding; out_dim is in_dim.

    dropout: share of whole positions left out in training, the others scaled to make up for it
    (Iyyer et al. 2015, word dropout).

    >>> encoder = BagEncoder(in_dim=1).eval()
    >>> mask = torch.tensor([[True, False]])
    >>> encoder(torch.ones(1, 2, 1), mask, mask.sum(1)).tolist()
    [[[1.0], [0.0]]]
    """

    def __init__(self, *, in_dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.in_dim = self.out_dim = in_dim
        self.dropout = dropout

    def forward(self, states: Tensor, mask: Tensor, lengths: Tensor) -> Tensor:
        """states (batch, time, in_dim), mask (batch, time) bool, lengths (batch,) CPU -> (batch,
        time, in_dim).
        """
        if self.training and self.dropout:
            mask = mask & self._draw_kept(mask)
            states = states / (1 - self.dropout)
        return states.masked_fill(~mask.unsqueeze(-1), 0.0)

    def _draw_kept(self, positions: Tensor) -> Tensor:
        """Draw which positions stay: bool, of the same shape."""
        generator = own_generator()
        draws = torch.rand(positions.shape, device=positions.device, generator=generator)
        return draws >= self.dropout

    def pool_mean(self, table: Tensor, batch: RaggedBatch) -> Tensor:
        """Compute what mean pooling over `forward` gives, from table (n_ids, in_dim): (batch,
        in_dim).

        An empty row gives zeros. The backward pass sums each row of the table in a fixed order, so
        that the gradient is the same to the bit on any number of threads.

        >>> from textkit.batch import TokenBatch
        >>> from textkit.nn.collate import collate_ragged
        >>> table = torch.tensor([[1.0], [3.0]])
        >>> batch = collate_ragged(TokenBatch.from_rows([[0, 1], []]))
        >>> BagEncoder(in_dim=1).pool_mean(table, batch).tolist()
        [[2.0], [0.0]]
        """
        if not (self.training and self.dropout):
            return functional.embedding_bag(
                batch.ids, table, batch.offsets, mode="mean", include_last_offset=True
            )
        kept = self._draw_kept(batch.ids)
        ends = functional.pad(kept.cumsum(0, dtype=torch.int32), (1, 0))
        offsets = ends[batch.offsets]
        sums = functional.embedding_bag(
            batch.ids[kept], table, offsets, mode="sum", include_last_offset=True
        )
        lengths = batch.offsets.diff().clamp(min=1).unsqueeze(1)
        return sums / (lengths * (1 - self.dropout))
