"""A short stretch of the campaigns, the same on every run; and they see what they are there for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.campaigns import faults, kills, power, writers
from tests.campaigns.faulty_system import KINDS
from textkit.io import files

# Writers that need no network.
QUICK = ("file", "tokenizer", "vectors", "tokenize jsonl", "replaced job", "dedup")


@pytest.mark.slow
def test_no_fault_leaves_neither_old_nor_new() -> None:
    made = [writer for writer in writers.writers() if writer.name in QUICK]
    figures = faults.run_campaign(budget=float("inf"), seed=1, most=30, made=made)
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

    writer = writers.Writer("in place", lambda: write(b"old"), lambda: write(b"new"))
    Path("template").mkdir()
    Path("template/out").write_bytes(b"old")
    known: list[faults.Contents | None] = [{"out/": b"old"}, {"out/": b"new"}]
    wrong = faults.try_fault(writer, 2, kind, Path("template"), Path("try"), known)[1]
    assert any(line.startswith("neither old nor new") for line in wrong)


@pytest.mark.slow
def test_no_power_loss_leaves_neither_old_nor_new() -> None:
    made = [writer for writer in writers.writers() if writer.name in QUICK]
    figures = power.run_campaign(budget=float("inf"), seed=1, most=36, made=made)
    assert not figures.failures
    assert figures.by_outcome["old"] and figures.by_outcome["new"]


def write_unflushed() -> None:
    with open("out.part", "wb") as file:
        file.write(b"new")
    Path("out.part").replace("out")


def write_in_a_new_folder() -> None:
    Path("out").mkdir()
    files.write_text("out/text", "new")


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (write_unflushed, "neither old nor new"),  # the name may be on the disk before the bytes
        (write_in_a_new_folder, "the work was over, but old is there"),
    ],
)
def test_the_campaign_of_power_loss_sees(
    new: Callable[[], None], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(power, "prepare", lambda folder, models: folder.mkdir())
    writer = writers.Writer("careless", lambda: None, new)
    if new is write_unflushed:
        writer = replace(writer, old=lambda: files.write_text("out", "old"))
    figures = power.run_campaign(budget=float("inf"), seed=0, most=24, made=[writer])
    assert any(said in line for line in figures.failures)
