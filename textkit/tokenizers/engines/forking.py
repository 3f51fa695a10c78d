"""Make engines and os.fork live together: no deadlock, no warning, no environment variable to set.

A fork copies native locks as they are: one that another thread holds stays locked in the child for
ever. So a fork waits for the engine calls and the imports that other threads have begun
(milliseconds: a call takes at most a megabyte), and a call waits for a fork. The thread pools of
the parent do not come along: `is_forked` tells engines to do without.
"""

from __future__ import annotations

import _imp as imp
import os
import sys
import threading
import time
from collections.abc import Callable
from importlib import _bootstrap as bootstrap
from types import TracebackType
from typing import Any

from textkit.threads import SharedLock, on_one_core

_IMPORT_SECONDS = 20.0
_owner: int | None = None
_watching = SharedLock()


class _NativeCalls:
    """Engine calls run together; a fork runs alone.

    Calls of the forking thread itself are not waited for.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running: dict[int, int] = {}  # thread -> depth of its calls
        self._forking = False
        self._parallelism: str | None = None  # what the variable was before a fork

    def __enter__(self) -> None:
        me = threading.get_ident()
        with self._changed:
            while self._forking and me not in self._running:
                self._changed.wait()
            self._running[me] = self._running.get(me, 0) + 1

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None
    ) -> None:
        me = threading.get_ident()
        with self._changed:
            if me not in self._running:
                return  # given up
            self._running[me] -= 1
            if not self._running[me]:
                del self._running[me]
            if self._forking:
                self._changed.notify_all()

    def give_up(self, thread: threading.Thread) -> None:
        """Let forks no longer wait for the call of a thread, which takes too long."""
        with self._changed:
            self._running.pop(thread.ident or 0, None)
            self._changed.notify_all()

    def before_fork(self) -> None:
        me = threading.get_ident()
        self._changed.acquire()  # held until after_fork: two threads do not fork at once
        while self._forking:
            self._changed.wait()
        self._forking = True
        while any(thread != me for thread in self._running):
            self._changed.wait()
        _hold_imports()
        self._parallelism = _set_parallelism("false")

    def after_fork(self) -> None:
        imp.release_lock()
        _set_parallelism(self._parallelism)
        self._forking = False
        self._changed.notify_all()
        self._changed.release()

    def after_fork_in_child(self) -> None:
        imp.release_lock()
        me = threading.get_ident()
        self._changed = threading.Condition()
        self._running = {me: self._running[me]} if me in self._running else {}
        self._forking = False


native_calls = _NativeCalls()


def is_forked() -> bool:
    """Tell whether this process was forked from one that had used an engine: its thread pools
    did not come along.
    """
    return _owner is not None and os.getpid() != _owner


def is_alone() -> bool:
    """Tell whether the calling thread is to compute without the engines' thread pools."""
    return is_forked() or on_one_core()


def keep_forks_safe() -> None:
    """Remember the process whose thread pools will be used, and watch its forks.

    tokenizers warns at fork unless TOKENIZERS_PARALLELISM is set; it is set for the moment of the
    fork, and stays set in the child alone, where the engines run on one thread.
    """
    global _owner
    with _watching:  # watched twice, a fork would wait for itself
        if _owner is None and sys.platform != "win32":  # which has no fork
            _owner = os.getpid()
            os.register_at_fork(
                before=native_calls.before_fork,
                after_in_parent=native_calls.after_fork,
                after_in_child=native_calls.after_fork_in_child,
            )


def _hold_imports() -> None:
    """Take the lock of imports in a moment when no other thread is within one.

    Python leaves the lock of a module that another thread imports locked in the child, which then
    waits for ever where it imports that module too; and engines are imported when they are needed.
    An import that takes longer than a fork should wait is not waited for.
    """
    locks: dict[str, Callable[[], Any]] = getattr(bootstrap, "_module_locks", {})
    alone = (None, threading.get_ident())
    ends = time.monotonic() + _IMPORT_SECONDS
    while True:
        imp.acquire_lock()
        held = [lock.owner for find in list(locks.values()) if (lock := find()) is not None]
        if all(owner in alone for owner in held) or time.monotonic() > ends:
            return
        imp.release_lock()
        time.sleep(0.001)


def _set_parallelism(value: str | None) -> str | None:
    """Set TOKENIZERS_PARALLELISM, or take it away; gives what it was."""
    before = os.environ.pop("TOKENIZERS_PARALLELISM", None)
    if value is not None:
        os.environ["TOKENIZERS_PARALLELISM"] = value
    return before
