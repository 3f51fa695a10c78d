"""Figures by slice: the same as an evaluation of the slice alone, in text, JSON and on a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.golden.observations import GOLDEN
from textkit.errors import DataError, LimitError
from textkit.evaluation.slices import MAX_SLICES, interval_of_share
from textkit.jobs import EvaluateOptions, evaluate_file

SINGLE, SEVERAL = GOLDEN / "model-2-lstm", GOLDEN / "model-2-multi-label"
NUMBERS = GOLDEN / "model-2-regression"
ROWS = [
    ("good film", "en"),
    ("bad walk", "en"),
    ("good walk", "<b>"),
    ("odd", ""),
    ("bad film", "<b>"),
    ("good plot", "en"),
]
TRUTHS = {
    SINGLE: ["pos", "pos", "neg", "new", "neg", "pos"],
    SEVERAL: ["pos|art", "neg", "art", "pos", "neg", "pos"],
    NUMBERS: ["1", "2", "3.5", "0", "1", "2"],
}


def write(name: str, model: Path, languages: list[str]) -> Path:
    lines = [
        f"{text},{truth},{language}"
        for (text, language), truth in zip(ROWS, TRUTHS[model], strict=True)
        if language in languages
    ]
    Path(name).write_text("\n".join(["text,label,lang", *lines]) + "\n", encoding="utf-8")
    return Path(name)


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (SINGLE, ["accuracy", "macro_f1"]),
        (SEVERAL, ["micro_f1", "macro_f1", "subset_accuracy"]),
        (NUMBERS, ["mae", "rmse", "r2"]),
    ],
)
def test_a_slice_has_the_figures_of_its_rows_alone(model: Path, names: list[str]) -> None:
    data = write("all.csv", model, ["en", "<b>", ""])
    report = evaluate_file(EvaluateOptions(model=model, data=data, by="lang"))
    found: Any = json.loads(json.dumps(report.to_dict()))["by"]
    assert found["column"] == "lang" and list(found["slices"]) == ["en", "<b>", "(none)"]
    for language, name in (("en", "en"), ("<b>", "<b>"), ("", "(none)")):
        some = evaluate_file(
            EvaluateOptions(model=model, data=write("some.csv", model, [language]))
            if name != "(none)" or model != SINGLE  # whose one label no model knows
            else EvaluateOptions(model=model, data=write("some.csv", model, ["", "en"]))
        ).to_dict()
        if name == "(none)" and model == SINGLE:
            assert found["slices"][name]["accuracy"] == 0
            continue
        part = found["slices"][name]
        assert part["n_rows"] == some["n_rows"]
        for key in names:
            assert part[key] == (some[key] if some[key] is None else pytest.approx(some[key]))
            if part[key] is not None and not (key == "accuracy" or key == "subset_accuracy"):
                assert part["intervals"][key] == some["intervals"][key]  # type: ignore[index]
    lines = report.to_text().splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("by lang"))
    assert [line.split()[0] for line in lines[at + 1 : at + 4]] == ["en", "<b>", "(none)"]
    report.write_html(Path("page.html"))
    page = Path("page.html").read_text(encoding="utf-8")
    assert "<h2>By lang</h2>" in page and "&lt;b&gt;" in page and "<b></td>" not in page


def test_few_rows_that_are_all_right_leave_a_wide_interval() -> None:
    assert interval_of_share(3, 3).low < 0.5 and interval_of_share(3, 3).high == 1
    assert interval_of_share(0, 3).high > 0.5 and interval_of_share(0, 3).low == 0
    # Newcombe 1998, table I: 81 of 263, Wilson without continuity correction.
    assert str(interval_of_share(81, 263)) == "0.255 to 0.366"


def test_a_column_of_many_values_or_none_of_the_name_is_refused() -> None:
    lines = [f"good film,pos,{n}" for n in range(MAX_SLICES + 1)]
    Path("a.csv").write_text("\n".join(["text,label,id", *lines]) + "\n", encoding="utf-8")
    with pytest.raises(LimitError, match="more than 100 values; --by wants one of few"):
        evaluate_file(EvaluateOptions(model=SINGLE, data=Path("a.csv"), by="id"))
    with pytest.raises(DataError, match="did you mean 'id'"):
        evaluate_file(EvaluateOptions(model=SINGLE, data=Path("a.csv"), by="idd"))
