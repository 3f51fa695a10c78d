"""textkit's encoders on any sequence: the patches of an image, the windows of a time series.

In: states (batch, time, in_dim) that are no tokens. Out: (batch, out_dim). The same encoders and
poolings that read texts, without an embedding in front of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from textkit.errors import UsageError
from textkit.nn import encoders


class SequenceNetwork(nn.Module):
    """An encoder by name, poolings, and a linear layer.

    encoder_options: those of the encoder, as `dim`. lengths of rows: all of one length, unless
    `forward` gets a mask. An order is seen by the encoders that see one: a transformer needs
    positions, and a bag sees none.

    >>> network = SequenceNetwork("gru", in_dim=3, out_dim=2, dim=4)
    >>> network(torch.zeros(5, 7, 3)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        encoder: str,
        *,
        in_dim: int,
        out_dim: int,
        pooling: Sequence[str] = ("mean", "max"),
        **encoder_options: object,
    ) -> None:
        super().__init__()
        self.encoder = encoders.create(encoder, in_dim=in_dim, **encoder_options)
        width = self.encoder.out_dim
        self.poolings = nn.ModuleList(encoders.create_pooling(name, dim=width) for name in pooling)
        pooled = sum(encoders.create_pooling(name, dim=width).out_dim for name in pooling)
        self.head = nn.Linear(pooled, out_dim)

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """states (batch, time, in_dim), mask (batch, time) bool, True = real -> (batch,
        out_dim).
        """
        if mask is None:
            mask = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
        encoded = self.encoder(states, mask, mask.sum(dim=1).cpu())
        parts = [pool(encoded, mask) for pool in self.poolings]
        outputs: Tensor = self.head(torch.cat(parts, dim=-1))
        return outputs


def cut_patches(images: Tensor, size: int) -> Tensor:
    """Cut images (n, height, width) into squares: (n, number of squares, size * size), row by row.

    Raises UsageError where the squares do not fill the image.

    >>> cut_patches(torch.arange(16.0).reshape(1, 4, 4), 2)[0, 1].tolist()
    [2.0, 3.0, 6.0, 7.0]
    """
    n, height, width = images.shape
    if size < 1 or height % size or width % size:
        raise UsageError(f"squares of {size} do not fill an image of {height} x {width}")
    cut = images.reshape(n, height // size, size, width // size, size)
    return cut.transpose(2, 3).reshape(n, -1, size * size)


def cut_windows(series: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Cut a series (n,) into windows (n - length, length, 1), each with the value that follows it,
    (n - length,): no window holds what it is to tell.

    Raises UsageError for a series that is no longer than a window.

    >>> windows, following = cut_windows(torch.tensor([1.0, 2.0, 3.0, 4.0]), 2)
    >>> windows[:, :, 0].tolist(), following.tolist()
    ([[1.0, 2.0], [2.0, 3.0]], [3.0, 4.0])
    """
    if not 0 < length < len(series):
        raise UsageError(f"windows of {length} need a longer series than one of {len(series)}")
    return series.unfold(0, length, 1)[:-1].unsqueeze(-1), series[length:]
