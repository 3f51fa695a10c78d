"""The quick-start data: six families, no text in both parts, the same rows on every run."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from textkit.data import quickstart


@pytest.mark.slow
def test_docstrings_are_many_and_the_parts_share_no_text() -> None:
    rows = quickstart.docstring_rows()
    train, test = quickstart.split_rows(rows)
    assert 3000 < len(rows) < 6000
    assert {label for _, label in train} == {label for _, label in test} == set(quickstart.FAMILIES)
    assert not {text for text, _ in train} & {text for text, _ in test}
    assert 0.15 < len(test) / len(rows) < 0.25
    assert len({text for text, _ in rows}) == len(rows)


@pytest.mark.slow
def test_a_text_lands_in_the_same_part_whatever_stands_beside_it() -> None:
    rows = quickstart.docstring_rows()
    assert set(quickstart.split_rows(rows[::2])[1]) <= set(quickstart.split_rows(rows)[1])


@pytest.mark.slow
def test_two_runs_write_the_same_bytes() -> None:
    counts = quickstart.write_docstrings("a")
    quickstart._collect.cache_clear()
    quickstart.write_docstrings("b")
    for name, n_rows in counts.items():
        assert Path("a", name).read_bytes() == Path("b", name).read_bytes()
        with Path("a", name).open(encoding="utf-8", newline="") as file:
            table = list(csv.reader(file))
        assert table[0] == ["text", "label"]
        assert len(table) == n_rows + 1
