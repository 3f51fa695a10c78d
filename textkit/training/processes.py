"""What the processes of one training ask each other; with one process, nothing is asked."""

from __future__ import annotations

import torch
from torch import distributed


def is_several() -> bool:
    """Tell whether this is one of several processes, as torchrun starts them."""
    return (
        distributed.is_available()
        and distributed.is_initialized()
        and distributed.get_world_size() > 1
    )


def any_rank(flag: bool) -> bool:
    """Tell on every rank whether some rank says so.

    >>> any_rank(True)
    True
    """
    return flag if not is_several() else sum_over_ranks(float(flag)) > 0


def sum_over_ranks(value: float) -> float:
    """Add up a number over the ranks, in float64 where the device has it."""
    if not is_several():
        return value
    device = (
        torch.device("cuda", torch.cuda.current_device())
        if distributed.get_backend() == "nccl"
        else "cpu"
    )
    total = torch.tensor(value, dtype=torch.float64, device=device)
    distributed.all_reduce(total)
    return float(total.item())


def leave() -> None:
    """End this process's part in the group, when there is one."""
    if is_several():
        distributed.destroy_process_group()
