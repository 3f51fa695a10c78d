"""Labels that are written in several ways: one class, and it is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textkit import TextClassifier
from textkit.data.given_labels import normalize_given
from textkit.data.label_spelling import ClassSpelling, unify_labels
from textkit.errors import DataError, UsageError
from textkit.jobs import EvaluateOptions, TrainOptions, evaluate_file, train_run
from textkit.watch import Watch

SMALL = ["training.device=cpu", "encoder.name=bag", "embedding.dim=4", "training.epochs=1"]
TEXTS = ["good film", "bad film"] * 10


def write(name: str, labels: list[str]) -> Path:
    rows = [f"{text},{label}" for text, label in zip(TEXTS, labels, strict=False)]
    Path(name).write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    return Path(name)


def train(**more: Any) -> list[str]:
    given = {"data": Path("train.csv"), "out": Path("run"), "overrides": SMALL, "baseline": False}
    train_run(TrainOptions(**{**given, **more}))
    run = more.get("out", "run")
    labels = json.loads(Path(run, "model/config.json").read_text(encoding="utf-8"))["labels"]
    return list(labels)


@pytest.mark.parametrize(
    ("classes", "cells", "wanted"),
    [
        ([False, True], ["true", "FALSE", "True", "1", "yes"], "True False True 1 yes"),
        ([1, 20], ["1.0", "20", "20.00", "1.5", "+1", "x"], "1 20 20 1.5 +1 x"),
        ([1.0, 2.5], ["1", "2.50", "1e0", "x", "nan"], "1.0 2.5 1.0 x nan"),
        (["1", "True"], ["1.0", "true"], "1.0 true"),
        ([], ["a"], "a"),
    ],
)
def test_what_was_learnt_as_a_value_is_read_as_it_may_be_written(
    classes: list[Any], cells: list[str], wanted: str
) -> None:
    assert " ".join(map(ClassSpelling(classes).spell, cells)) == wanted


def test_a_key_of_two_classes_tells_nothing() -> None:
    known = ClassSpelling(["a", "A", "b"], normalize=True)
    assert [known.spell(cell) for cell in (" a", "A", "B ", "\uff42")] == [" a", "A", "b", "b"]
    assert known.notes("t.csv") == ["t.csv: 2 labels were taken for a class written otherwise"]


def test_the_spelling_that_most_rows_have_is_taken_and_others_follow() -> None:
    spelling, said = unify_labels(["a\u0301", "\u00e1", "\u00e1", "x", "X"], [" \u00c1", "Y", "y"])
    assert spelling["a\u0301"] == spelling[" \u00c1"] == "\u00e1"
    assert (spelling["x"], spelling["X"], spelling["y"]) == ("X", "X", "Y")
    assert len(said) == 3 and unify_labels([]) == ({}, [])


def test_labels_of_booleans_are_measured_as_they_are_written() -> None:
    small = {"encoder__name": "bag", "embedding__dim": 4, "training__epochs": 1}
    options: dict[str, Any] = {**small, "training__device": "cpu"}
    TextClassifier(**options).fit(TEXTS, [True, False] * 10).save("model")
    for cells in (["true", "false"], ["True", "False"]):
        data = write("test.csv", cells * 5)
        report = evaluate_file(EvaluateOptions(model=Path("model"), data=data)).to_dict()
        assert report["n_rows"] == 10 and not report["unseen_labels"]


def test_labels_become_one_in_training_and_evaluation_and_it_is_said() -> None:
    write("train.csv", ["pos", "neg", "Pos ", "NEG"] * 4 + ["pos", "neg"])
    write("valid.csv", ["POS", "neg"] * 4)
    notes: list[str] = []
    watch = Watch(note=notes.append)
    apart = TrainOptions(data=Path("train.csv"), out=Path("run"), overrides=SMALL, baseline=False)
    assert train_run(apart, watch=watch).n_rows == 18
    assert sum("stay apart; --normalize-labels" in line for line in notes) == 1
    options = TrainOptions(
        data=Path("train.csv"),
        valid=Path("valid.csv"),
        out=Path("one"),
        overrides=SMALL,
        baseline=False,
        normalize_labels=True,
    )
    notes.clear()
    train_run(options, watch=watch)
    assert not any("stay apart" in line for line in notes)
    labels = json.loads(Path("one/model/config.json").read_text(encoding="utf-8"))["labels"]
    assert labels == ["neg", "pos"]
    assert "labels: 'POS', 'Pos ' became 'pos' (8 rows)" in notes
    measured = EvaluateOptions(model=Path("one"), data=Path("valid.csv"), normalize_labels=True)
    assert evaluate_file(measured, watch=watch).to_dict()["unseen_labels"] == {}
    assert "valid.csv: 4 labels were taken for a class written otherwise" in notes
    with pytest.raises(UsageError, match="--stream goes with neither"):
        train(stream=True, normalize_labels=True, out=Path("two"))


def test_a_fit_in_python_makes_labels_one_and_says_it() -> None:
    small: dict[str, Any] = {
        "encoder__name": "bag",
        "embedding__dim": 4,
        "training__epochs": 1,
        "training__device": "cpu",
    }
    notes: list[str] = []
    said: dict[str, Any] = {"normalize_labels": True, "watch": Watch(note=notes.append)}
    labels = np.array(["pos", "neg", "Pos ", "NEG"] * 4 + ["pos", "neg", "pos", "neg"])
    valid = (TEXTS[:4], ["POS", "neg"] * 2)
    one = TextClassifier(**small).fit(TEXTS, labels, validation=valid, **said)
    assert one.classes_.tolist() == ["neg", "pos"]
    assert "labels: 'POS', 'Pos ' became 'pos' (6 rows)" in notes
    apart = TextClassifier(**small).fit(TEXTS, labels)
    assert apart.classes_.tolist() == ["NEG", "Pos ", "neg", "pos"]
    several = TextClassifier(**small, head__task="multi-label")
    several.fit(TEXTS, [["film", "Pos"], ["Film", "pos", "POS"]] * 10, **said)
    assert several.classes_.tolist() == ["Film", "POS"]


def test_what_is_no_label_of_letters_stays_when_labels_become_one() -> None:
    gaps = ["a", " ", "", "A", None]
    assert normalize_given("single-label", gaps)[0] == ["A", " ", "", "A", None]
    assert normalize_given("single-label", [1, 2, 1]) == ([1, 2, 1], None, [])
    matrix = np.array([[1, 0], [0, 1]])
    assert normalize_given("multi-label", matrix)[0] is matrix
    assert normalize_given("regression", ["1", " 1"]) == (["1", " 1"], None, [])


def test_several_labels_of_a_row_become_one() -> None:
    write("train.csv", ["film|Pos", "film |neg", "pos|POS", "pos"] * 5)
    more = {"overrides": [*SMALL, "head.task=multi-label"], "normalize_labels": True}
    assert train(**more) == ["film", "neg", "pos"]
    assert evaluate_file(
        EvaluateOptions(model=Path("run"), data=Path("train.csv"), normalize_labels=True)
    )


def test_more_rows_and_a_file_of_one_class_go_on_from_a_run() -> None:
    write("train.csv", ["pos", "neg"] * 10)
    write("more.csv", ["new"] * 6)
    assert train() == ["neg", "pos"]
    start = {"init_from": Path("run")}
    assert train(out=Path("b"), more=[Path("more.csv")], **start) == ["neg", "new", "pos"]
    assert json.loads(Path("b/run.json").read_text(encoding="utf-8"))["n_rows"] == 26
    kept = {"data": Path("more.csv"), "keep_labels": True, "baseline": True, **start}
    assert train(out=Path("c"), **kept, doctor=True) == ["neg", "new", "pos"]
    with pytest.raises(UsageError, match="--stream goes with neither"):
        train(stream=True, more=[Path("more.csv")], out=Path("d"))


@pytest.mark.parametrize(
    ("task", "labels", "spelt"),
    [
        ("single-label", ["POS", "neg "], ["pos", "neg"]),
        ("multi-label", [["POS"], ["neg ", "pos"]], [["pos"], ["neg", "pos"]]),
    ],
)
def test_score_takes_labels_for_the_classes_that_they_spell(
    task: str, labels: Any, spelt: Any
) -> None:
    texts = ["good film", "bad film"]
    model = TextClassifier(encoder="linear", encoder__cost=1.0, head__task=task, seed=1)
    model.fit(texts * 10, spelt * 10)
    wanted = model.score(texts, spelt)
    assert model.score(texts, labels, normalize_labels=True) == wanted == 1.0
    with pytest.raises(DataError, match="labels"):
        model.score(texts[:1], labels[:1])
