"""Whether two files of texts are alike."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.shell import run_textkit
from textkit.errors import DataError, UsageError
from textkit.jobs.shift import ShiftOptions, compare_files, measure_area

WORDS = ["river", "stone", "cloud", "paper", "window", "garden", "engine", "silver"]


def write(name: str, *, seed: int, extra: str = "", n_rows: int = 120) -> Path:
    luck = np.random.default_rng(seed)
    rows = [" ".join(luck.choice(WORDS, 4)) + (extra if i % 2 else "") for i in range(n_rows)]
    Path(name).write_text("\n".join(rows) + "\n", encoding="utf-8")
    return Path(name)


def test_files_of_one_kind_are_alike() -> None:
    report = compare_files(
        ShiftOptions(data=write("a.txt", seed=1), against=write("b.txt", seed=2))
    )
    assert report.interval.low < 0.5 < report.interval.high
    assert not report.differs and not report.findings() and report.words == ([], [])
    assert report.n_rows == (120, 120)


def test_the_words_that_tell_are_named() -> None:
    new = write("b.txt", seed=2, extra=" tulip")
    report = compare_files(ShiftOptions(data=write("a.txt", seed=1), against=new))
    assert report.auc > 0.7 and report.differs and report.words[1] == ["tulip"]
    assert report.findings()[0].message.endswith("more in b.txt: tulip")


def test_texts_without_words_are_told_by_characters() -> None:
    Path("a.txt").write_text("".join(f"ก{chr(0xE01 + i)}\n" for i in range(40)), encoding="utf-8")
    Path("b.txt").write_text("".join(f"{chr(0xE01 + i)}ฮ\n" for i in range(40)), encoding="utf-8")
    report = compare_files(ShiftOptions(data=Path("a.txt"), against=Path("b.txt")))
    assert report.differs and " ก" in report.words[0] and "ฮ " in report.words[1]


def test_a_file_beside_itself_is_not_told_apart() -> None:
    path = write("a.txt", seed=1)
    report = compare_files(ShiftOptions(data=path, against=path))
    assert report.interval.low <= 0.5 and not report.differs


def test_the_area_is_the_share_of_pairs_in_order() -> None:
    luck = np.random.default_rng(0)
    others, scores = luck.integers(0, 9, 40) + 1.0, luck.integers(0, 9, 30) + 0.0
    pairs = (others[:, None] > scores) + 0.5 * (others[:, None] == scores)
    area, error = measure_area(others, scores)
    assert area == pytest.approx(pairs.mean())
    spread = pairs.mean(axis=1).var(ddof=1) / 40 + pairs.mean(axis=0).var(ddof=1) / 30
    assert error == pytest.approx(spread**0.5)


def test_few_rows_are_drawn_and_the_same_each_time() -> None:
    options = ShiftOptions(
        data=write("a.txt", seed=1, n_rows=300), against=write("b.txt", seed=2), rows=50
    )
    report = compare_files(options)
    assert report.n_rows == (300, 120) and report == compare_files(options)


def test_what_cannot_be_compared_is_refused() -> None:
    few = write("few.txt", seed=1, n_rows=3)
    with pytest.raises(DataError, match=r"few\.txt: 3 rows have a text; .* takes 20"):
        compare_files(ShiftOptions(data=few, against=few))
    Path("empty.txt").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match=r"empty\.txt"):
        compare_files(ShiftOptions(data=write("a.txt", seed=1), against=Path("empty.txt")))
    with pytest.raises(UsageError, match="folds is 1"):
        ShiftOptions(data=few, against=few, folds=1)


def test_the_shell_says_it_and_strict_fails() -> None:
    write("a.txt", seed=1)
    write("b.txt", seed=2, extra=" tulip")
    check = ["data", "check", "a.txt", "--no-labels", "--no-near", "--against", "b.txt"]
    done = run_textkit(*check, "--json")
    shift = json.loads(done.stdout)["shift"]
    assert shift["differs"] and shift["words"] == [[], ["tulip"]]
    assert "b.txt beside a.txt: a model tells their rows apart" in done.stderr.decode()
    assert run_textkit(*check, "--strict").returncode == 3
