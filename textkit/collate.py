"""TokenBatch -> PaddedBatch: the one place where numpy columns become torch tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textkit.batch import TokenBatch


@dataclass(frozen=True)
class PaddedBatch:
    """A rectangle of ids on one device.

    input_ids: (batch, time) int64. attention_mask: (batch, time) bool, True = real. lengths: (batch,) int64, always on
    the CPU, where packing wants it. labels: (batch,) int64 or None. time is at least 1, also when every row is empty.
    """

    input_ids: Tensor
    attention_mask: Tensor
    lengths: Tensor
    labels: Tensor | None = None

    def to(self, device: torch.device) -> PaddedBatch:
        """Copy the batch to a device; lengths stay on the CPU."""
        if device.type == "cpu":
            return self
        return replace(
            self,
            input_ids=self.input_ids.to(device, non_blocking=True),
            attention_mask=self.attention_mask.to(device, non_blocking=True),
            labels=None if self.labels is None else self.labels.to(device, non_blocking=True),
        )


def collate(batch: TokenBatch, *, pad_id: int, labels: NDArray[np.int64] | None = None) -> PaddedBatch:
    """Pad the rows of a TokenBatch.

    >>> collate(TokenBatch.from_rows([[5, 6], []]), pad_id=0).attention_mask.tolist()
    [[True, True], [False, False]]
    """
    padded = batch.pad(pad_id=pad_id, min_width=1)
    return PaddedBatch(
        torch.from_numpy(padded.ids),
        torch.from_numpy(padded.mask),
        torch.from_numpy(padded.lengths),
        None if labels is None else torch.from_numpy(labels),
    )
