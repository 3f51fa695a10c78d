"""Evaluation: the numbers are scikit-learn's; the picture is a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from textkit.errors import DataError
from textkit.evaluation import evaluate, predict_baseline

CLASSES = ["a", "b b", "c", "never"]


def random_labels(seed: int, n: int, classes: list[str]) -> list[str]:
    return np.random.default_rng(seed).choice(classes, size=n).tolist()  # type: ignore[no-any-return]


def test_numbers_match_scikit_learn() -> None:
    truth, predicted = random_labels(1, 300, CLASSES[:3]), random_labels(2, 300, CLASSES[:3])
    result = evaluate(truth, predicted, classes=CLASSES)
    precision, recall, f1, support = precision_recall_fscore_support(truth, predicted, labels=CLASSES, zero_division=0)
    np.testing.assert_array_equal(result.counts, confusion_matrix(truth, predicted, labels=CLASSES))
    np.testing.assert_allclose(result.precision, precision)
    np.testing.assert_allclose(result.recall, recall)
    np.testing.assert_allclose(result.f1, f1)
    np.testing.assert_array_equal(result.support, support)
    assert result.accuracy == pytest.approx(accuracy_score(truth, predicted))
    macro = precision_recall_fscore_support(truth, predicted, average="macro", zero_division=0)[2]
    assert result.macro_f1 == pytest.approx(macro)


def test_a_label_the_model_lacks_counts_as_wrong() -> None:
    result = evaluate(["a", "new"], ["a", "a"], classes=["a", "c"])
    assert result.classes == ["a", "c", "new"]
    assert result.accuracy == 0.5
    assert result.to_dict()["classes"]["new"]["support"] == 1


def test_no_rows() -> None:
    assert evaluate([], [], classes=["a", "b"]).accuracy == 0.0


@pytest.mark.parametrize("n_classes", [2, 60])
def test_the_picture_is_a_png(n_classes: int) -> None:
    classes = [f"class {i}" for i in range(n_classes)]
    evaluate(classes, classes[::-1], classes=classes).save_png("c.png")
    assert Path("c.png").read_bytes().startswith(b"\x89PNG")


def test_the_baseline_learns_and_refuses_texts_without_words() -> None:
    texts, labels = ["good film", "bad film", "good plot", "bad plot"] * 3, ["pos", "neg"] * 6
    assert predict_baseline(texts, labels, ["good", "bad"]) == ["pos", "neg"]
    with pytest.raises(DataError, match="the baseline found no words"):
        predict_baseline(["!", "?"], ["x", "y"], ["z"])
