"""The queue: rows of many requests in one batch, each answer to its own, nothing held too long."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from tests.serve.calls import run
from textkit.errors import DataError, TextkitError
from textkit.serve.admission import Admission, BusyError, Share
from textkit.serve.batching import Batcher, Row
from textkit.serve.options import Limits
from textkit.serve.works import Item, Outcome, Work


class Counting:
    """A work that says how long each text is, and remembers its batches."""

    def __init__(self, *, before: Callable[[], object] = lambda: None) -> None:
        self.batches: list[list[Item]] = []
        self._before = before

    def run(self, items: Sequence[Item]) -> Outcome:
        self.batches.append(list(items))
        self._before()
        if "bad" in items:
            raise DataError("this text is bad")
        if "bug" in items:
            raise ZeroDivisionError("secret")
        values = np.array([[len(item)] for item in items], np.float32)
        return Outcome(values, np.zeros(len(items), np.int32))


def lengths(answers: Sequence[object]) -> list[int | str]:
    return [int(answer.values[0]) if isinstance(answer, Row) else str(answer) for answer in answers]


def test_requests_share_a_batch_and_each_gets_its_own_answer() -> None:
    work = Counting()
    batcher = Batcher(Work(work.run, 1), limits=Limits(wait_seconds=0.5), n_coming=lambda: 40)

    async def ask() -> list[list[int | str]]:
        asked = (batcher.answer(["a" * i, "b" * (i + 1)]) for i in range(40))
        return [lengths(answers) for answers in await asyncio.gather(*asked)]

    assert run(ask()) == [[i, i + 1] for i in range(40)]
    assert len(work.batches) < 5
    batcher.close()


def test_one_bad_text_fails_alone() -> None:
    work, bugs = Counting(), []
    batcher = Batcher(
        Work(work.run, 1),
        limits=Limits(wait_seconds=0.5),
        n_coming=lambda: 30,
        on_bug=bugs.append,
    )

    async def ask() -> list[list[int | str]]:
        asked = [batcher.answer(["ab", {7: "bad", 9: "bug"}.get(i, "abc")]) for i in range(30)]
        return [lengths(answers) for answers in await asyncio.gather(*asked)]

    told = run(ask())
    assert told.pop(9) == [2, "the model failed on this text; the server's log says why"]
    assert told.pop(7) == [2, "this text is bad"]
    assert told == [[2, 3]] * 28
    assert [type(bug) for bug in bugs] == [ZeroDivisionError]
    batcher.close()


def test_a_batch_holds_its_budget_and_a_long_request_leaves_room() -> None:
    gate = threading.Event()
    work = Counting(before=lambda: gate.wait(10))
    batcher = Batcher(Work(work.run, 1), limits=Limits(batch_tokens=80, wait_seconds=0))

    async def ask() -> None:
        first = asyncio.ensure_future(batcher.answer(["hold"]))
        while not work.batches:
            await asyncio.sleep(0.001)
        many = asyncio.ensure_future(batcher.answer(["a" * 27] * 100))  # 10 tokens each
        await asyncio.sleep(0.01)
        few = asyncio.ensure_future(batcher.answer(["b"]))
        await asyncio.sleep(0.01)
        gate.set()
        await asyncio.gather(first, few)
        assert lengths(await many) == [27] * 100

    run(ask())
    assert max(len(batch) for batch in work.batches) <= 8
    assert "b" in work.batches[1]
    batcher.close()


def test_what_was_given_up_is_not_run() -> None:
    gate = threading.Event()
    work = Counting(before=lambda: gate.wait(10))
    batcher = Batcher(Work(work.run, 1), limits=Limits())

    async def ask() -> None:
        first = asyncio.ensure_future(batcher.answer(["hold"]))
        while not work.batches:
            await asyncio.sleep(0.001)
        gone = asyncio.ensure_future(batcher.answer(["gone"] * 5))
        await asyncio.sleep(0.01)
        gone.cancel()
        stays = asyncio.ensure_future(batcher.answer(["stays"]))
        await asyncio.sleep(0.01)
        gate.set()
        await asyncio.gather(first, stays)

    run(ask())
    assert work.batches == [["hold"], ["stays"]]
    batcher.close()


def test_what_waits_too_long_is_told_to_come_again() -> None:
    gate = threading.Event()
    work = Counting(before=lambda: gate.wait(10))
    limits = Limits()
    batcher = Batcher(Work(work.run, 1), limits=limits)

    async def ask() -> list[object]:
        first = asyncio.ensure_future(batcher.answer(["hold"]))
        while not work.batches:
            await asyncio.sleep(0.001)
        object.__setattr__(limits, "seconds", 1e-9)  # what comes now is late, on any machine
        late = asyncio.ensure_future(batcher.answer(["late"]))
        await asyncio.sleep(0.001)
        gate.set()
        await first
        return [*await late]

    (answer,) = run(ask())
    assert isinstance(answer, BusyError) and work.batches == [["hold"]]
    batcher.close()


def test_closing_finishes_what_was_taken() -> None:
    work = Counting(before=lambda: time.sleep(0.01))
    batcher = Batcher(Work(work.run, 1), limits=Limits(batch_tokens=1))

    async def ask() -> int:
        asked = [asyncio.ensure_future(batcher.answer(["a"])) for _ in range(5)]
        await asyncio.sleep(0)
        batcher.close(wait=False)
        with pytest.raises(BusyError):
            await batcher.answer(["late"])
        return len(await asyncio.gather(*asked))

    assert run(ask()) == 5
    batcher.close()
    assert not batcher.is_alive


@pytest.mark.parametrize("name", ["items", "tokens", "bytes"])
def test_shares_are_bounded_and_come_back(name: str) -> None:
    admission = Admission(Limits(items=10, tokens=10, bytes=10))
    first, second = Share(), Share()
    admission.take(first, **{name: 6})
    with pytest.raises(BusyError) as caught:
        admission.take(second, **{name: 5})
    assert caught.value.after_seconds == 1
    assert vars(second) == vars(Share())
    admission.take(second, **{name: 4})
    admission.give_back(first)
    admission.give_back(second)
    assert vars(admission.held) == vars(Share())


def test_the_wait_that_is_told_follows_the_pace() -> None:
    admission = Admission(Limits())
    admission.take(Share(), tokens=100_000)
    admission.note_batch(1000, 0.1)
    assert admission.wait_seconds() == 5
    admission.note_batch(1, 1e9)
    assert 5 < admission.wait_seconds() <= 6
    assert isinstance(BusyError("full"), TextkitError)
