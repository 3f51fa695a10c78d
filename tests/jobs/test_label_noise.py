"""Doubted labels: planted errors are found, rows that cannot be judged are not; the page."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textkit.cli import app
from textkit.errors import DataError, UsageError
from textkit.evaluation.label_noise import doubt_labels
from textkit.jobs import DoubtOptions, DoubtReport, doubt_file

WORDS = {
    "sport": ["match", "goal", "team", "coach", "league", "player", "stadium", "referee"],
    "money": ["bank", "loan", "share", "market", "price", "profit", "tax", "budget"],
    "food": ["soup", "bread", "salt", "oven", "dinner", "recipe", "taste", "cook"],
}


def plant(n_rows: int = 240, n_wrong: int = 12) -> set[int]:
    """Write texts of a class's words, some under another label; give the rows of those."""
    generator = np.random.default_rng(0)
    names, wrong = list(WORDS), set(range(0, n_rows, n_rows // n_wrong))
    with Path("all.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for row in range(n_rows):
            name = names[row % 3]
            drawn = generator.choice(WORDS[name], 5).tolist()
            other = names[(row + 1) % 3]
            writer.writerow([" ".join([*drawn, f"n{row}"]), other if row in wrong else name])
    return wrong


@pytest.fixture(scope="module")
def found(tmp_path_factory: Any) -> tuple[set[int], DoubtReport]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("noise"))
        return plant(), doubt_file(DoubtOptions(data=Path("all.csv"), folds=3))


def test_planted_errors_are_found_with_what_they_should_be(
    found: tuple[set[int], DoubtReport],
) -> None:
    wrong, report = found
    rows = [doubt.row for doubt in report.doubts]
    assert set(rows) <= wrong and len(rows) >= len(wrong) - 2
    names = list(WORDS)
    for doubt in report.doubts:
        assert doubt.suggested == names[doubt.row % 3] and doubt.line == doubt.row + 2
        assert doubt.probability < doubt.suggested_probability
    margins = [doubt.probability - doubt.suggested_probability for doubt in report.doubts]
    assert margins == sorted(margins)
    (finding,) = report.findings()
    assert finding.n == len(rows) and finding.examples[0].other_label in names
    assert json.loads(json.dumps(report.to_dict()))["n_rows"] == 240


def test_the_page_holds_what_it_needs_and_nothing_of_the_data_runs(
    found: tuple[set[int], DoubtReport],
) -> None:
    from dataclasses import replace

    _, report = found
    evil = replace(report.doubts[0], text='</script><script>x("', label='"><b>', suggested="<i>")
    replace(report, doubts=[evil, *report.doubts[1:]], labels=['"><b>']).write_html(Path("p.html"))
    page = Path("p.html").read_text(encoding="utf-8")
    assert page.count("<script") == 1 and "<b>" not in page and "<i>" not in page
    assert page.count("data-row=") == len(report.doubts)
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", page)


def test_a_copy_of_a_row_does_not_vouch_for_its_label() -> None:
    plant(90, 3)
    lines = Path("all.csv").read_text(encoding="utf-8").splitlines()
    copies = [lines[1], lines[1].upper().replace(lines[1].split(",")[1].upper(), "money")]
    assert lines[1].endswith(",money")
    Path("all.csv").write_text("\n".join([*lines, *copies]) + "\n", encoding="utf-8")
    doubted = {doubt.row for doubt in doubt_file(DoubtOptions(data=Path("all.csv"))).doubts}
    assert {0, 90, 91} <= doubted


def test_rows_of_a_label_alone_and_rows_without_one_are_not_doubted() -> None:
    plant(60, 3)
    with Path("all.csv").open("a", encoding="utf-8") as file:
        file.write("match goal team,lonely\nbank loan,\n")
    report = doubt_file(DoubtOptions(data=Path("all.csv"), folds=3))
    assert (report.n_rows, report.n_unjudged) == (61, 1)
    assert "lonely" not in {doubt.label for doubt in report.doubts}


def test_files_in_which_no_label_can_be_doubted_are_refused() -> None:
    for rows, message in (
        (["a,x", "b,x"], "fewer than two labels"),
        ([f"text {n},{n}.5" for n in range(9)], "--deep is for classes"),
        ([], "fewer than two labels"),
    ):
        Path("a.csv").write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
        with pytest.raises(DataError, match=message):
            doubt_file(DoubtOptions(data=Path("a.csv")))
    with pytest.raises(UsageError, match="expected at least 2"):
        DoubtOptions(data=Path("a.csv"), folds=1)


def test_a_class_that_a_model_did_not_see_tells_nothing() -> None:
    nan = float("nan")
    shares = np.array([[0.9, 0.1, nan], [0.2, 0.8, nan], [0.1, 0.9, nan], [nan, nan, nan]])
    found = doubt_labels(np.array([0, 1, 2, 0]), shares)
    assert found.rows.tolist() == []
    assert doubt_labels(np.zeros(0, np.int64), np.zeros((0, 2))).rows.tolist() == []


@pytest.mark.slow
def test_the_verb_shows_writes_and_refuses(capfdbinary: Any) -> None:
    wrong = plant()
    for arguments, code in (
        (["data", "check", "all.csv", "--html", "x.html"], 2),
        (["data", "check", "all.csv", "--deep", "--no-labels"], 2),
        (["data", "check", "all.csv", "--deep", "--html", "x.html", "--no-near", "--json"], 0),
    ):
        capfdbinary.readouterr()
        with pytest.raises(BaseException) as raised:
            app(arguments, standalone_mode=True)
        out, _ = capfdbinary.readouterr()
        if code:
            assert isinstance(raised.value, UsageError) or getattr(raised.value, "code", 0) == 2
        else:
            found = json.loads(out)
            assert len(found["deep"]["doubted"]) >= len(wrong) - 2
            assert "doubted-labels" in {finding["check"] for finding in found["findings"]}
            assert Path("x.html").is_file()


def test_as_many_rows_are_doubted_as_are_estimated_wrong_the_least_likely_label_first() -> None:
    # Of eight rows of class 0 two count as another class; the two least likely ones are doubted,
    # whichever class is likeliest to them.
    own = np.array([0.9, 0.8, 0.9, 0.8, 0.9, 0.3, 0.1, 0.02])
    zero = np.stack([own, (1 - own) * 0.8, (1 - own) * 0.2], axis=1)
    zero[7] = [0.02, 0.38, 0.6]  # counts as class 2
    sure = np.array([[0.1, 0.8, 0.1]] * 4 + [[0.2, 0.2, 0.6]] * 4)
    codes = np.array([0] * 8 + [1] * 4 + [2] * 4)
    zero[5] = [0.3, 0.69, 0.01]  # likelier another class than its own, but below its threshold
    zero[6] = [0.1, 0.9, 0.0]  # counts as class 1
    found = doubt_labels(codes, np.concatenate([zero, sure]))
    assert found.rows.tolist() == [7, 6]
    assert found.suggested.tolist() == [2, 1]
    # The least likely label goes first, and not the one with the widest margin.
    zero[7] = [0.02, 0.38, 0.6]
    zero[6] = [0.03, 0.97, 0.0]
    assert doubt_labels(codes, np.concatenate([zero, sure])).rows.tolist() == [7, 6]
