"""Parts through one piece of work, in this process or in several.

In: parts, and what opens the work on them, which can be pickled: each process calls it once. Out:
what the work gives, in the order of the parts.

1. The other processes start and open the work while this one opens its own.
2. This process is one of the workers: it reads the parts, and works on one itself whenever the
   others have enough to go on with. So two workers are one more process to start, and every other
   part goes through no pipe.
3. A worker of several, or one that was asked for by number, computes on one core.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from textkit.io.bulk import Part
from textkit.jobs.on_ray import map_on_ray
from textkit.threads import one_core

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

Result = TypeVar("Result")
Work = TypeVar("Work")
# Parts that another process has before it, the one it works on included: with one more than that it
# never waits for this process, which takes as long for a part as they do.
_AHEAD = 2


class Workers(Generic[Work]):
    """The processes that share out a job: start them with `with`, then map parts.

    n_workers: this process among them, each on one core; None is this one alone, with all cores
    that the engines take. opening: gives the work; it can be pickled. on: Ray, in the place of
    processes.
    """

    def __init__(
        self, n_workers: int | None, opening: Callable[[], Work], *, on: str | None = None
    ) -> None:
        self._n_others = (n_workers or 1) - 1
        self._on_one_core = n_workers is not None
        self._opening, self._on = opening, on
        self._pool: ProcessPoolExecutor | None = None

    @classmethod
    def of(cls, n_workers: int | None, work: Work, *, on: str | None = None) -> Self:
        """Share out work that is open already; it can be pickled."""
        return cls(n_workers, Ready(work), on=on)

    @property
    def are_elsewhere(self) -> bool:
        """Whether they may be on other machines."""
        return self._on is not None

    def __enter__(self) -> Self:
        if self._n_others:
            import multiprocessing
            from concurrent.futures import ProcessPoolExecutor

            self._pool = ProcessPoolExecutor(
                self._n_others,
                # Spawned, not forked: thread pools of the engines do not survive a fork.
                multiprocessing.get_context("spawn"),
                initializer=_Worker.start,
                initargs=(self._opening,),
            )
            for _ in range(self._n_others):  # a process starts when there is something to do
                self._pool.submit(os.getpid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def map(
        self, work: Work, bind: Callable[[Work], Callable[[Part], Result]], parts: Iterable[Part]
    ) -> Iterator[Result]:
        """Apply what `bind` takes of the work to each part, and give the results in order.

        work: of this process. bind: can be pickled. An error of the work comes in its part's place,
        and one of reading after all parts that were read.
        """
        here = bind(work)
        if self._on is not None:
            yield from map_on_ray(here, parts, on=self._on)
        elif not self._on_one_core:
            yield from map(here, parts)
        elif self._pool is None:
            for part in parts:
                with one_core():
                    result = here(part)
                yield result
        else:
            yield from self._share(here, bind, parts, self._pool)

    def _share(
        self,
        here: Callable[[Part], Result],
        bind: Callable[[Work], Callable[[Part], Result]],
        parts: Iterable[Part],
        pool: ProcessPoolExecutor,
    ) -> Iterator[Result]:
        """Give parts to the others while they have too few, and work on one here while they have
        not.

        At most four results a worker wait for one before them.
        """
        from concurrent.futures import Future

        waiting: deque[Future[Result]] = deque()
        sent: list[Future[Result]] = []
        most = 2 * _AHEAD * (self._n_others + 1)
        try:
            for part in _to_the_end(parts):
                if isinstance(part, Exception):
                    while waiting:
                        yield waiting.popleft().result()
                    raise part
                sent = [future for future in sent if not future.done()]
                if len(sent) < _AHEAD * self._n_others:
                    sent.append(pool.submit(_Worker.run, bind, part))
                    waiting.append(sent[-1])
                else:
                    waiting.append(Future())
                    _work_here(here, part, waiting[-1])
                while waiting and (waiting[0].done() or len(waiting) > most):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@dataclass(frozen=True)
class Ready(Generic[Work]):
    """Give work that is open."""

    work: Work

    def __call__(self) -> Work:
        return self.work


def _to_the_end(parts: Iterable[Part]) -> Iterator[Part | Exception]:
    """Give parts, and what ends the reading as the last of them."""
    try:
        yield from parts
    except Exception as err:  # noqa: BLE001 - raised again by who takes it
        yield err


def _work_here(work: Callable[[Part], Result], part: Part, future: Future[Result]) -> None:
    try:
        with one_core():
            result = work(part)
    except Exception as err:  # noqa: BLE001 - raised in its part's place
        future.set_exception(err)
    else:
        future.set_result(result)


class _Worker:
    """The work of this process, where it is another's: it was opened once, not with each part."""

    work: ClassVar[Any]
    failed: ClassVar[Exception | None] = None

    @classmethod
    def start(cls, opening: Callable[[], Any]) -> None:
        threading.Thread(target=end_with_parent, daemon=True).start()
        try:
            with one_core():
                cls.work = opening()
        except Exception as err:  # noqa: BLE001 - the first part raises it, in its place
            cls.failed = err

    @classmethod
    def run(cls, bind: Callable[[Any], Callable[[Part], Result]], part: Part) -> Result:
        if cls.failed is not None:
            raise cls.failed
        with one_core():
            return bind(cls.work)(part)


def end_with_parent() -> None:
    """End this process when the one that began it has ended, killed or not.

    Its pool says nothing then, and a worker that waits for work would hold its pipes for ever.
    """
    from multiprocessing import connection, parent_process

    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
