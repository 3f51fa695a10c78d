"""A system whose N-th input or output operation fails: what the one writer meets on a bad day.

In: the number of an operation and what happens to it. The calls that textkit's writers make, of
Python's `open` and `os`, are counted in this process; the N-th raises an error, writes short, is
interrupted by a signal, or is the last thing that the process does. Meant for a forked child, whose
calls it replaces.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import signal
from collections.abc import Callable
from typing import Any

ERRORS = ("ENOSPC", "EIO", "EDQUOT")
KINDS = (*ERRORS, "short", "EINTR", "kill")
CALLS = ("open", "fsync", "mkdir", "rename", "replace", "unlink", "rmdir", "truncate")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class System:
    """Counts the operations of this process and spoils one of them.

    target: the number of the operation, from 1; 0 spoils none. what: one of KINDS.
    """

    def __init__(self, target: int, what: str) -> None:
        self.target, self.what = target, what
        self.n_operations = 0
        self.inside = False  # an operation that calls another counts once
        self.names: list[str] = []
        self.open = builtins.open
        self._replaced: list[tuple[Any, str, Any]] = []

    def install(self) -> None:
        """Replace the calls."""
        from textkit.io import exchange

        for name in CALLS:
            self._replace(os, name, self._spoil(name, getattr(os, name)))
        self._replace(builtins, "open", self._open_file)
        self._replace(exchange, "_exchange", self._spoil("exchange", exchange._exchange))

    def _replace(self, place: Any, name: str, call: Any) -> None:
        self._replaced.append((place, name, getattr(place, name)))
        setattr(place, name, call)

    def uninstall(self) -> None:
        """Bring the calls back."""
        for place, name, call in self._replaced:
            setattr(place, name, call)

    def after(self, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Hear of an operation that was done."""

    def meet(self, name: str) -> str | None:
        """Count an operation; fail or end the process where it is the one, or tell what to do."""
        self.n_operations += 1
        self.names.append(name)
        if self.n_operations != self.target:
            return None
        if self.what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.what in ERRORS:
            number = getattr(errno, self.what)
            raise OSError(number, os.strerror(number))
        return self.what

    def _spoil(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def spoilt(*arguments: Any, **options: Any) -> Any:
            reads = name == "open" and not (len(arguments) > 1 and arguments[1] & WRITING)
            if self.inside or reads:
                return call(*arguments, **options)
            self.meet(name)
            self.inside = True
            try:
                done = call(*arguments, **options)
                self.after(name, arguments, options)
                return done
            finally:
                self.inside = False

        return spoilt

    def _open_file(self, file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        """Open a file as `open` does; one to be written meets every write of its own."""
        if not set(mode) & set("wxa+") or "b" not in mode:
            return self.open(file, mode, *arguments, **options)
        self.meet("create")
        raw = SpoiltFile(file, mode.replace("b", ""))
        raw.system = self
        self.after("create", (file,), {})
        return io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)


class SpoiltFile(io.FileIO):
    """A file whose writes the system counts."""

    system: System

    def write(self, data: Any, /) -> int:
        what = self.system.meet("write")
        if what == "EINTR":
            raise InterruptedError(errno.EINTR, os.strerror(errno.EINTR))
        view = memoryview(data).cast("B")
        return super().write(view[: max(len(view) // 2, 1)] if what == "short" else view)
