"""Standard output and standard error of the verbs: bytes out, notes beside, progress for the eye.

`Display` shows what a job reports through its Watch: progress is a rich bar on a terminal and a
line every 10 s elsewhere; both go to standard error, as notes do.
"""

from __future__ import annotations

import json
import sys
import time
from typing import IO, TYPE_CHECKING, Any

from textkit.watch import Progress, Watch

if TYPE_CHECKING:
    from rich.console import Console

LINE_EVERY_SECONDS = 10.0


def note(message: str) -> None:
    """Tell the user something on standard error."""
    print(message.encode("utf-8", "backslashreplace").decode("utf-8"), file=sys.stderr)


def write_line(text: str, *, file: IO[bytes] | None = None) -> None:
    """Write one line of data as UTF-8, to standard output unless a file is given."""
    (file or sys.stdout.buffer).write(text.encode("utf-8", "backslashreplace") + b"\n")


def to_json(value: Any) -> str:
    """Write one line of JSON; text stays readable, a lone surrogate stays its escape."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def error_console() -> Console:
    """Give a rich console on standard error."""
    from rich.console import Console

    return Console(stderr=True)


def clock(seconds: float) -> str:
    """Write a duration as m:ss or h:mm:ss.

    >>> clock(75)
    '1:15'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class ProgressBar:
    """Show how far a long work is; a context manager.

    `total` is None while it is not known. `details` stand after the bar, such as the loss. silent:
    show nothing, as all but the first of several processes should.
    """

    def __init__(
        self, title: str, *, total: int | None = None, unit: str = "rows", silent: bool = False
    ) -> None:
        self.title, self.total, self.unit, self.silent = title, total, unit, silent
        self._last_line = time.monotonic()
        self._began = (
            0,
            self._last_line,
        )  # what was done when the work began whose end is guessed, and the time
        self._bar: Any = None

    def __enter__(self) -> ProgressBar:
        if sys.stderr.isatty() and not self.silent:
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
            self._bar = Bar(
                *columns,
                TextColumn("{task.fields[details]}"),
                TimeRemainingColumn(),
                console=error_console(),
            )
            self._bar.start()
            self._task = self._bar.add_task(self.title, total=self.total, details="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int, *, total: int | None = None, details: str = "") -> None:
        """Say how much is done; work whose total becomes known now is taken to begin now."""
        now = time.monotonic()
        if total and not self.total:
            self._began = (done, now)
        self.total = total or self.total
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=self.total, details=details)
            return
        if self.silent or now - self._last_line < LINE_EVERY_SECONDS:
            return
        self._last_line = now
        share = f" of {self.total:,}, {self._eta(done, now)} left" if self.total else ""
        note(f"{self.title}: {done:,} {self.unit}{share}{', ' if details else ''}{details}")

    def message(self, text: str) -> None:
        """Print a line above the bar."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False)
        elif not self.silent:
            note(text)

    def _eta(self, done: int, now: float) -> str:
        first, began = self._began
        return (
            clock((now - began) / max(done - first, 1) * max((self.total or 0) - done, 0))
            if done > first
            else "?"
        )


class Display:
    """Show what a job reports: `with Display() as watch` gives the Watch to hand to it.

    Work under a new title begins a new bar; notes stand above the bar. silent: show nothing, as all
    but the first of several processes should.
    """

    def __init__(self, *, silent: bool = False) -> None:
        self.silent = silent
        self._bar: ProgressBar | None = None

    def __enter__(self) -> Watch:
        return Watch(progress=self._progress, note=self._note)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.__exit__()

    def _progress(self, progress: Progress) -> None:
        if self._bar is None or self._bar.title != progress.title:
            self.__exit__()
            bar = ProgressBar(
                progress.title, total=progress.total, unit=progress.unit, silent=self.silent
            )
            self._bar = bar.__enter__()
        self._bar.update(progress.done, total=progress.total, details=progress.details)

    def _note(self, line: str) -> None:
        if self._bar is not None:
            self._bar.message(line)
        elif not self.silent:
            note(line)
