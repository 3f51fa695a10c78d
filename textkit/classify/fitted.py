"""Fitted: the frozen result of a fit, and what it predicts.

Saving, loading, exporting and explaining a model take a Fitted; TextClassifier is the scikit-learn
face of one. A text goes through it so:

    texts -> model -> logits -> temperature -> probabilities -> thresholds -> labels

The model is a network with its text input, or a linear one with features of its own. No torch is
imported before a network is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch
from textkit.data.targets import Classes, Label, Task
from textkit.errors import UsageError
from textkit.features.text_input import TextInput
from textkit.io.tables import TextData
from textkit.recipe import Recipe
from textkit.registry import is_whole
from textkit.tokenizers.protocol import check_texts
from textkit.watch import History

if TYPE_CHECKING:
    from textkit.classify.board import Choice
    from textkit.classify.network_model import NetworkModel
    from textkit.nn.network import TextNetwork
    from textkit.vectors.coverage import Coverage


class Model(Protocol):
    """What gives logits for texts, and writes its part of a model folder."""

    @property
    def seal(self) -> tuple[str, int]:
        """The kind and the format of that folder."""

    @property
    def n_weights(self) -> int:
        """Number of weights that were learnt."""

    @property
    def engine(self) -> str:
        """What computes: the name of a package."""

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Compute (n_texts, n_outputs) float32 logits; of a regression the predicted numbers."""

    def describe(self) -> dict[str, object]:
        """Give what the config of a model folder says of it."""

    def write(self, folder: Path) -> None:
        """Write its files into a folder."""


@runtime_checkable
class TokenModel(Protocol):
    """A model that reads tokens: a network, or what became of one."""

    @property
    def text_input(self) -> TextInput:
        """What turns texts into the ids that it reads."""

    @property
    def longest_row(self) -> int | None:
        """Tokens of the longest row that it takes, None for any."""

    def score(self, tokens: TokenBatch) -> NDArray[np.float32]:
        """Compute the logits of encoded rows: (n_rows, n_outputs) float32."""


@runtime_checkable
class ExactModel(TokenModel, Protocol):
    """A model that can say what its float32 numbers come close to."""

    def score_exactly(self, tokens: TokenBatch) -> NDArray[np.float64]:
        """Compute the logits of encoded rows in float64."""


@dataclass(frozen=True)
class FitFacts:
    """What a fit knew of its training, which no model folder keeps.

    n_rows: of training and validation. n_truncated: of these, rows that were cut. n_valid: of
    these, rows of validation. class_rows: how many rows have each class. coverage: what the
    recipe's vectors knew of the training texts' words, where it names some. choice: the board of
    an `auto` fit.
    """

    history: History
    n_rows: int
    n_truncated: int
    n_valid: int
    class_rows: Mapping[str, int]
    coverage: Coverage | None = None
    choice: Choice | None = None


@dataclass(frozen=True, eq=False)
class Fitted:
    """A model that predicts: all that the recipe left open is decided.

    classes: (n_classes,), the meaning of each output; of a regression the names of the numbers.
    temperature: logits are divided by it, so that probabilities mean what they say. thresholds:
    (n_classes,) for multi-label, what a label's probability must exceed; else empty. facts: None
    for a model that was loaded.
    """

    recipe: Recipe
    classes: Classes
    model: Model
    temperature: float = 1.0
    thresholds: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    facts: FitFacts | None = None

    @property
    def task(self) -> Task:
        """What is learnt: single-label, multi-label or regression."""
        return self.recipe.head.task

    @property
    def text_input(self) -> TextInput:
        """What turns texts into the ids that the network reads."""
        if not isinstance(self.model, TokenModel):
            raise self._no_network()
        return self.model.text_input

    @property
    def network(self) -> TextNetwork:
        """The network, on the CPU."""
        return self._network_model().network

    def describe(self) -> dict[str, object]:
        """Say what it is, as plain values for JSON."""
        return {
            "task": self.task,
            "labels": self.classes.tolist(),
            "encoder": self.recipe.encoder.name,
            "engine": self.model.engine,
            "n_weights": self.model.n_weights,
            "temperature": self.temperature,
            "thresholds": self.thresholds.tolist(),
        }

    def encode(self, texts: TextData) -> TokenBatch:
        """Tokenize texts as the network reads them, cut to the recipe's max_length."""
        return self.text_input.encode(check_texts(texts))

    def logits(self, texts: TextData) -> NDArray[np.float32]:
        """Compute (n_texts, n_classes) float32 logits before the temperature; of a regression the
        predicted numbers.
        """
        return self.model.logits(check_texts(texts))

    def probabilities(self, texts: TextData) -> NDArray[np.float64]:
        """Compute (n_texts, n_classes) float64 probabilities.

        Rows sum to 1 when a text has one label; in a multi-label task each label has its own
        probability. Raises UsageError for a regression.
        """
        return self.calibrate(self.logits(texts))

    def calibrate(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Turn logits before the temperature, (n, n_classes), into probabilities; UsageError for a
        regression.
        """
        logits = logits.astype(np.float64) / self.temperature
        if self.task == "regression":
            raise UsageError("a regression predicts numbers, not probabilities; use predict")
        if self.task == "multi-label":
            return sigmoid(logits)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def log_probabilities(self, texts: TextData) -> NDArray[np.float64]:
        """Compute the logarithms of `probabilities`, finite where these are too small for a
        number: (n_texts, n_classes) float64.
        """
        logits = self.logits(texts).astype(np.float64) / self.temperature
        if self.task == "regression":
            raise UsageError("a regression predicts numbers, not probabilities; use predict")
        if self.task == "multi-label":
            return np.asarray(-np.logaddexp(0, -logits))
        highest = logits.max(axis=1, keepdims=True, initial=-np.inf)
        return np.asarray(
            logits - highest - np.log(np.exp(logits - highest).sum(axis=1, keepdims=True))
        )

    def has_label(self, texts: TextData) -> NDArray[np.bool_]:
        """Tell which labels of a multi-label task exceed their thresholds: (n_texts, n_classes)."""
        return self.probabilities(texts) > self.thresholds

    def labels(self, texts: TextData) -> NDArray[np.generic] | list[tuple[Label, ...]]:
        """Give the most probable class of each text, (n_texts,).

        In a multi-label task a list of tuples, the labels above their thresholds; in a regression
        (n_texts,) numbers, or (n_texts, n_outputs).
        """
        return self.decide(self.logits(texts))

    def decide(self, logits: NDArray[np.floating]) -> NDArray[np.generic] | list[tuple[Label, ...]]:
        """Give what `labels` gives from logits before the temperature, (n, n_classes)."""
        if self.task == "multi-label":
            names = self.classes.tolist()
            above = self.calibrate(logits) > self.thresholds
            return [tuple(names[i] for i in np.flatnonzero(row)) for row in above]
        if self.task == "regression":
            return logits[:, 0] if logits.shape[1] == 1 else logits
        return np.asarray(self.classes[logits.argmax(axis=1)])

    def _network_model(self) -> NetworkModel:
        """Give the model where it is a network; refuse to where it is none."""
        if self.model.engine != "torch":
            raise self._no_network()
        from textkit.classify.network_model import NetworkModel

        assert isinstance(self.model, NetworkModel)
        return self.model

    def _no_network(self) -> UsageError:
        name = self.recipe.encoder.name
        if is_whole(name):
            article = "an" if name == "ensemble" else "a"
            return UsageError(f"{article} {name} model has no tokenizer and no network")
        return UsageError("an exported model has no network; take the model that was exported")


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn logits into probabilities, each for itself."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -500, 500))))
