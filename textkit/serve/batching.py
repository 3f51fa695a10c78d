"""Join the rows of many clients into batches: one thread for each thing that a model does.

In: entries, each the items of one request, from the event loop. Out: a result or an error a row,
back to the loop.

1. The thread takes rows of the waiting entries in turn, a few of each, until a batch holds its
   budget of tokens: one request of a thousand texts does not keep others waiting.
2. While more requests are on their way, it waits for them up to a few milliseconds.
3. It runs the batch. Where that fails it runs the halves, and their halves: one bad text fails
   alone.
4. What was given up, or is too old, is dropped before it is run.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from numpy.typing import NDArray

from textkit.errors import TextkitError
from textkit.serve.admission import BusyError
from textkit.serve.options import Limits
from textkit.serve.works import Item, Outcome, Work

# Shares of a batch that an entry gets in its turn.
_TURN = 8
# A token of unread text is guessed as so many bytes.
TOKEN_BYTES = 3


@dataclass(frozen=True)
class Row:
    """What became of one item."""

    values: NDArray[Any]
    truncated: int
    n_tokens: int | None


class RowError(TextkitError):
    """A row could not be worked on; its message is the client's to read."""


Answer = Row | TextkitError


@dataclass(eq=False)
class Entry:
    """The items of one request, and what became of them so far."""

    items: Sequence[Item]
    costs: Sequence[int]
    born: float
    future: asyncio.Future[list[Answer]]
    answers: list[Answer | None] = field(init=False)
    n_taken: int = 0
    n_open: int = field(init=False)
    given_up: bool = False

    def __post_init__(self) -> None:
        self.answers = [None] * len(self.items)
        self.n_open = len(self.items)


@dataclass(frozen=True)
class Ran:
    """What a batch was: for the metrics."""

    n_rows: int
    n_tokens: int
    n_positions: int
    seconds: float
    waited_seconds: float


def cost_of(item: Item) -> int:
    """Guess the tokens of an item before it is cut into them.

    >>> cost_of("four words of text"), cost_of((1, 2, 3))
    (7, 3)
    """
    return 1 + len(item) // TOKEN_BYTES if isinstance(item, str) else max(1, len(item))


