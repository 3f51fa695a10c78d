"""textkit.load opens models of any kind; exported ones need no torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import textkit
from textkit import TextClassifier, TextEmbedder, Vectors
from textkit.classify.opening import Predictor, open_predictor
from textkit.errors import TextkitError

TEXTS = ["good film", "bad film", "good plot", "bad plot"] * 10
LABELS = ["pos", "neg", "pos", "neg"] * 10


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("linear") / "model"
    TextClassifier(encoder="linear").fit(TEXTS, LABELS).save(folder)
    return folder


def test_load_opens_what_labels_and_what_makes_vectors(linear: Path, tmp_path: Path) -> None:
    model = textkit.load(linear)
    assert isinstance(model, TextClassifier)
    assert model.predict(["good film"]).tolist() == ["pos"]
    Vectors(["king"], np.ones((1, 2), np.float32)).save(tmp_path / "v")
    vectors = textkit.load(tmp_path / "v")
    assert isinstance(vectors, TextEmbedder)
    assert vectors.encode(["a king"]).tolist() == [[1.0, 1.0]]


def test_a_predictor_says_what_it_is(linear: Path) -> None:
    model: Predictor = open_predictor(linear)
    facts = model.describe()
    assert facts["task"] == model.task_ == "single-label"
    assert facts["labels"] == model.classes_.tolist() == ["neg", "pos"]
    assert facts["engine"] == "numpy"


def test_a_place_that_holds_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TextkitError):
        textkit.load(tmp_path / "nowhere")
    with pytest.raises(TextkitError, match="no such folder"):
        open_predictor(tmp_path / "nowhere")
