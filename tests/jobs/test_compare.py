"""Models side by side: what is counted, what is trained for it, and how it goes on when stopped."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.golden.observations import GOLDEN
from textkit.errors import DataError, UsageError
from textkit.evaluation import compare
from textkit.evaluation.side_by_side import Agreement
from textkit.jobs import CompareOptions, CompareReport, compare_models
from textkit.jobs.compare import order_evenly
from textkit.watch import Watch

FIRST, SECOND = GOLDEN / "model-2-lstm", GOLDEN / "model-2-bag-ngrams"
SMALL = ["embedding.dim=4", "training.epochs=2", "training.device=cpu", "training.threads=1"]


def write_csv(name: str, *rows: str) -> Path:
    Path(name).write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    return Path(name)


def report_of(**options: Any) -> CompareReport:
    report = compare_models(CompareOptions(**options))
    assert report is not None
    return report


def test_every_pair_is_counted_as_the_two_are_alone() -> None:
    generator = np.random.default_rng(1)
    truth, *predicted = ([str(i) for i in generator.integers(0, 3, 40)] for _ in range(4))
    agreement = Agreement(3, n_changed=100)
    for part in (slice(0, 7), slice(7, 40)):
        agreement.add(truth[part], [p[part] for p in predicted], truth[part])
    for i, j in combinations(range(3), 2):
        assert agreement.pair(i, j) == compare(truth, predicted[i], predicted[j])
    differing = [k for k in range(40) if len({p[k] for p in predicted}) > 1]
    assert sorted(each.row - 1 for each in agreement.changed()) == differing
    assert len(differing) == agreement.n_differing
    assert len(set(agreement.changed()[0].labels)) == 3  # where they differ most


def test_models_that_are_there_are_ordered_and_written_as_a_page(capfd: Any) -> None:
    data = write_csv("t.csv", *["good film,pos", "bad film,neg", "<b>odd</b>,new"] * 3, '"",pos')
    report = report_of(data=data, models=[SECOND, FIRST], out=Path("out"))
    values = json.loads(Path("out/compare.json").read_text(encoding="utf-8"))
    accuracies = [model["accuracy"] for model in values["models"]]
    assert accuracies == sorted(accuracies, reverse=True)
    assert values["n_rows"] == 10 and len(values["neighbours"]) == 1
    assert {"p50", "p95"} == set(values["models"][0]["latency_ms"])
    page = Path("out/compare.html").read_text(encoding="utf-8")
    assert "no model knows" in page and "<b>odd</b>" not in page
    assert report.to_text().splitlines()[0].startswith("model") and capfd.readouterr().out == ""
    with pytest.raises(UsageError, match="finished work"):
        report_of(data=data, models=[FIRST, SECOND], out=Path("out"))


@pytest.mark.slow
def test_encoders_are_trained_stopped_and_gone_on_with() -> None:
    rows = [f"{word} {n},{label}" for n in range(15) for word, label in (("a", "x"), ("b", "y"))]
    data = write_csv("train.csv", *rows)
    options: dict[str, Any] = {
        "data": data,
        "train": data,
        "encoders": ["bag", "cnn"],
        "overrides": SMALL,
        "sizes": [16],
        "out": Path("out"),
    }
    stops = iter([False, True])
    watch = Watch(should_stop=lambda: next(stops, True))
    assert compare_models(CompareOptions(**options), watch=watch) is None
    with pytest.raises(UsageError, match="--resume"):
        report_of(**options)
    report = report_of(**options, resume=True)
    assert {model.name for model in report.result.models} == {"bag", "cnn"}
    for model in report.result.models:
        assert [n for n, _ in model.sizes] == [16, 30]
        assert len(model.curves["valid_accuracy"]) == 2 and model.train_seconds
    assert Path("out/curves.png").read_bytes().startswith(b"\x89PNG")
    lines = Path("out/sizes/16.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["label"] for line in lines].count("x") == 8


def test_samples_lie_within_each_other_and_keep_the_shares() -> None:
    labels = ["a"] * 80 + ["b"] * 20
    order = order_evenly(labels, seed=0)
    assert sorted(order) == list(range(100))
    for n in (10, 25, 50):
        assert abs(sum(labels[i] == "b" for i in order[:n]) - n / 5) <= 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"models": [FIRST]}, "two models"),
        ({"encoders": ["bag", "bag"]}, "two models are called 'bag'"),
        ({"encoders": ["bag", "cnn"]}, "--train"),
        ({"models": [FIRST, SECOND], "sizes": [3]}, "--sizes goes with"),
        ({"models": [FIRST, GOLDEN / "model-2-regression"]}, "regression"),
        ({"encoders": ["bag", "lsmt"], "train": Path("t.csv"), "out": Path("o")}, "'lstm'"),
    ],
)
def test_what_does_not_go_together_is_said(options: dict[str, Any], said: str) -> None:
    data = write_csv("t.csv", "good,pos")
    with pytest.raises(UsageError, match=said):
        report_of(data=data, **options)
    assert not Path("o").exists()


def test_a_file_without_rows_and_a_foreign_folder_are_refused() -> None:
    with pytest.raises(DataError, match="no rows"):
        report_of(data=write_csv("t.csv"), models=[FIRST, SECOND])
    Path("mine").mkdir()
    Path("mine/letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(UsageError, match="no comparison"):
        report_of(data=Path("t.csv"), models=[FIRST, SECOND], out=Path("mine"), overwrite=True)