class Batcher:
    """The queue of one work, and its thread.

    on_batch: called in the thread with what each batch was. on_bug: called with what was raised
    that is no error of ours. n_coming: tells how many requests are on their way.
    """

    def __init__(
        self,
        work: Work,
        *,
        limits: Limits,
        on_batch: Callable[[Ran], None] = lambda ran: None,
        on_bug: Callable[[Exception], None] = lambda err: None,
        n_coming: Callable[[], int] = lambda: 0,
        name: str = "work",
    ) -> None:
        self.work = work
        self._longest = limits.tokens if work.longest is None else work.longest
        self._limits = limits
        self._on_batch, self._on_bug, self._n_coming = on_batch, on_bug, n_coming
        self._entries: deque[Entry] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._waits_for: Literal["first", "more"] | None = None
        self._thread = threading.Thread(target=self._live, name=f"textkit-{name}", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether rows would be worked on."""
        return self._thread.is_alive()

    async def answer(self, items: Sequence[Item]) -> list[Answer]:
        """Give an answer for each item, in their order; when cancelled, its rows are dropped.

        Raises BusyError for what waited too long.
        """
        if not items:
            return []
        entry = Entry(
            items,
            [min(self._longest, cost_of(item)) for item in items],
            time.monotonic(),
            asyncio.get_running_loop().create_future(),
        )
        with self._changed:
            if self._closed:
                raise BusyError("this model is just being replaced")
            self._entries.append(entry)
            # Each waking of the thread costs the loop a turn: not for a row that it would wait on.
            if self._has_enough():
                self._changed.notify()
        try:
            return await entry.future
        finally:
            entry.given_up = True

    def close(self, *, wait: bool = True) -> None:
        """Take no more, and end the thread when all that was taken is done."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if wait:
            self._thread.join()

    def _live(self) -> None:
        while True:
            batch = self._next_batch()
            if batch is None:
                return
            self._run(batch)

    def _next_batch(self) -> list[tuple[Entry, int]] | None:
        """Wait for rows and take a batch of them; None when closed and done."""
        with self._changed:
            while not self._entries:
                if self._closed:
                    return None
                self._wait("first", None)
            until = time.monotonic() + self._limits.wait_seconds
            while not self._is_enough():
                left = until - time.monotonic()
                if left <= 0:
                    break
                self._wait("more", left)
            return self._take()

    def _wait(self, what: Literal["first", "more"], seconds: float | None) -> None:
        self._waits_for = what
        self._changed.wait(seconds)
        self._waits_for = None

    def _has_enough(self) -> bool:
        """Tell whether the thread has what it waits for."""
        return self._waits_for == "first" or (self._waits_for == "more" and self._is_enough())

    def _is_enough(self) -> bool:
        """Tell whether no more rows are on their way, or a batch is full."""
        if self._n_coming() <= len(self._entries):
            return True
        budget = self._limits.batch_tokens
        for entry in self._entries:
            budget -= sum(entry.costs[entry.n_taken :])
            if budget <= 0:
                return True
        return False

    def _take(self) -> list[tuple[Entry, int]]:
        """Take rows in turn up to the budget; one row is always taken."""
        batch: list[tuple[Entry, int]] = []
        budget = self._limits.batch_tokens
        oldest = time.monotonic() - self._limits.seconds
        left = budget
        while self._entries and left > 0:
            entry = self._entries.popleft()
            if entry.given_up:
                continue
            if entry.born < oldest and not entry.n_taken:
                self._refuse(entry)
                continue
            turn = max(1, budget // _TURN)
            while entry.n_taken < len(entry.items) and turn > 0:
                cost = entry.costs[entry.n_taken]
                if batch and cost > left:
                    left = 0  # the rest of the budget is too small for it: next time it is first
                    break
                batch.append((entry, entry.n_taken))
                entry.n_taken += 1
                left -= cost
                turn -= cost
            if entry.n_taken < len(entry.items):
                if left > 0:
                    self._entries.append(entry)
                else:
                    self._entries.appendleft(entry)
        return batch

    def _refuse(self, entry: Entry) -> None:
        error = BusyError(f"waited more than {self._limits.seconds:g} s for its turn")
        entry.answers = [error] * len(entry.items)
        _hand_back([entry])

    def _run(self, batch: list[tuple[Entry, int]]) -> None:
        if not batch:
            return
        start = time.monotonic()
        answers, n_positions = self._answer_all([entry.items[row] for entry, row in batch])
        end = time.monotonic()
        for (entry, row), answer in zip(batch, answers, strict=True):
            entry.answers[row] = answer
            entry.n_open -= 1
        _hand_back([e for e in dict.fromkeys(entry for entry, _ in batch) if e.n_open == 0])
        read = [answer.n_tokens or 0 for answer in answers if isinstance(answer, Row)]
        self._on_batch(
            Ran(
                len(batch),
                sum(read) or sum(entry.costs[row] for entry, row in batch),
                n_positions,
                end - start,
                start - min(entry.born for entry, _ in batch),
            )
        )

    def _answer_all(self, items: list[Item]) -> tuple[list[Answer], int]:
        """Run items; where that fails, one half and then the other. The positions computed are
        counted.
        """
        try:
            outcome = self.work.run(items)
        except Exception as err:  # noqa: BLE001 - whatever a model raises: the thread lives on
            if len(items) == 1:
                return [self._error_of(err)], 0
        else:
            return _rows_of(outcome), outcome.n_positions
        half = len(items) // 2
        first, second = self._answer_all(items[:half]), self._answer_all(items[half:])
        return first[0] + second[0], first[1] + second[1]

    def _error_of(self, err: Exception) -> TextkitError:
        """Say what a client may know: our own messages, and of a bug that there was one."""
        if isinstance(err, TextkitError):
            return err
        self._on_bug(err)
        return RowError("the model failed on this text; the server's log says why")


def _hand_back(entries: list[Entry]) -> None:
    """Give entries their answers, in the loops that wait for them: one call a loop and batch."""
    for loop in dict.fromkeys(entry.future.get_loop() for entry in entries):
        ended = [entry for entry in entries if entry.future.get_loop() is loop]
        loop.call_soon_threadsafe(_finish, ended)


def _finish(entries: list[Entry]) -> None:
    for entry in entries:
        if not entry.future.done():
            answers = [answer for answer in entry.answers if answer is not None]
            entry.future.set_result(answers)


def _rows_of(outcome: Outcome) -> list[Answer]:
    truncated = outcome.truncated.tolist()
    counts = [None] * len(truncated) if outcome.n_tokens is None else outcome.n_tokens.tolist()
    return [
        Row(values, cut, count)
        for values, cut, count in zip(outcome.values, truncated, counts, strict=True)
    ]
