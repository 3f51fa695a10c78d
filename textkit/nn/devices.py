"""Where the arithmetic runs: the device, accelerate's precision and processes, the number of CPU
threads, and what the processes of one training ask each other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState, PartialState
from torch import distributed

from textkit.errors import UsageError, unknown_name
from textkit.threads import SharedLock, torch_is_alone

DEVICES = ("auto", "cpu", "cuda", "mps")
_accelerating, _setting = SharedLock(), SharedLock()


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
    with _accelerating:
        # accelerate keeps device and precision in dicts of its classes, which every object of a
        # class shares. A further training may ask for others: it gets dicts of its own, and one in
        # another thread goes on with those that it has.
        for state in (AcceleratorState, PartialState, GradientState):
            state._shared_state = {}
        return Accelerator(
            cpu=device == "cpu", mixed_precision="no" if precision == "fp32" else precision
        )


@contextlib.contextmanager
def cpu_threads(number: int) -> Iterator[None]:
    """Hold torch to a number of CPU threads in this thread, and give its own back at the end.

    Other threads keep theirs, those that have not computed yet too: they would take the number that
    was set last, by whatever thread. In a process that was forked from one that computed, it is one
    thread: torch would wait for ever for the others, which did not come along.
    """
    before = _set_threads(number)
    try:
        yield
    finally:
        _set_threads(before)


def _set_threads(number: int) -> int:
    """Set the number of this thread, and leave that of threads still to come; gives what it was."""
    with _setting, ThreadPoolExecutor(1) as newcomer:
        before = torch.get_num_threads()  # after this look the number is this thread's own
        usual = newcomer.submit(torch.get_num_threads).result()
        torch.set_num_threads(1 if torch_is_alone() else number)
        newcomer.submit(torch.set_num_threads, usual).result()
        return before


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
