"""A short stretch of the campaigns, the same on every run; and they see what they are there for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaigns import faults, kills
from tests.campaigns.faulty_system import KINDS


@pytest.mark.slow
def test_no_fault_leaves_neither_old_nor_new() -> None:
    figures = faults.run_campaign(budget=float("inf"), seed=1, most=30)
    assert not figures.failures
    assert sum(figures.by_kind.values()) == 30 and set(figures.by_kind) == set(KINDS)
    assert figures.by_outcome["old"] and figures.by_outcome["new"]


@pytest.mark.slow
def test_a_killed_job_ends_with_the_same_bytes() -> None:
    pytest.importorskip("torch")
    figures = kills.run_campaign(n_kills=4, budget=float("inf"), seed=1, only="tokenize")
    assert not figures.failures and sum(figures.kills.values()) >= 4


@pytest.mark.parametrize("kind", ["ENOSPC", "kill"])
def test_the_campaign_sees_a_write_in_place(kind: str) -> None:
    """The second operation, the write, fails after the first has emptied the file."""

    def write(data: bytes) -> None:
        with open("out", "wb") as file:
            file.write(data)

    writer = faults.Writer("in place", lambda: write(b"old"), lambda: write(b"new"))
    faults.prepare(Path("template"))
    Path("template/out").write_bytes(b"old")
    known: list[faults.Contents | None] = [{"": b"old"}, {"": b"new"}]
    wrong = faults.try_fault(writer, 2, kind, Path("template"), Path("try"), known)[1]
    assert any(line.startswith("neither old nor new") for line in wrong)
