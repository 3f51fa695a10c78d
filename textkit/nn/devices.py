"""Where the arithmetic runs: accelerate's device, precision and processes, and the number of CPU
threads.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from textkit.errors import UsageError

Device = Literal["auto", "cpu", "cuda", "mps"]


def make_accelerator(device: Device, *, precision: str = "fp32") -> Accelerator:
    """Choose the device: "auto" takes CUDA, then MPS, then the CPU.

    A named one that is not there is refused.

    precision: "fp32", "bf16" or "fp16"; the last two run the network under autocast, where the
    device has it.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
        "auto": True,
    }
    if not available[device]:
        found = [name for name in ("cuda", "mps", "cpu") if available[name]]
        raise UsageError(
            f"device '{device}' is not available on this machine; found {', '.join(found)}; or use"
            f" 'auto'"
        )
    on_cpu = device == "cpu" or not (available["cuda"] or available["mps"])
    if precision == "fp16" and on_cpu:
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
