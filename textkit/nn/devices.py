"""Where the arithmetic runs: the device, accelerate's precision and processes, the number of CPU
threads, and what the processes of one training ask each other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import distributed

from textkit.errors import UsageError, unknown_name

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(device: str) -> torch.device:
    """Choose where to compute: "auto" takes CUDA, then MPS, then the CPU.

    A named device must be there.

    >>> choose_device("cpu").type
    'cpu'
    """
    if device not in DEVICES:
        raise UsageError(unknown_name("device", device, DEVICES))
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        return torch.device(next(name for name, is_there in there.items() if is_there))
    if not there[device]:
        found = ", ".join(name for name, is_there in there.items() if is_there)
        raise UsageError(
            f"device '{device}' is not available on this machine; found {found}; or use 'auto'"
        )
    return torch.device(device)


def make_accelerator(device: str, *, precision: str = "fp32") -> Accelerator:
    """Make accelerate's object for a device that `choose_device` takes.

    precision: "fp32", "bf16" or "fp16"; the last two run the network under autocast, where the
    device has it.
    """
    chosen = choose_device(device)
    if precision == "fp16" and chosen.type == "cpu":
        raise UsageError("training.precision = 'fp16' needs a GPU; use 'bf16' or 'fp32' on a CPU")
    # accelerate keeps the device of the process in a singleton; a second training may ask for
    # another one.
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(
        cpu=device == "cpu", mixed_precision="no" if precision == "fp32" else precision
    )


@contextlib.contextmanager
def cpu_threads(number: int) -> Iterator[None]:
    """Hold torch to a number of CPU threads, and give the caller's number back at the end."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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


def leave_processes() -> None:
    """End this process's part in the group, when there is one."""
    if is_several():
        distributed.destroy_process_group()
