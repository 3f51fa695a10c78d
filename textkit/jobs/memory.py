"""The most memory that this process, and its tensors on a GPU, have held; for profiles.

Apart from the profiles of predictions and of trainings, which both ask, so that neither imports the
other's rooms.
"""

from __future__ import annotations

import sys


def peak_bytes() -> int:
    """Give the most memory that the process has held; 0 where the system does not say.

    >>> peak_bytes() >= 0
    True
    """
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def reset_gpu() -> None:
    """Forget the most memory that tensors on a GPU have held, where torch is in use."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def gpu_peak() -> int:
    """Give the most memory that tensors on a GPU have held since then; 0 without one."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return 0
    return int(torch.cuda.max_memory_allocated())
