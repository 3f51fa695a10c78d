"""Models side by side: what is counted, what is trained for it, and how it goes on when stopped."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.golden.observations import GOLDEN
from textkit import TextClassifier
from textkit.errors import DataError, UsageError
from textkit.evaluation import compare
from textkit.evaluation.paired import PairedMetric
from textkit.evaluation.side_by_side import Agreement
from textkit.jobs import (
    CompareOptions,
    CompareReport,
    EvaluateOptions,
    compare_models,
    evaluate_file,
)
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


def fitted(task: str, labels: list[Any], name: str) -> Path:
    texts = ["good film", "bad film", "good plot", "bad long plot"] * 10
    model = TextClassifier(encoder="linear", encoder__cost=1.0, head__task=task, seed=1)
    model.fit(texts, labels * 10).save(name)
    return Path(name)


@pytest.mark.parametrize(
    ("task", "labels", "rows", "score", "metric"),
    [
        (
            "multi-label",
            [["pos"], ["neg", "film"], ["pos", "plot"], ["neg"]],
            ["good film,pos", "bad film,neg|film", "a plot,", "long,odd|neg"],
            "micro_f1",
            "micro F1",
        ),
        (
            "regression",
            [4.0, 1.0, 5.0, 2.0],
            ["good film,4", "bad film,1", "good plot,5", "bad long plot,2.5"],
            "mae",
            "MAE",
        ),
    ],
)
def test_models_of_other_tasks_are_compared_by_their_metric_and_a_paired_bootstrap(
    task: str, labels: list[Any], rows: list[str], score: str, metric: str
) -> None:
    one = fitted(task, labels, "one")
    two = fitted(task, labels[::-1], "two")  # has learnt all labels wrongly
    data = write_csv("t.csv", *rows * 5)
    report = report_of(data=data, models=[two, one], out=Path("out"))
    found: dict[str, Any] = report.to_dict()
    assert [model.name for model in report.result.models] == ["one", "two"]
    for place, model in zip((one, two), found["models"], strict=True):
        alone = evaluate_file(EvaluateOptions(model=place, data=data)).to_dict()
        assert model[score] == pytest.approx(alone[score])
    pair, values = found["neighbours"][0], [model[score] for model in found["models"]]
    assert pair["metric"] == metric
    assert pair["difference"] == pytest.approx(values[0] - values[1])
    assert pair["interval"][0] <= pair["difference"] <= pair["interval"][1]
    text = report.to_text()
    assert metric in text and "paired bootstrap's p" in text and "McNemar" not in text
    page = Path("out/compare.html").read_text(encoding="utf-8")
    assert "paired bootstrap" in page and "McNemar" not in page
    assert ("Texts that differ" in page) == (task == "multi-label")


def test_a_paired_bootstrap_is_that_of_drawn_rows() -> None:
    generator = np.random.default_rng(3)
    parts = generator.integers(1, 4, (60, 2, 2)).astype(float)
    metric = PairedMetric(2, "m")
    for chunk in np.split(parts, 3):
        metric.add(chunk)
    pair = metric.pair(0, 1)
    sums = parts.sum(axis=0)
    assert pair.difference == pytest.approx(sums[0, 0] / sums[0, 1] - sums[1, 0] / sums[1, 1])
    drawn = []
    for _ in range(2000):
        totals = parts[generator.integers(0, 60, 60)].sum(axis=0)
        drawn.append(totals[0, 0] / totals[0, 1] - totals[1, 0] / totals[1, 1])
    assert pair.drawn.std() == pytest.approx(np.std(drawn), rel=0.1)
    share = min(np.mean(np.array(drawn) <= 0), np.mean(np.array(drawn) >= 0))
    assert pair.p_value == pytest.approx(2 * share, abs=0.05)
    assert metric.pair(0, 0).p_value == 1.0


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
