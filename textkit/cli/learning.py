"""Say how a library gets on that learns a vocabulary in silence: a line every 10 s, and Ctrl-C at
once.

In: what the job reports. Out: lines on standard error. tokenizers and sentencepiece report
nothing to Python while they learn, and hold the main thread, so that Python hears of Ctrl-C only
when they are done: another thread does both.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from dataclasses import replace
from types import FrameType

from textkit.cli import errors, output
from textkit.jobs.tokenizer import LEARNING, SAVING
from textkit.watch import Progress, Watch

# How long learning takes, as a share of the time that reading the texts took before it: 20 MB of
# English prose, 30,000 tokens, 2 cores. From 8,000 to 60,000 tokens and up to 78 MB bpe gave 0.2 to
# 0.5, wordpiece 1.1 to 1.4: hence "about".
SHARE_OF_READING = {"bpe": 0.4, "wordpiece": 1.4, "bpe-char": 2.0, "unigram": 8.0}
# Python code answers an interrupt within this; what does not is native.
GRACE_SECONDS = 1.0


class LearningClock:
    """Show what the training of a tokenizer reports: `with LearningClock("bpe") as watch` gives the
    Watch to hand to it.

    While the library learns, and says nothing itself, say how long it has taken. Stop the process
    when Ctrl-C finds it in native code.
    """

    def __init__(self, kind: str) -> None:
        self._display = output.Display()
        self._saving = False
        self._share = SHARE_OF_READING.get(kind)
        self._began = time.monotonic()
        self._reading_seconds: float | None = None
        self._answered = threading.Event()

    def __enter__(self) -> Watch:
        watch = self._display.__enter__()
        self._hears, self._tells = socket.socketpair()
        self._tells.setblocking(False)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._handler = signal.signal(signal.SIGINT, self._answer)
        # The number of a signal is written here the moment that it comes, whatever the main thread
        # does.
        self._wakeup = signal.set_wakeup_fd(self._tells.fileno(), warn_on_full_buffer=False)
        self._thread.start()
        self._show = watch.progress
        return replace(watch, progress=self._hear)

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._wakeup)
        signal.signal(signal.SIGINT, self._handler)
        self._tells.close()  # which ends the thread
        self._thread.join()
        self._hears.close()
        self._display.__exit__()

    def _hear(self, progress: Progress) -> None:
        if progress.title == LEARNING:
            self._display.__exit__()  # the bar of the reading
            self._reading_seconds = time.monotonic() - self._began
        elif progress.title == SAVING:
            self._reading_seconds, self._saving = None, True
        else:
            self._show(progress)

    def _answer(self, number: int, frame: FrameType | None) -> None:
        self._answered.set()
        raise KeyboardInterrupt

    def _watch(self) -> None:
        while True:
            if not select.select([self._hears], [], [], output.LINE_EVERY_SECONDS)[0]:
                self._report()
                continue
            told = self._hears.recv(1)
            if not told:
                return
            if told[0] == signal.SIGINT and not self._answered.wait(GRACE_SECONDS):
                self._stop()

    def _report(self) -> None:
        if self._reading_seconds is not None:
            so_far = time.monotonic() - self._began - self._reading_seconds
            output.note(describe(so_far, reading_seconds=self._reading_seconds, share=self._share))

    def _stop(self) -> None:
        """End the process from here: nothing has been written yet, and the library would not let
        it end for minutes. What is being saved may end: Python answers soon.
        """
        if self._saving:
            return
        output.error_console().show_cursor(True)  # which a progress bar hides
        os._exit(errors.fail("interrupted", code=errors.INTERRUPTED, debug=False))


def describe(so_far: float, *, reading_seconds: float, share: float | None) -> str:
    """Say in a line how long the learning has taken, and about how long it will.

    >>> describe(10, reading_seconds=100, share=0.3)
    'learning: 0:10 so far, about 0:20 left (an estimate from the time that reading took)'
    >>> describe(40, reading_seconds=100, share=0.3)
    'learning: 0:40 so far, longer than estimated'
    """
    line = f"learning: {output.clock(so_far)} so far"
    if share is None:
        return line
    left = share * reading_seconds - so_far
    if left <= 0:
        return f"{line}, longer than estimated"
    return f"{line}, about {output.clock(left)} left (an estimate from the time that reading took)"
