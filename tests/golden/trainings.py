"""Tiny trainings whose losses and weights are recorded: no change of the code may move them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.golden.observations import GOLDEN, see_weights
from textkit import TextClassifier

NOUNS = ["film", "plot", "cast", "song", "book", "meal", "walk", "game", "talk", "room"]
TEXTS = [f"{word} {noun}" for word in ("good", "fine", "bad", "poor") for noun in NOUNS]
SMALL: dict[str, Any] = {
    "embedding__dim": 6,
    "training": {"epochs": 4, "batch_size": 4, "lr": 0.02, "device": "cpu", "threads": 1},
    "seed": 1,
}
WHOLE: dict[str, Any] = {"training": {"device": "cpu", "threads": 1}, "seed": 1}
BAG: dict[str, Any] = {
    "encoder": "bag",
    "tokenizer": "whitespace",
    "head__pooling": ["mean"],
    "ngrams": {"minn": 3, "maxn": 4, "buckets": 5_000, "min_frequency": 2},
}
# The default tokenizer, `word`, is 200 KB of word breaks: no golden model carries it.
SPLIT: dict[str, Any] = {"name": "whitespace", "lowercase": True}
LSTM: dict[str, Any] = {"encoder": {"name": "lstm", "dim": 4}, "tokenizer": SPLIT}
# A machine on counted n-grams; and the mean of one and a network.
LINEAR: dict[str, Any] = {"encoder": {"name": "linear", "characters": [2, 3]}}
_MEMBER: dict[str, Any] = {
    "encoder": {"name": "bag"},
    "tokenizer": SPLIT,
    "embedding": {"dim": 6},
    "training": {"epochs": 4, "batch_size": 4, "lr": 0.02},
}
ENSEMBLE: dict[str, Any] = {"encoder": {"name": "ensemble", "recipes": [LINEAR, _MEMBER]}}
# Models whose folders are golden too.
MODELS: dict[str, dict[str, Any]] = {
    "lstm": LSTM,
    "bag-ngrams": BAG,
    "members": {**LSTM, "encoder__members": 2},
    "multi-label": {**LSTM, "head__task": "multi-label"},
    "regression": {**LSTM, "head__task": "regression"},
}
# Others, which are no network of their own; their weights lie in no one file.
WHOLE_MODELS: dict[str, dict[str, Any]] = {"linear": LINEAR, "ensemble": ENSEMBLE}
TRAININGS: dict[str, dict[str, Any]] = {
    **MODELS,
    "char-cnn": {**LSTM, "embedding__name": "char-cnn"},
    "augmented": {
        "encoder": {"name": "cnn", "dim": 4},
        "augment": {"swap": 0.2, "char_noise": 0.1, "mixup": 0.2},
        "training__accumulate": 2,
        "training__schedule": "plateau",
    },
    "vectors": {
        "encoder": {"name": "gru", "dim": 4},
        "embedding__vectors": str(GOLDEN / "vectors-1-float32"),
        "embedding__dim": 5,
        "embedding__extend": 4,
    },
}


def labels_for(task: str) -> list[Any]:
    """Give the labels of TEXTS: tones; or tones and which rows are of the arts; or numbers."""
    tones = ["pos"] * 20 + ["neg"] * 20
    if task == "multi-label":
        return [[tone, "art"] if i % 10 < 5 else [tone] for i, tone in enumerate(tones)]
    return [float(i % 7) / 2 for i in range(40)] if task == "regression" else tones


def train(name: str) -> TextClassifier:
    """Fit one of TRAININGS or of WHOLE_MODELS from memory."""
    if name in WHOLE_MODELS:
        options = {**WHOLE, **WHOLE_MODELS[name]}
    else:
        options = {**SMALL, **TRAININGS[name]}
    labels = labels_for(options.get("head__task", "single-label"))
    return TextClassifier(**options).fit(TEXTS, labels)


def train_file(name: str) -> TextClassifier:
    """Fit one of TRAININGS from a file in the working folder, through token shards."""
    pairs = zip(TEXTS, labels_for("single-label"), strict=True)
    rows = "".join(f"{text},{label}\n" for text, label in pairs)
    Path("train.csv").write_text("text,label\n" + rows, encoding="utf-8")
    return TextClassifier(**{**SMALL, **TRAININGS[name]}).fit_file("train.csv", cache="cache")


def see_training(model: TextClassifier) -> dict[str, Any]:
    """Look at the losses, what was chosen after them, and the weights.

    Writes a folder `trained`.
    """
    model.save("trained")
    coverage = model.coverage_
    return {
        "epochs": [epoch.to_dict() for epoch in model.history_.epochs],
        "temperature": model.temperature_,
        "thresholds": model.thresholds_ if model.task_ == "multi-label" else None,
        "coverage": None if coverage is None else coverage.to_dict(),
        "weights": see_weights(Path("trained")),
    }
