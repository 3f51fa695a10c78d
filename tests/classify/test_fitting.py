"""A fit from memory and a fit from a file are one: the same rows give the same weights, and the
same knowledge of the rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textkit import TextClassifier, Vectors, tokenizers
from textkit.batch import TokenBatch
from textkit.classify import model_folder
from textkit.data.rows import RowView
from textkit.errors import DataError, UsageError
from textkit.training.examples import Examples
from textkit.watch import Watch

NOUNS = ["film", "plot", "cast", "song", "book", "meal", "walk", "game", "talk", "room"]
TEXTS = [f"{word} {noun}" for word in ("good", "fine", "bad", "poor") for noun in NOUNS]
LABELS = ["pos"] * 20 + ["neg"] * 20
SMALL: dict[str, Any] = {
    "tokenizer__path": "tok",
    "encoder": {"name": "gru", "dim": 4},
    "embedding__dim": 5,
    "training": {"epochs": 2, "batch_size": 4, "device": "cpu", "threads": 1},
    "seed": 1,
}


def write_file() -> None:
    lines = [f"{text},{label}\n" for text, label in zip(TEXTS, LABELS, strict=True)]
    Path("train.csv").write_text("text,label\n" + "".join(lines), encoding="utf-8")


@pytest.mark.slow
def test_vectors_cover_the_training_rows_alone_in_memory_and_from_a_file() -> None:
    tokenizers.train("whitespace", TEXTS).save("tok")
    Vectors(["good", "bad", *NOUNS[:4]], np.eye(6, 5, dtype=np.float32)).save("vectors")
    write_file()
    options = {**SMALL, "embedding__vectors": "vectors"}
    whole = TextClassifier(**options).fit(TEXTS, LABELS)
    streamed = TextClassifier(**options).fit_file("train.csv", cache="cache")
    assert whole.coverage_ is not None
    # A tenth of the 40 rows of two words is held out for validation.
    assert whole.coverage_.n_occurrences == 36 * 2
    assert streamed.coverage_ == whole.coverage_


def test_a_fingerprint_is_of_the_rows_that_are_trained_on() -> None:
    """Checkpoints are known by it: a view of others' rows counts as those rows alone."""
    rows = TokenBatch.from_rows([[1, 2], [], [3], [4, 5, 6]])
    targets = np.array([0, 1, 0, 1])
    whole = Examples(rows, targets).fingerprint()
    # As it stands in checkpoints that were written before.
    assert whole.startswith("56769d7f8f9df793")
    chosen = np.array([3, 0])
    alone = Examples(rows.take(chosen), targets[chosen]).fingerprint()
    assert Examples(RowView(rows, chosen), targets[chosen]).fingerprint() == alone != whole


def test_a_fitted_is_saved_and_loaded_without_what_it_knew_of_its_rows() -> None:
    tokenizers.train("whitespace", TEXTS).save("tok")
    model = TextClassifier(**SMALL).fit(TEXTS, LABELS)
    facts = model.fitted_.facts
    assert facts is not None
    assert (facts.n_rows, facts.n_truncated, facts.coverage) == (40, 0, None)
    assert facts.history is model.history_
    model_folder.save(model.fitted_, "model")
    loaded = model_folder.load("model")
    assert loaded.facts is None
    assert loaded.recipe == model.recipe_ and loaded.temperature == model.temperature_
    assert np.array_equal(loaded.logits(TEXTS), model.predict_logits(TEXTS))
    assert loaded.labels(TEXTS).tolist() == model.predict(TEXTS).tolist()
    again = TextClassifier.load("model")
    assert again.coverage_ is None and not hasattr(again, "history_")
    assert not hasattr(TextClassifier(), "classes_")


def test_a_fit_starts_from_a_model_of_the_same_task_alone() -> None:
    tokenizers.train("whitespace", TEXTS).save("tok")
    first = TextClassifier(**SMALL).fit(TEXTS, LABELS)
    numbers = TextClassifier(**SMALL, head__task="regression")
    with pytest.raises(UsageError, match="init_from was trained for single-label, not regression"):
        numbers.fit(TEXTS, [1.0, 2.0] * 20, init_from=first)


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
@pytest.mark.parametrize("balanced", [False, True])
def test_labels_of_the_model_to_start_from_are_kept_or_said(task: str, balanced: bool) -> None:
    tokenizers.train("whitespace", TEXTS).save("tok")
    options = {**SMALL, "head__task": task}
    options |= {"training__class_weights": "balanced"} if balanced else {}
    names = ["b", "c", "a", "d"]

    def labels(used: list[str]) -> Any:
        drawn = [used[i % len(used)] for i in range(len(TEXTS))]
        return drawn if task == "single-label" else [[name] for name in drawn]

    first = TextClassifier(**options).fit(TEXTS, labels(names))
    notes: list[str] = []
    watch = Watch(note=notes.append)
    fewer = TextClassifier(**options).fit(TEXTS, labels(["c", "e"]), init_from=first, watch=watch)
    assert fewer.classes_.tolist() == ["c", "e"]
    said = [note for note in notes if note.startswith("dropped")]
    assert len(said) == 1 and "knew (3): a, b, d; to keep them: --keep-labels" in said[0]
    notes.clear()
    wider = TextClassifier(**options).fit(
        TEXTS, labels(["c", "e"]), init_from=first, keep_labels=True, watch=watch
    )
    assert wider.classes_.tolist() == ["a", "b", "c", "d", "e"]
    assert not [note for note in notes if note.startswith("dropped")]
    wider.save("wider")
    assert TextClassifier.load("wider").predict(TEXTS[:3]) is not None


def test_labels_are_kept_only_of_a_model_and_of_one_type() -> None:
    tokenizers.train("whitespace", TEXTS).save("tok")
    first = TextClassifier(**SMALL).fit(TEXTS, ["a", "b"] * (len(TEXTS) // 2))
    with pytest.raises(UsageError, match=r"^--keep-labels keeps the labels of the model"):
        TextClassifier(**SMALL).fit(TEXTS, ["a", "b"] * (len(TEXTS) // 2), keep_labels=True)
    with pytest.raises(DataError, match=r"of several types: int, str; make them the same$"):
        TextClassifier(**SMALL).fit(
            TEXTS, [1, 2] * (len(TEXTS) // 2), init_from=first, keep_labels=True
        )


def test_classes_that_accuracy_hardly_sees_are_named() -> None:
    texts = [f"text {i}" for i in range(200)]
    labels = ["a"] * 100 + ["b"] * 96 + ["c"] * 4
    for metric, n_said in (("auto", 1), ("macro_f1", 0)):
        said: list[str] = []
        model = TextClassifier(encoder="linear", training__metric=metric)
        model.fit(texts, labels, watch=Watch(note=said.append))
        lines = [line for line in said if "training.metric = macro_f1 counts" in line]
        assert len(lines) == n_said
    said.clear()
    TextClassifier(encoder="linear").fit(texts[:196], labels[:196], watch=Watch(note=said.append))
    assert not any("macro_f1" in line for line in said)
