"""Open a model of any kind: one that textkit trained, one that it exported, or what makes vectors.

In: a folder. Out: a Predictor, which labels texts, or a TextEmbedder. Whoever predicts asks a
Predictor for what stands here and nothing else, so that it does not matter what computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch
from textkit.classify.classifier import TextClassifier
from textkit.data.targets import Classes, Task
from textkit.embedders.embedder import TextEmbedder, find_kind
from textkit.io.tables import TextData


class Predictor(Protocol):
    """What labels texts, as TextClassifier documents it; any number of threads may use one.

    thresholds_: of a multi-label model what a label's probability must exceed, else empty.
    """

    @property
    def task_(self) -> Task: ...
    @property
    def classes_(self) -> Classes: ...
    @property
    def thresholds_(self) -> NDArray[np.float64]: ...
    def predict(self, texts: TextData) -> Any: ...
    def predict_proba(self, texts: TextData) -> NDArray[np.float64]: ...
    def predict_logits(self, texts: TextData) -> NDArray[np.float32]: ...
    def encode(self, texts: TextData) -> TokenBatch: ...
    def describe(self) -> dict[str, object]: ...


def load(place: str | Path, *, allow: Sequence[str] = ()) -> TextClassifier | TextEmbedder:
    """Open whatever lies at a place: a classifier for a model folder, else a TextEmbedder.

    place: a folder, a .zip file, or `hf:USER/NAME`, which asks the hub.
    allow: each `package.module:Name` of the model that may be imported. Raises ArtifactError that
    names the file which is missing, changed or foreign.

    >>> texts, labels = ["good film", "bad film"] * 20, ["pos", "neg"] * 20
    >>> TextClassifier(encoder="linear").fit(texts, labels).save("model")
    >>> load("model").predict(["a good film"]).tolist()
    ['pos']
    """
    kind, folder = find_kind(str(place))
    if kind in ("classifier", "exported-classifier"):
        return TextClassifier.load(folder, allow=allow)
    return TextEmbedder.open(place)


def open_predictor(place: str | Path, *, allow: Sequence[str] = ()) -> Predictor:
    """Open what labels texts; ArtifactError for a place that holds no such model."""
    return TextClassifier.load(place, allow=allow)
