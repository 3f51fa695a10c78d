"""Standard output and standard error of the verbs: bytes out, notes beside, progress for the eye.

`Display` shows what a job reports through its Watch: progress is a rich bar on a terminal and a
line every 10 s elsewhere; both go to standard error, as notes do.
"""

from __future__ import annotations

import json
import sys
import time
from typing import IO, TYPE_CHECKING

from textkit.cli.errors import say, visible
from textkit.watch import Progress, Watch

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

LINE_EVERY_SECONDS = 10.0


def note(message: str) -> None:
    """Tell the user something on standard error."""
    say(message)


def write_line(text: str, *, file: IO[bytes] | None = None) -> None:
    """Write one line of data as UTF-8, to standard output unless a file is given.

    The bytes are the data's own, but for a terminal, which they must not steer.
    """
    if file is None and sys.stdout.isatty():
        text = visible(text)
    (file or sys.stdout.buffer).write(text.encode("utf-8", "backslashreplace") + b"\n")


def show_line(text: str) -> None:
    """Write a line for people to standard output; nothing in it steers a terminal."""
    write_line(visible(text))


def show_coloured(text: str) -> None:
    """Write lines whose colours are ours, and whose other parts were made printable already."""
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")


def to_json(value: object) -> str:
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


class Display:
    """Show what a job reports: `with Display() as watch` gives the Watch to hand to it.

    Work under a new title begins a new bar; notes stand above the bar. silent: show nothing, as all
    but the first of several processes should.
    """

    def __init__(self, *, silent: bool = False) -> None:
        self.silent = silent
        self._title: str | None = None
        self._total: int | None = None
        self._bar: Bar | None = None
        self._last_line = 0.0
        # What was done when the work began whose end is guessed, and the time.
        self._began = (0, 0.0)

    def __enter__(self) -> Watch:
        return Watch(progress=self._progress, note=self._note)

    def __exit__(self, *_: object) -> None:
        """End the bar that is shown; what is reported next begins another."""
        if self._bar is not None:
            self._bar.stop()
        self._title = self._bar = None

    def _progress(self, progress: Progress) -> None:
        if self.silent:
            return
        if progress.title != self._title:
            self.__exit__()
            self._begin(progress)
        now = time.monotonic()
        if progress.total and not self._total:  # work whose total is known now begins now
            self._began = (progress.done, now)
        self._total = progress.total or self._total
        if self._bar is not None:
            self._bar.update(
                self._bar.task_ids[0],
                completed=progress.done,
                total=self._total,
                details=visible(progress.details),
            )
        elif now - self._last_line >= LINE_EVERY_SECONDS:
            self._last_line = now
            share = (
                f" of {self._total:,}, {self._left(progress.done, now)} left" if self._total else ""
            )
            details = f", {progress.details}" if progress.details else ""
            note(f"{progress.title}: {progress.done:,} {progress.unit}{share}{details}")

    def _begin(self, progress: Progress) -> None:
        self._title, self._total = progress.title, progress.total
        self._last_line = time.monotonic()
        self._began = (0, self._last_line)
        if sys.stderr.isatty():
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[details]}", markup=False),
                TimeRemainingColumn(),
                console=error_console(),
            )
            self._bar.start()
            self._bar.add_task(visible(progress.title), total=progress.total, details="")

    def _left(self, done: int, now: float) -> str:
        first, began = self._began
        if done <= first:
            return "?"
        return clock((now - began) / (done - first) * max((self._total or 0) - done, 0))

    def _note(self, line: str) -> None:
        if self._bar is not None:
            self._bar.console.print(visible(line), highlight=False, markup=False)
        elif not self.silent:
            note(line)
