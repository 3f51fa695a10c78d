"""Explaining a file: the sample, the page, and what is a text and what a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from textkit.errors import DataError, UsageError
from textkit.jobs import ExplainOptions, explain_file
from textkit.jobs.explain import split_source
from textkit.watch import Watch

MODEL = Path(__file__).parents[1] / "data" / "golden" / "model-2-lstm"


def test_the_page_escapes_texts_and_labels_and_shows_them_in_their_direction() -> None:
    Path("t.csv").write_text(
        'text,label\n<script>alert(1)</script> bad,"<b>"\nفيلم رائع 👩‍👩‍👧,pos\n"",neg\n',
        encoding="utf-8",
    )
    options = ExplainOptions(model=MODEL, data="t.csv", labels=True, measure=True)
    report = explain_file(options)
    report.write_html(Path("why.html"))
    page = Path("why.html").read_text(encoding="utf-8")
    assert "<script" not in page and "<b>alert" not in page and "http" not in page
    assert ">&lt;</span>" in page and ">script</span>" in page and "&lt;b&gt;" in page
    assert page.count('class="words" dir="auto"') == 3
    assert ">👩‍👩‍👧</span>" in page and "no text" in page
    assert "Faithfulness" in page and "Words of each label" in page
    json.dumps(report.to_dict(), allow_nan=False)
    assert [text.truth for text in report.explanations] == ["<b>", "pos", "neg"]


def test_a_sample_of_rows_is_drawn_by_the_seed_in_order_and_said() -> None:
    Path("t.txt").write_text("".join(f"film {n:03}\n" for n in range(50)), encoding="utf-8")
    said: list[str] = []

    def drawn(seed: int) -> list[str]:
        options = ExplainOptions(model=MODEL, data="t.txt", rows=8, seed=seed, method="occlusion")
        report = explain_file(options, watch=Watch(note=said.append))
        assert report.n_rows == 50
        return [found.text for found in report.explanations]

    first = drawn(1)
    assert first == drawn(1) == sorted(first) and len(set(first)) == 8
    assert drawn(2) != first
    assert "8 of 50 rows are explained, drawn with seed 1" in said


def test_an_empty_file_and_no_source_are_refused() -> None:
    Path("t.txt").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match=r"t\.txt"):
        explain_file(ExplainOptions(model=MODEL, data="t.txt"))
    with pytest.raises(UsageError, match="a text or a file"):
        explain_file(ExplainOptions(model=MODEL))


def test_a_misspelt_file_is_no_text() -> None:
    Path("here.txt").write_text("x", encoding="utf-8")
    assert split_source("here.txt") == {"data": "here.txt"}
    assert split_source("-") == {"data": "-"}
    assert split_source("It ends in b.txt") == {"text": "It ends in b.txt"}
    assert split_source("x" * 5000 + "\0") == {"text": "x" * 5000 + "\0"}
    with pytest.raises(DataError, match=r"gone\.jsonl: no such file"):
        split_source("gone.jsonl")
