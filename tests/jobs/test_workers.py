"""Parts through several processes: the order, errors in their place, one core each."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from textkit.batch import TokenBatch
from textkit.errors import DataError
from textkit.io.bulk import Part
from textkit.io.corpus import Row
from textkit.jobs.pack import TokenPart
from textkit.jobs.workers import Workers
from textkit.threads import on_one_core, one_core


@dataclass(frozen=True)
class Telling:
    """Tell of each part its number, the process, and whether it computes on one core."""

    bad: int | None = None

    def __call__(self, part: Part) -> tuple[int, int, bool]:
        if part.number == self.bad:
            raise DataError(f"part {part.number} is bad")
        return part.number, os.getpid(), on_one_core()


def itself(work: Telling) -> Callable[[Part], tuple[int, int, bool]]:
    return work


@dataclass(frozen=True)
class Failing:
    """Open in this process, and fail in another."""

    home: int

    def __call__(self) -> Telling:
        if os.getpid() != self.home:
            raise DataError("cannot be opened here")
        return Telling()


def parts(n: int, *, broken: bool = False) -> Iterator[Part]:
    for number in range(n):
        yield Part(number, number, [Row("a", None, 1)])
    if broken:
        raise DataError("a.txt:9: not UTF-8")


def test_this_process_and_the_others_work_in_the_order_of_the_parts() -> None:
    with Workers.of(2, Telling()) as workers:
        made = list(workers.map(Telling(), itself, parts(40)))
    assert [number for number, _, _ in made] == list(range(40))
    processes = {process for _, process, _ in made}
    assert len(processes) == 2 and os.getpid() in processes
    assert all(alone for _, _, alone in made)


def test_an_error_of_a_part_comes_after_all_parts_before_it() -> None:
    for bad in (1, 6):
        seen = []
        with (
            Workers.of(2, Telling(bad)) as workers,
            pytest.raises(DataError, match=f"part {bad} is bad"),
        ):
            for number, _, _ in workers.map(Telling(bad), itself, parts(9)):
                seen.append(number)
        assert seen == list(range(bad))


def test_an_error_of_reading_comes_after_all_parts_that_were_read() -> None:
    seen = []
    with Workers.of(2, Telling()) as workers, pytest.raises(DataError, match="not UTF-8"):
        for number, _, _ in workers.map(Telling(), itself, parts(5, broken=True)):
            seen.append(number)
    assert seen == list(range(5))


def test_a_process_that_cannot_open_the_work_says_so_at_its_first_part() -> None:
    opening = Failing(os.getpid())
    with Workers(2, opening) as workers, pytest.raises(DataError, match="cannot be opened here"):
        list(workers.map(opening(), itself, parts(9)))


def test_a_part_arrives_as_it_was_sent() -> None:
    rows = [Row("a", "x", 3, (1, "b"), True), Row("\n", None, 5)]
    for part in (
        Part(7, 9, rows),
        Part(0, 0, []),
        TokenPart(1, 2, [], TokenBatch.from_rows([[4]])),
    ):
        arrived = pickle.loads(pickle.dumps(part))
        assert (type(arrived), arrived.number, arrived.rows) == (type(part), part.number, part.rows)
        assert all(isinstance(row, Row) for row in arrived.rows)
        assert (arrived.n_rows, arrived.texts) == (part.n_rows, part.texts)


@pytest.mark.parametrize(("n_workers", "alone"), [(None, False), (1, True)])
def test_one_worker_is_this_process_alone(n_workers: int | None, alone: bool) -> None:
    with Workers.of(n_workers, Telling()) as workers:
        made = list(workers.map(Telling(), itself, parts(3)))
    assert made == [(number, os.getpid(), alone) for number in range(3)]
    assert not on_one_core()


def test_a_subword_tokenizer_gives_the_same_batch_on_one_core(tmp_path: Path) -> None:
    from textkit import tokenizers

    texts: list[Any] = ["so it goes", "", "e\u0301 naïve 中文", "so   it\n"] * 3
    for kind in ("bpe", "wordpiece", "unigram"):
        tok = tokenizers.train(kind, texts * 9, size=280)
        for spans in (False, True):
            free = tok.encode(texts, spans=spans)
            with one_core():
                held = tok.encode(texts, spans=spans)
            assert held.ids.tolist() == free.ids.tolist()
            assert held.offsets.tolist() == free.offsets.tolist()
            if spans:
                assert held.spans is not None and free.spans is not None
                assert held.spans.tolist() == free.spans.tolist()
