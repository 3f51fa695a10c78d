"""What several threads share: a lock that outlives a fork, and values that are computed once.

In: what may be asked for by many threads at once. Out: the same object for all of them, computed
by one.

A fork copies a lock as it is: one that another thread of the parent holds would stay locked in the
child for ever. So every `SharedLock` is made anew in a child. What it guards has to be published by
one assignment, which makes it whole at every moment at which another thread may fork.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

if TYPE_CHECKING:
    from concurrent.futures import Future

Item = TypeVar("Item")
Value = TypeVar("Value")


class SharedLock:
    """A lock that the thread which holds it may take again.

    A forked child finds it open, and so does another process that gets it pickled, or a copy.

    >>> with SharedLock() as lock, lock:
    ...     pass
    """

    def __init__(self) -> None:
        self.renew()
        _locks.add(self)

    def renew(self) -> None:
        """Forget who holds the lock: for a child, where that thread does not exist."""
        self._lock = threading.RLock()

    def take(self, *, wait: bool = True) -> bool:
        """Take the lock, or say that another thread has it."""
        _watch_forks()
        return self._lock.acquire(blocking=wait)

    def release(self) -> None:
        """Give the lock back."""
        self._lock.release()

    def __enter__(self) -> Self:
        self.take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None
    ) -> None:
        self.release()

    def __reduce__(self) -> tuple[type[SharedLock], tuple[()]]:
        return SharedLock, ()


_locks: weakref.WeakSet[SharedLock] = weakref.WeakSet()


@functools.cache
def _watch_forks() -> None:
    if hasattr(os, "register_at_fork"):  # Windows has no fork
        os.register_at_fork(after_in_child=_renew_all)


def _renew_all() -> None:
    """Make a forked child able to work: locks are open, and torch computes in one thread.

    The threads that torch had begun did not come along, and it would wait for them for ever.
    """
    global _torch_is_alone
    for lock in list(_locks):
        lock.renew()
    torch = sys.modules.get("torch")
    if torch is not None:
        _torch_is_alone = True
        torch.set_num_threads(1)


def torch_is_alone() -> bool:
    """Tell whether this process was forked from one that had torch, whose threads did not come
    along.

    >>> torch_is_alone()
    False
    """
    return _torch_is_alone


_torch_is_alone = False


class computed_once(Generic[Value]):  # noqa: N801 - used as a decorator, like property
    """A property that is computed when it is first asked for, by one thread for all of them.

    The value lies in the object's `__dict__` under the property's name, where a pickle and a copy
    take it along.

    >>> class Text:
    ...     @computed_once
    ...     def words(self) -> list[str]:
    ...         return "to be".split()
    >>> text = Text()
    >>> text.words is text.words
    True
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self._compute = compute
        self._lock = SharedLock()
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> Value: ...

    def __get__(self, instance: object | None, owner: type) -> Self | Value:
        # Once the value lies in the object, Python finds it there and asks here no more.
        if instance is None:
            return self
        with self._lock:
            values = vars(instance)
            if self._name not in values:
                values[self._name] = self._compute(instance)
            value: Value = values[self._name]
            return value


_one_core: ContextVar[bool] = ContextVar("one_core", default=False)


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Keep engines that would start threads of their own on the calling thread.

    >>> with one_core():
    ...     on_one_core()
    True
    """
    before = _one_core.set(True)
    try:
        yield
    finally:
        _one_core.reset(before)


def on_one_core() -> bool:
    """Tell whether the calling thread is to do without further threads."""
    return _one_core.get()


def work_ahead(work: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[Value]:
    """Give `work(item)` of each item in order, one ahead: a thread does the next while the caller
    has the present one.

    >>> list(work_ahead(len, ["a", "bc"]))
    [1, 2]
    """
    from concurrent.futures import ThreadPoolExecutor  # 20 ms, logging with it

    with ThreadPoolExecutor(1) as thread:
        present: Future[Value] | None = None
        for item in items:
            coming = thread.submit(work, item)
            if present is not None:
                yield present.result()
            present = coming
        if present is not None:
            yield present.result()
