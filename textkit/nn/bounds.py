"""How large a network may become that a folder describes: no larger than its weights are.

In: safetensors files, of which the headers alone are read. Out: a block in which a network is built
on torch's `meta` device, without memory, and ends as soon as it has more weights than the files. A
config that says a billion is refused in no time, whatever part of the network it stands for.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from textkit.errors import ArtifactError

# What is built and then left out, as a pooler, or stands twice: so many times the files' own.
_ROOM = 3
_FREE_TENSORS, _FREE_NUMBERS = 100, 1 << 20


@dataclass(frozen=True)
class Sizes:
    """The shapes of tensors by their names, as the headers of files say them."""

    shapes: dict[str, tuple[int, ...]]

    @property
    def n_numbers(self) -> int:
        """Number of weights in all tensors."""
        return sum(map(math.prod, self.shapes.values()))


def read_sizes(paths: Iterable[Path]) -> Sizes:
    """Read the headers of safetensors files; ArtifactError for what is none.

    >>> import torch
    >>> from safetensors.torch import save_file
    >>> save_file({"a": torch.zeros(2, 3)}, "w.safetensors")
    >>> read_sizes([Path("w.safetensors")]).shapes
    {'a': (2, 3)}
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for path in paths:
        try:
            with safe_open(path, "pt") as file:
                names = list(file.keys())
                shapes |= {name: tuple(file.get_slice(name).get_shape()) for name in names}
        except (SafetensorError, OSError, RuntimeError) as err:
            reason = " ".join(str(err).split())
            raise ArtifactError(f"not readable as safetensors: {reason}", where=str(path)) from err
    return Sizes(shapes)


@contextlib.contextmanager
def no_larger_than(sizes: Sizes, *, where: str) -> Iterator[None]:
    """Let a network be built that has about as many weights as there are in files.

    >>> import torch
    >>> with no_larger_than(Sizes({"weight": (2, 3)}), where="m"), torch.device("meta"):
    ...     _ = nn.Linear(10**6, 10**6)
    Traceback (most recent call last):
    textkit.errors.ArtifactError: m: the config asks for more weights than the 6 of the file
    """
    n_tensors, n_numbers, builder = 0, 0, threading.get_ident()
    most = _ROOM * len(sizes.shapes) + _FREE_TENSORS, _ROOM * sizes.n_numbers + _FREE_NUMBERS

    def count(module: nn.Module, name: str, weight: nn.Parameter | None) -> None:
        nonlocal n_tensors, n_numbers
        if threading.get_ident() != builder:  # another thread builds another network
            return
        n_tensors, n_numbers = n_tensors + 1, n_numbers + (0 if weight is None else weight.numel())
        if n_tensors > most[0] or n_numbers > most[1]:
            raise ArtifactError(
                f"the config asks for more weights than the {sizes.n_numbers:,} of the file",
                where=where,
            )

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()
