"""TokenBatch -> PaddedBatch or RaggedBatch: where numpy columns become torch tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from textkit.batch import TokenBatch
from textkit.data.targets import Targets


@dataclass(frozen=True)
class PaddedBatch:
    """A rectangle of ids on one device.

    input_ids: (batch, time) int64. attention_mask: (batch, time) bool, True = real. lengths:
    (batch,) int64, always on the CPU, where packing wants it. targets: (batch,) int64, (batch,
    n_outputs) float32, or None. time is at least 1, also when every row is empty.
    """

    input_ids: Tensor
    attention_mask: Tensor
    lengths: Tensor
    targets: Tensor | None = None

    def to(self, device: torch.device) -> PaddedBatch:
        """Copy the batch to a device; lengths stay on the CPU."""
        if device.type == "cpu":
            return self
        return replace(
            self,
            input_ids=to_device(self.input_ids, device),
            attention_mask=to_device(self.attention_mask, device),
            targets=None if self.targets is None else to_device(self.targets, device),
        )


@dataclass(frozen=True)
class RaggedBatch:
    """Rows of ids one after the other on one device, as `embedding_bag` wants them.

    ids: (n_tokens,) int32. offsets: (batch + 1,) int32, row i is ids[offsets[i]:offsets[i + 1]].
    targets: as in a PaddedBatch.
    """

    ids: Tensor
    offsets: Tensor
    targets: Tensor | None = None

    def to(self, device: torch.device) -> RaggedBatch:
        """Copy the batch to a device."""
        if device.type == "cpu":
            return self
        return replace(
            self,
            ids=to_device(self.ids, device),
            offsets=to_device(self.offsets, device),
            targets=None if self.targets is None else to_device(self.targets, device),
        )


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor from the CPU to a device, beside what the device is computing.

    >>> to_device(torch.ones(2), torch.device("cpu")).tolist()
    [1.0, 1.0]
    """
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)  # from other memory it waits


def collate(
    batch: TokenBatch, *, pad_id: int | None = None, targets: Targets | None = None
) -> PaddedBatch:
    """Pad the rows of a TokenBatch, by default with its own padding token.

    A network takes the result as it is: `classifier.network_(collate(batch))`.

    >>> collate(TokenBatch.from_rows([[5, 6], []])).attention_mask.tolist()
    [[True, True], [False, False]]
    """
    padded = batch.pad(pad_id=pad_id, min_width=1)
    return PaddedBatch(
        torch.from_numpy(padded.ids),
        torch.from_numpy(padded.mask),
        torch.from_numpy(padded.lengths),
        None if targets is None else torch.from_numpy(targets),
    )


def collate_ragged(batch: TokenBatch, *, targets: Targets | None = None) -> RaggedBatch:
    """Turn the rows of a TokenBatch into tensors; nothing is padded.

    >>> collate_ragged(TokenBatch.from_rows([[5, 6], []])).offsets.tolist()
    [0, 2, 2]
    """
    offsets = torch.from_numpy(batch.offsets).to(torch.int32)
    # A copy: an encoded batch may lie in memory that only reads.
    ids = torch.from_numpy(batch.ids.copy())
    return RaggedBatch(ids, offsets, None if targets is None else torch.from_numpy(targets))
